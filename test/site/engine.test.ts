/** The playground's engine on node: the browser host gives the bytes that the command line gives. */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { openSession } from '../../compiler/node/session.ts';
import { QcError } from '../../grammar/diagnostics.ts';
import { bundled } from '../../site/collect/packages.ts';
import { Engine, RECIPE } from '../../site/playground/engine.ts';
import { qc, scratch } from '../cli/qc.ts';

const folder = scratch();
const engine = () =>
  new Engine({
    wasm: async () => readFileSync('runtime/wasm/qc.wasm'),
    packages: [bundled('@qrecipe/std')],
    session: (model, options) => openSession(model, folder, options),
  });
const file = (name: string, path: string) => ({ name, blob: new Blob([readFileSync(path)]) });
const vit = file('model.onnx', 'test/models/vit/model.onnx');

const recipe = `use "@qrecipe/std@^0.1" as std

recipe both version "1.0.0" {
  apply std.w8a8()
  quantize weight of block(0) and linear as int4 { group: 32, scale: mse }
  keep path("classifier")
  require size <= 0.35x
}
`;

test('the same bytes as the command line', async () => {
  const at = join(folder, RECIPE);
  writeFileSync(at, recipe);
  const e = engine();
  await e.open([vit], 'model.onnx');
  for (const target of ['portable', 'ort']) {
    const output = join(folder, `${target}.onnx`);
    const ran = await qc(['compile', 'test/models/vit/model.onnx', at, '-o', output, '--target', target]);
    assert.is(ran.status, 0, ran.err);
    const compiled = await e.compile(recipe, target, () => {});
    assert.ok(compiled.ok);
    assert.is(compiled.files.length, 1);
    const [ours, theirs] = [new Uint8Array(await compiled.files[0]!.blob.arrayBuffer()), new Uint8Array(readFileSync(output))];
    assert.is(Buffer.compare(ours, theirs), 0, `${target}: ${ours.length} and ${theirs.length} bytes`);
  }
});

test('calibrates on files that were opened, and compares', async () => {
  const e = engine();
  const calib = readdirSync('test/models/mlp-conv/calib').slice(0, 2);
  const opened = await e.open(
    [file('model.onnx', 'test/models/mlp-conv/model.onnx'), ...calib.map((n) => file(n, `test/models/mlp-conv/calib/${n}`))],
    'model.onnx',
  );
  assert.ok(opened.data);
  assert.match(opened.inspection, /conv .*3×3/);
  const phases = new Set<string>();
  const text = readFileSync('recipes/mlp-conv/mlp-conv.qrecipe', 'utf8');
  const compiled = await e.compile(text, undefined, (event) => phases.add(event.phase));
  assert.ok(compiled.ok);
  assert.ok(phases.has('calibrate') && phases.has('write'));
  assert.equal(
    compiled.files.map((f) => f.name),
    ['model.quantized.onnx', 'model.quantized.qstats'],
  );
  const agreement = (await e.compare()).find((m) => m.name === 'agreement logits');
  assert.ok(agreement && agreement.value > 0.9);
});

const refused = async (work: Promise<unknown>): Promise<string> => {
  const error = await work.then(
    () => undefined,
    (e: unknown) => e,
  );
  assert.instance(error, QcError);
  return (error as QcError).diagnostics[0]!.code;
};

test('mistakes: of the text, of the model, of both', async () => {
  const e = engine();
  assert.equal(
    e.check('recipe r version "1.0.0" { quantize liner as W4A16 }').map((d) => d.code),
    ['unknown-name'],
  );
  assert.equal(
    e.check('use "@qrecipe/std@^9.0" as std').map((d) => d.code),
    ['use-failed'],
  );
  assert.equal(
    e.check('use "../up.qrecipe" as up').map((d) => d.code),
    ['path-escape'],
  );
  assert.equal(e.check(recipe), []);
  assert.is(await refused(e.open([{ name: 'x.onnx', blob: new Blob(['hello']) }], 'x.onnx')), 'not-onnx');
  assert.is(await refused(e.open([], 'x.onnx')), 'file-missing');
  await e.open([vit], 'model.onnx');
  assert.is(await refused(e.plan('recipe r version "1.0.0" { quantize weight of conv and path("nowhere") as int8 }')), 'dead-selection');
  const broken = await e.compile(recipe.replace('0.35x', '0.01x'), undefined, () => {});
  assert.is(broken.ok, false);
  assert.equal(broken.files, []);
});

test('the language server features over the open model', async () => {
  const e = engine();
  await e.open([vit], 'model.onnx');
  const dead = 'recipe r version "1.0.0" {\n  quantize linear as W8A8\n  keep path("layers.0.mlp.fc3")\n}\n';
  const [mistake, ...more] = e.check(dead);
  assert.equal(more, []);
  assert.is(mistake?.code, 'dead-selection');
  const fix = mistake?.fixes.find((f) => f.edits.some((x) => x.text.includes('layers.0.mlp.fc')));
  const [edit] = fix?.edits ?? [];
  assert.ok(edit);
  const fixed = dead.slice(0, edit.from) + edit.text + dead.slice(edit.to);
  assert.equal(e.check(fixed), []);
  assert.match(e.hover(fixed, fixed.indexOf('linear'))?.text ?? '', /37/);
  const at = fixed.indexOf('W8A8') + 2;
  const offered = e.complete(fixed, at);
  assert.is(offered.from, at - 2);
  assert.ok(offered.items.some((i) => i.label === 'W4A16'));
});

test('a plan says of every port what it becomes, and who decided', async () => {
  const e = engine();
  await e.open([vit], 'model.onnx');
  const plan = await e.plan(recipe);
  const first = plan.ports.find((p) => p.path.startsWith('layers.0') && p.port === 'weight' && p.role === 'linear');
  assert.match(first?.type ?? '', /int4 group 32/);
  assert.is(first?.by?.at, `${RECIPE}:5`);
  assert.match(first?.shadowed[0]?.at ?? '', /^@qrecipe\/std@.*\/.*\.qrecipe:\d+$/);
});

test.run();
