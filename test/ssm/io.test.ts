// `--io quantized` for states: decode loops carry int8 codes, and every step gives what the model gives that holds them in float outside.
import { createRequire } from 'node:module';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { loadModel } from '../../compiler/graph/load.ts';
import { distance } from '../../compiler/lower/prove.ts';
import type { QcError } from '../../grammar/diagnostics.ts';
import { active } from '../../runtime/index.ts';
import { workplace } from '../compile/help.ts';

const { InferenceSession, Tensor } = createRequire(import.meta.url)('onnxruntime-node') as typeof import('onnxruntime-node');
const w = await workplace();
test.after(() => w.close());
const data = { data: { calib: 'test/models/mamba2/calib' } };
const recipe = (state = 'int8 { mode: static, per: element }') => `calibrate data("calib") { samples: 1 }
quantize weight of conv as int8 { per: channel }
quantize input of conv as int8 { mode: static, per: channel }
quantize x, dt of ssm as int8 { mode: static, per: channel }
quantize B, C, z of ssm as int8 { mode: static }
quantize state of ssm as ${state}`;

const zeros = (i: { dtype?: string; shape?: readonly (number | string)[] }) => {
  const shape = i.shape!.map((d) => (typeof d === 'number' ? d : 1));
  const n = shape.reduce((a, b) => a * b, 1);
  return i.dtype === 'int8' ? new Tensor('int8', new Int8Array(n), shape) : new Tensor('float32', new Float32Array(n), shape);
};
/** Logits of each run: five tokens, then one a run, states handed on as they came. Also the bytes of the states. */
async function decoded(path: string, options = {}): Promise<{ logits: Float32Array[]; bytes: number }> {
  const { graph } = (await loadModel(w.host, path)).model;
  const session = await InferenceSession.create(path, options);
  const past = graph.inputs.filter((i) => i.name.startsWith('past'));
  let state = Object.fromEntries(past.map((i) => [i.name, zeros(i)]));
  const tokens = [0, 17, 250, 31, 8, 99, 1200, 5, 61, 7];
  const logits: Float32Array[] = [];
  for (let at = 0; at < tokens.length; ) {
    const now = tokens.slice(at, at + (at === 0 ? 5 : 1));
    const out = await session.run({ ...state, input_ids: new Tensor('int64', BigInt64Array.from(now, BigInt), [1, now.length]) });
    state = Object.fromEntries(past.map((i) => [i.name, out[i.name.replace('past_', 'present_')]!])) as typeof state;
    logits.push(out['logits']!.data as Float32Array);
    at += now.length;
  }
  await session.release();
  const bytes = Object.values(state).reduce((n, t) => n + (t.data as Int8Array).byteLength, 0);
  return { logits, bytes };
}
const stock = { executionProviders: ['cpu'] };
const relative = (a: Float32Array, b: Float32Array) => {
  const bytes = (x: Float32Array) => ({
    dtype: 'float32' as const,
    shape: [x.length],
    bytes: new Uint8Array(x.buffer, x.byteOffset, x.byteLength),
  });
  return distance(bytes(a), bytes(b));
};

for (const [target, state] of [
  ['portable', 'uint8'],
  ['native', 'int8'],
  ['native', 'uint8'],
] as const)
  test(`${target}, ${state}: each step is that of states in float outside, a quarter of the bytes`, async () => {
    const [inside, outside] = [
      await w.compiled('mamba2', recipe(`${state} { mode: static, per: element }`), { ...data, target }),
      await w.compiled('mamba2', recipe(`${state} { mode: static, per: element }`), { ...data, target, io: 'quantized' }),
    ];
    const { graph } = (await loadModel(w.host, outside.output)).model;
    for (const side of [graph.inputs.filter((i) => i.name.startsWith('past')), graph.outputs.filter((o) => o.name.startsWith('present'))])
      assert.equal(
        side.map((i) => i.dtype),
        Array(6).fill('int8'),
      );
    const ops = graph.nodes.map((n) => n.op);
    if (target === 'native') {
      assert.equal([ops.filter((o) => o === 'SelectiveScanInt8').length, ops.filter((o) => o === 'CausalConv1dInt8').length], [3, 3]);
      assert.ok(!ops.includes('Cast'), 'no conversion stands at the edge');
    }
    const want = await decoded(inside.output, stock);
    for (const way of target === 'native' && active ? [stock, {}] : [stock]) {
      const got = await decoded(outside.output, way);
      assert.is(got.bytes * 4, want.bytes);
      for (const [i, x] of want.logits.entries())
        assert.ok(relative(x, got.logits[i]!) < 5e-3, `step ${i}: ${relative(x, got.logits[i]!)}`);
      assert.ok(relative(want.logits.at(-1)!, got.logits.at(-1)!) < 5e-3);
    }
    const float = await decoded('test/models/mamba2/model.onnx', stock);
    assert.ok(relative(float.logits.at(-1)!, want.logits.at(-1)!) > 1e-2, 'the states are quantized');
  });

test('states in float, and states of more than eight bits, are refused', async () => {
  const code = (text: string) =>
    w.compiled('mamba2', text, { ...data, io: 'quantized' }).then(
      () => 'none',
      (e: QcError) => e.diagnostics[0]!.code,
    );
  assert.is(await code('quantize weight of conv as int8 { per: channel }'), 'io-nothing');
  assert.is(await code(recipe('int16 { mode: static, per: channel }')), 'io-cache');
});

test.run();
