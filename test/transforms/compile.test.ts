/** Transforms in a compile: order, proof, ledger, searches, errors at their statements. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { proveTransforms } from '../../compiler/driver/equivalence.ts';
import { openModel } from '../../compiler/driver/model.ts';
import { planner } from '../../compiler/driver/planner.ts';
import { readRecipe } from '../../compiler/driver/recipe.ts';
import { rewriting } from '../../compiler/driver/rewrite.ts';
import { Run } from '../../compiler/driver/run.ts';
import { QcError } from '../../grammar/diagnostics.ts';
import { workplace } from '../compile/help.ts';

const w = await workplace();
test.after(() => w.close());
const data = { calib: 'test/models/llama/calib' };
const CALIBRATE = 'calibrate data("calib") { samples: 2 }\n';

const errorOf = async (work: () => Promise<unknown>): Promise<string> => {
  try {
    await work();
  } catch (e) {
    if (e instanceof QcError) return `${e.diagnostics[0]!.code} at ${e.diagnostics[0]!.span?.line}: ${e.diagnostics[0]!.message}`;
    throw e;
  }
  return 'nothing';
};

test('rotation, scales and heads run in their order, are proved and stand in the ledger', async () => {
  const text = `${CALIBRATE}transform rotate on attention.v -> attention.output { per: head }
transform smooth on mlp.up -> mlp.down
transform scale on attention.q <-> attention.k { law: smooth(0.5, 0) }
transform rotate on residual
quantize linear as W8A8`;
  const { result } = await w.compiled('llama', text, { data });
  const kinds = result.report.ledger.filter((l) => l.what.startsWith('transform ')).map((l) => l.what.slice(10));
  assert.equal([...new Set(kinds)], ['rotate', 'smooth', 'scale']);
  assert.is(kinds[0], 'rotate');
  assert.is(kinds.at(-1), 'rotate');
  assert.is(kinds.length, 1 + 3 * 6);
  const proof = result.report.ledger.find((l) => l.what === 'proof of transforms')!;
  assert.match(proof.detail, /^\d+ values equal those of the float model within \d\.\de-[67]/);
  assert.ok(result.warnings.some((x) => x.code === 'cache-scaled'));
});

test('statistics are taken of the rewritten model', async () => {
  const text = `${CALIBRATE}transform smooth on norm -> linear { alpha: 0.9 }\nquantize linear as W8A8_STATIC\nrequire kl(output("logits")) <= 0.5`;
  const { result } = await w.compiled('llama', text, { data });
  assert.ok(result.ok);
});

test('a search over the strength of smoothing', async () => {
  const text = `recipe r version "1.0.0" (alpha = 0.5 in [0.5, 0.9]) {
  ${CALIBRATE}  transform smooth on norm -> linear { alpha: alpha }
  quantize linear as W4A16 { group: 32 }
  search alpha { objective: mse(output("logits")), method: grid }
}`;
  const { result } = await w.compiled('llama', text, { data });
  assert.ok([0.5, 0.9].includes(result.binding['alpha'] as number));
});

test('what does not fold is an error at its statement', async () => {
  const refused = await errorOf(() =>
    w.compiled('vit', 'calibrate data("calib")\ntransform smooth on mlp.up -> mlp.down', { data: { calib: 'test/models/vit/calib' } }),
  );
  assert.match(refused, /^fold-refused at 3: transform smooth does not fold: .*mlp\.fc1 -> .*mlp\.fc2: .* \(mixes-channels\)/);
  const layer = await errorOf(() => w.compiled('vit', 'transform rotate on residual', {}));
  assert.match(layer, /^fold-refused at 2: .*\((centred-norm|not-a-writer|mixes-channels|model-output)\)/);
  const twice = `${CALIBRATE}transform smooth on norm -> linear\ntransform scale on norm -> attention.q`;
  assert.match(await errorOf(() => w.compiled('llama', twice, { data })), /^two-transforms at 4: /);
  assert.match(await errorOf(() => w.compiled('llama', 'transform smooth on norm -> linear', {})), /^calibration-missing/);
  const by = await errorOf(() => w.compiled('llama', 'transform smooth on mlp.up -> mlp.down { by: step }', {}));
  assert.match(by, /^planned at 2: `by`/);
});

test('migrated: the norm emits integers, nothing but a cast to bytes lies between it and the product', async () => {
  const text = `${CALIBRATE}transform rotate on mlp.up -> mlp.down { online: yes }
  transform split on norm -> linear { law: median(2) }
  transform migrate on norm -> linear
  quantize weight of linear as int8 { per: channel }
  quantize input of migrated as int8 { mode: static, per: channel, scale: mse(20, shrink: 0.5) }
  quantize input of linear and not migrated as int8 { mode: static }`;
  const { result, output } = await w.compiled('llama', text, { data });
  const { model, reader, close } = await openModel(w.host, output);
  const migrated = result.plan.sites.sites.filter((s) => s.members.includes('migrated'));
  assert.is(migrated.length, 6 * 5 + 1);
  const producers = new Map(model.graph.nodes.flatMap((n) => n.outputs.map((o) => [o, n] as const)));
  for (const s of migrated) {
    const product = producers.get(s.ports['output']!.value) ?? model.graph.nodes.find((n) => n.outputs.includes(s.ports['output']!.value))!;
    let n = product;
    while (n.op !== 'QuantizeLinear') n = producers.get(n.inputs[0]!)!;
    const scale = model.graph.initializers.get(n.inputs[1]!)!;
    assert.equal(scale.shape, []);
    assert.is(new Float32Array((await reader.bytes(scale)).slice().buffer)[0], 1);
  }
  await close();
});

/** A compile's rewritten model with one folded weight put back, as a wrong fold would leave it. */
async function broken(text: string, spoil: string): Promise<string> {
  const options = {
    host: w.host,
    model: 'test/models/llama/model.onnx',
    recipe: 'r.qrecipe',
    text: `recipe r version "1.0.0" {\n${text}\n}\n`,
    output: 'x.onnx',
    data,
  };
  const read = await readRecipe(options);
  const source = await openModel(w.host, options.model);
  try {
    const run = new Run(options);
    const planOn = (s: typeof source, b: Readonly<Record<string, number>>) => planner(read.recipe, s, {})(b);
    const done = await rewriting(source, planOn as never, options, run).prepare(planOn(source, {}));
    const weight = done.source.sites.sites.find((s) => s.path === spoil)!.ports['weight']!.value;
    const initializers = new Map(done.source.model.graph.initializers).set(weight, source.model.graph.initializers.get(weight)!);
    const model = { ...done.source.model, graph: { ...done.source.model.graph, initializers } };
    const after = { ...done.source, model };
    const segments = done.segments.map((s) => (s.after === done.source ? { ...s, after } : s));
    return await errorOf(() => proveTransforms(source, { ...done, source: after, segments }, options, run));
  } finally {
    await source.close();
  }
}
test('a broken fold is caught, by transform and site', async () => {
  const edges = `${CALIBRATE}transform smooth on attention.v -> attention.output\ntransform smooth on mlp.up -> mlp.down`;
  assert.match(
    await broken(edges, 'layers.2.self_attn.o_proj'),
    /^not-equivalent at 3: transform smooth on layers\.2\.self_attn\.v_proj -> layers\.2\.self_attn\.o_proj changes/,
  );
  assert.match(
    await broken(edges, 'layers.4.mlp.up_proj'),
    /^not-equivalent at 4: transform smooth on layers\.4\.mlp\.up_proj -> layers\.4\.mlp\.down_proj changes/,
  );
  const turned = `${CALIBRATE}transform rotate on residual`;
  assert.match(await broken(turned, 'layers.1.mlp.down_proj'), /^not-equivalent at 3: transform rotate on residual changes/);
});

test.run();
