// Logarithmic codes times integers: the pattern is found, body and kernel give the bits of the formula.
import { mkdtempSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { infer } from '../../compiler/graph/infer.ts';
import { writeModel } from '../../compiler/graph/write.ts';
import { float32s, node, numbers } from '../../compiler/lower/make.ts';
import { fuse } from '../../compiler/lower/native/fuse.ts';
import { nodeHost } from '../../compiler/node/host.ts';
import { levelValues } from '../../compiler/simulate/levels.ts';
import { active } from '../../runtime/index.ts';
import { modelOf } from '../targets/build.ts';

const { InferenceSession, Tensor } = createRequire(import.meta.url)('onnxruntime-node') as typeof import('onnxruntime-node');
const host = await nodeHost();
const folder = mkdtempSync(join(tmpdir(), 'qc-levels-'));
test.after(async () => {
  await host.close();
  rmSync(folder, { recursive: true, force: true });
});
const [H, T, S, D] = [2, 5, 9, 33];
const [scale, zero] = [0.03125, 128];

for (const [name, bits, ratio] of [
  ['LogSqrt2MatMul4', 4, Math.SQRT2],
  ['LogSqrt2MatMul6', 6, Math.SQRT2],
  ['Log2MatMul4', 4, 2],
] as const)
  test(`${name}: bit-exact to its formula`, async () => {
    const last = 2 ** bits - 1;
    const codes = Float32Array.from({ length: H * T * S }, (_, i) => (i * 7 + Math.floor(i / 11)) % (last + 1));
    const v = Float32Array.from({ length: H * S * D }, (_, i) => Math.sin(i * 1.3) * 3);
    const delta = Float32Array.from({ length: H * T }, (_, i) => 2 ** -(i % 3));
    const nodes = [
      node('Cast', ['x'], ['q'], { to: 6 }),
      node('Gather', ['levels', 'q'], ['l']),
      node('Mul', ['l', 'delta'], ['p']),
      node('QuantizeLinear', ['v', 'scale', 'zero'], ['c']),
      node('DequantizeLinear', ['c', 'scale', 'zero'], ['w']),
      node('MatMul', ['p', 'w'], ['y']),
    ];
    const initializers = {
      levels: numbers('float32', [last + 1], levelValues({ ratio, bits })),
      v: float32s(v, [H, S, D]),
      scale: float32s([scale], []),
      zero: numbers('uint8', [], [zero]),
      delta: float32s(delta, [H, T, 1]),
    };
    const source = infer(modelOf({ nodes, input: [H, T, S], initializers }));
    const fused = fuse(source);
    assert.ok(fused.graph.nodes.some((n) => n.op === name));
    assert.not.ok(fused.graph.nodes.some((n) => n.op === 'MatMul'));
    // The formula: sums of integers are exact in float64, then two products and a sum in float32.
    const depth = Math.ceil((last - 1) / (ratio === 2 ? 1 : 2));
    const expected = new Float32Array(H * T * D);
    for (let row = 0; row < H * T; row++)
      for (let d = 0; d < D; d++) {
        const sums = [0, 0];
        for (let s = 0; s < S; s++) {
          const q = codes[row * S + s]!;
          const x = v[(Math.floor(row / T) * S + s) * D + d]!;
          const c = Math.min(255, Math.max(0, roundEven(x / scale) + zero)) - zero;
          if (q < last) sums[ratio === 2 ? 0 : q % 2]! += c * 2 ** (depth - Math.ceil(q / (ratio === 2 ? 1 : 2)));
        }
        const a = Math.fround(Math.fround(delta[row]! * scale) * 2 ** -depth);
        const b = Math.fround(a * Math.fround(Math.SQRT2));
        const [even, odd] = [Math.fround(a * Math.fround(sums[0]!)), Math.fround(b * Math.fround(sums[1]!))];
        expected[row * D + d] = ratio === 2 ? even : Math.fround(even + odd);
      }
    const file = join(folder, `${name}.onnx`);
    await writeModel(host, fused, file, { dir: folder });
    for (const options of active ? [{ executionProviders: ['cpu'] }, {}] : [{ executionProviders: ['cpu'] }]) {
      const session = await InferenceSession.create(file, options);
      const { y } = await session.run({ x: new Tensor('float32', codes, [H, T, S]) });
      await session.release();
      assert.equal(Array.from(y!.data as Float32Array), Array.from(expected));
    }
  });

test('rows that count from 1, and values with a scale a head that is found at run time, by bodies and by kernels', async () => {
  const codes = Float32Array.from({ length: H * T * S }, (_, i) => (i * 5 + Math.floor(i / 13)) % 16);
  const v = Float32Array.from({ length: H * S * D }, (_, i) => Math.sin(i * 1.3) * (i < S * D ? 3 : 0.2));
  const zero32 = numbers('float32', [], [0]);
  const reduce = (op: string, out: string) => node(op, ['v'], [out], { axes: [1, 2], keepdims: 1 });
  const nodes = [
    node('Cast', ['x'], ['q'], { to: 6 }),
    node('Gather', ['levels', 'q'], ['p']),
    reduce('ReduceMax', 'top'),
    reduce('ReduceMin', 'bottom'),
    node('Max', ['top', 'none'], ['hi']),
    node('Min', ['bottom', 'none'], ['lo']),
    node('Sub', ['hi', 'lo'], ['range']),
    node('Div', ['range', 'last'], ['s']),
    node('Div', ['lo', 's'], ['below']),
    node('Sub', ['none', 'below'], ['above']),
    node('Round', ['above'], ['z']),
    node('Clip', ['z', 'none', 'last'], ['zero']),
    node('Div', ['v', 's'], ['steps']),
    node('Round', ['steps'], ['r']),
    node('Add', ['r', 'zero'], ['moved']),
    node('Clip', ['moved', 'none', 'last'], ['c']),
    node('Sub', ['c', 'zero'], ['centred']),
    node('Mul', ['centred', 's'], ['w']),
    node('MatMul', ['p', 'w'], ['y']),
  ];
  const initializers = {
    levels: numbers('float32', [16], levelValues({ ratio: Math.SQRT2, bits: 4 })),
    v: float32s(v, [H, S, D]),
    none: zero32,
    last: numbers('float32', [], [15]),
  };
  const source = infer(modelOf({ nodes, input: [H, T, S], initializers }));
  const fused = fuse(source);
  assert.is(fused.graph.nodes.filter((n) => n.op === 'LogSqrt2MatMul4').length, 1);
  assert.not.ok(fused.graph.nodes.some((n) => n.op === 'MatMul'));
  let count = 0;
  const run = async (model: typeof source, options = {}) => {
    const file = join(folder, `head${count++}.onnx`);
    await writeModel(host, model, file, { dir: folder });
    const session = await InferenceSession.create(file, options);
    const { y } = await session.run({ x: new Tensor('float32', codes, [H, T, S]) });
    await session.release();
    return y!.data as Float32Array;
  };
  const stock = { executionProviders: ['cpu'] };
  const [want, body] = [await run(source, stock), await run(fused, stock)];
  const off = Math.hypot(...want.map((x, i) => x - body[i]!)) / Math.hypot(...want);
  assert.ok(off < 1e-6, `${off}`);
  if (active) assert.equal([...(await run(fused))], [...body]);
});

const roundEven = (x: number): number => {
  const r = Math.round(x);
  return Math.abs(x % 1) === 0.5 && r % 2 ? r - 1 : r;
};

test.run();
