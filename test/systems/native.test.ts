// Systems of the stdlib for target native: what a layer of a Llama becomes, that the kernels compute what the bodies say, and what it weighs.
import { mkdirSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { encodeNpz } from '../../compiler/calibrate/npz.ts';
import { valueFrom } from '../../compiler/calibrate/values.ts';
import { loadModel } from '../../compiler/graph/load.ts';
import type { Model, Node } from '../../compiler/graph/types.ts';
import { writeModel } from '../../compiler/graph/write.ts';
import type { Value } from '../../compiler/host.ts';
import { active } from '../../runtime/index.ts';
import { workplace } from '../compile/help.ts';
import { noise } from '../targets/build.ts';
import { unsolved } from './unsolved.ts';

const ort = createRequire(import.meta.url)('onnxruntime-node') as typeof import('onnxruntime-node');
const { Tensor } = ort;
const w = await workplace();

/** The first two layers of the small Llama, and a calibration sequence. */
const folder = join(w.folder, 'llama');
async function twoLayers(): Promise<string> {
  const { model, dir } = await loadModel(w.host, 'test/models/llama/model.onnx');
  const dropped = (name: string) => /(layers|past_key_values|present)\.[2-5]\b/.test(name);
  const nodes = model.graph.nodes.filter((n) => !dropped(n.outputs[0]!));
  const moved = (name: string) => name.replace('/layers.5/', '/layers.1/');
  const graph = {
    ...model.graph,
    nodes: nodes.map((n) => ({ ...n, inputs: n.inputs.map(moved) })),
    inputs: model.graph.inputs.filter((i) => !dropped(i.name)),
    outputs: model.graph.outputs.filter((i) => !dropped(i.name)),
    initializers: new Map([...model.graph.initializers].filter(([name]) => nodes.some((n) => n.inputs.includes(name)))),
    values: new Map(),
  };
  mkdirSync(join(folder, 'calib'), { recursive: true });
  await writeModel(w.host, { ...model, graph }, join(folder, 'model.onnx'), { dir });
  writeFileSync(join(folder, 'calib/0.npz'), encodeNpz(new Map(Object.entries(sequence(24, 0)))));
  return join(folder, 'model.onnx');
}
/** Inputs of the two layers: `n` tokens behind `past`. */
function sequence(n: number, past: number): Record<string, Value> {
  const int64 = (values: number[]) => valueFrom('int64', [1, values.length], values);
  const cache = (i: number) => valueFrom('float32', [1, 2, past, 32], noise(2 * past * 32, i + 1));
  return {
    input_ids: int64(Array.from({ length: n }, (_, i) => (i * 37) % 2000)),
    attention_mask: int64(Array<number>(n + past).fill(1)),
    position_ids: int64(Array.from({ length: n }, (_, i) => past + i)),
    ...Object.fromEntries([0, 1].flatMap((l) => ['key', 'value'].map((kind, i) => [`past_key_values.${l}.${kind}`, cache(2 * l + i)]))),
  };
}
const source = await twoLayers();

interface System {
  readonly model: Model;
  readonly path: string;
}
const known = new Map<string, Promise<System>>();
/** A system without its solver, for native; samples and groups suit the model. */
function system(name: string): Promise<System> {
  const params = { ...(name === 'flexq_w6a6' ? {} : { samples: 1 }), ...(name === 'mergequant' ? {} : { group: 32 }) };
  const compiled = async () => {
    const data = name === 'flexq_w6a6' ? {} : { data: { calib: join(folder, 'calib') } };
    const { output } = await w.compiled('', unsolved(name), { model: source, target: 'native', params, ...data });
    return { model: (await loadModel(w.host, output)).model, path: output };
  };
  if (!known.has(name)) known.set(name, compiled());
  return known.get(name)!;
}

/** Nodes of the second layer, without what ONNX Runtime drops (casts of float to float) or all layers share (masks). */
function layer(m: Model): Node[] {
  const free = new Set(['Cast', 'Where', 'Constant']);
  return m.graph.nodes.filter((n) => n.outputs[0]!.includes('/layers.1/') && !free.has(n.op));
}
const counted = (ops: readonly string[]) => {
  const counts: Record<string, number> = {};
  for (const op of [...ops].sort()) counts[op] = (counts[op] ?? 0) + 1;
  return counts;
};
/** The operator that yields the activations of each linear operator of a layer. */
const before = (m: Model): string[] =>
  layer(m)
    .filter((n) => n.op.startsWith('Linear'))
    .map((n) => m.graph.nodes.find((p) => p.outputs.includes(n.inputs[0]!))!.op);
const bytes = (m: Model, name: string): number => {
  const { dtype, shape } = m.graph.initializers.get(name)!;
  return shape.reduce((a, b) => a * b, 1) * { float32: 4, float16: 2, uint8: 1, int8: 1 }[dtype as 'float32'];
};
/** Bytes of codes, scales and the rest of a site's weight. */
const weighs = (m: Model, path: string): Record<string, number> => {
  const n = m.graph.nodes.find((x) => x.op.startsWith('Linear') && x.outputs[0]!.includes(path))!;
  const [, codes, scales, zeros] = n.inputs;
  const last = n.op.startsWith('LinearP') ? { steps: bytes(m, n.inputs.at(-1)!) } : {};
  return { codes: bytes(m, codes!), scales: bytes(m, scales!), zeros: bytes(m, zeros!), ...last };
};

test('MergeQuant: norms emit the codes that products read, nothing is between them', async () => {
  const { model } = await system('mergequant');
  assert.equal(counted(layer(model).map((n) => n.op)), {
    AddRmsNormQuantizeStatic: 2,
    CachedAttention: 1,
    HadamardQuantizeAsymmetric: 1,
    LinearW4C8: 6,
    LinearW4C8Gated: 1,
    QuantizeRowsAsymmetric: 1,
  });
  const norm = 'AddRmsNormQuantizeStatic';
  assert.equal(before(model), [norm, norm, norm, 'QuantizeRowsAsymmetric', norm, norm, 'HadamardQuantizeAsymmetric']);
  // Migrated: the step of all channels is 1, it is in the gain.
  for (const n of layer(model).filter((x) => x.op === norm)) {
    const step = model.graph.initializers.get(n.inputs[3]!)!.source;
    assert.is(step.kind === 'bytes' && new Float32Array(step.bytes.slice().buffer)[0], 1);
  }
  assert.equal(weighs(model, 'layers.1/self_attn/q_proj'), { codes: (256 * 256) / 2, scales: 256 * 4, zeros: 1 });
});

test('QoQ: progressive products on the codes of norms, the cache rounded inside attention', async () => {
  const { model } = await system('qoq');
  assert.equal(counted(layer(model).map((n) => n.op)), {
    AddRmsNormQuantize: 2,
    CachedAttentionRounded: 1,
    LinearP4A8: 2,
    LinearP4C8: 4,
    LinearP4C8Gated: 1,
  });
  const norm = 'AddRmsNormQuantize';
  assert.equal(before(model), [norm, norm, norm, 'CachedAttentionRounded', norm, norm, 'LinearP4C8Gated']);
  assert.equal(weighs(model, 'layers.1/self_attn/q_proj'), {
    codes: (256 * 256) / 2,
    scales: 256 * 4,
    zeros: (256 * 256) / 32,
    steps: (256 * 256) / 32,
  });
});

test('FlexQ: six-bit products, six bits a weight and a scale a group', async () => {
  const { model } = await system('flexq_w6a6');
  const ops = counted(layer(model).map((n) => n.op));
  assert.equal([ops['LinearW6C8'], ops['LinearW6C8Gated'], ops['QuantizeRows'], ops['AddRmsNorm']], [6, 1, 4, 2]);
  assert.equal(
    Object.keys(ops).filter(
      (op) => !['AddRmsNorm', 'CachedAttention', 'LinearW6C8', 'LinearW6C8Gated', 'QuantizeRows', 'Reshape'].includes(op),
    ),
    [],
  );
  for (const [path, n] of [
    ['layers.1/self_attn/q_proj', 256 * 256],
    ['layers.1/self_attn/k_proj', 256 * 64],
    ['layers.1/mlp/gate_proj', 256 * 512],
  ] as const)
    assert.equal(weighs(model, path), { codes: (n * 6) / 8, scales: (n / 32) * 4, zeros: 1 }, path);
});

test('SVDQuant: the branch is an input of the product, and one h serves q, k and v', async () => {
  const { model } = await system('svdquant');
  const ops = counted(layer(model).map((n) => n.op));
  assert.equal([ops['LinearW4C8'], ops['LinearW4C8Gated'], ops['MatMul'], ops['QuantizeRowsAsymmetric']], [6, 1, 4, 4]);
  assert.is(ops['Add'], undefined);
  const linears = layer(model).filter((n) => n.op.startsWith('Linear'));
  assert.ok(linears.every((n) => model.graph.initializers.get(n.inputs[7]!)!.dtype === 'float16'));
  assert.equal([linears[0]!.inputs[6], linears[1]!.inputs[6]], [linears[2]!.inputs[6], linears[2]!.inputs[6]]);
  assert.equal(model.graph.initializers.get(linears[0]!.inputs[7]!)!.shape, [256 / 32, 32, 32]);
});

if (!active) console.log('skipped: the native addon is not built');
else
  test('kernels compute what the bodies say', async () => {
    const feeds = Object.fromEntries(
      Object.entries(sequence(7, 5)).map(([name, v]) => [
        name,
        v.dtype === 'int64'
          ? new Tensor('int64', new BigInt64Array(v.bytes.slice().buffer), v.shape)
          : new Tensor('float32', new Float32Array(v.bytes.slice().buffer), v.shape),
      ]),
    );
    for (const name of ['mergequant', 'qoq', 'flexq_w6a6', 'svdquant']) {
      const { path } = await system(name);
      const logits = async (options: object): Promise<Float32Array> => {
        const session = await ort.InferenceSession.create(path, options);
        const got = (await session.run(feeds))['logits']!.data as Float32Array;
        await session.release();
        return got;
      };
      const [bodies, kernels] = [await logits({ executionProviders: ['cpu'] }), await logits({})];
      const error = bodies.reduce((s, v, i) => s + (v - kernels[i]!) ** 2, 0) / bodies.reduce((s, v) => s + v * v, 0);
      // Floats are summed in another order, so a code at a tie may round the other way: one code of four bits moves a row by a thousandth.
      assert.ok(Math.sqrt(error) < 0.005, `${name}: ${Math.sqrt(error)}`);
    }
  });

test.after(() => w.close());
test.run();
