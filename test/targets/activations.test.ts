// Weights and activations: every pair of types in linears, on both targets, equals the simulation.
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { node } from '../../compiler/lower/make.ts';
import { nodeHost } from '../../compiler/node/host.ts';
import { difference, feed, floats, type Kind, modelOf, type Parts, quantized } from './build.ts';

const host = await nodeHost();
const group = (n: number): Kind['grain'] => ({ per: 'group', group: n });
const tensor = { per: 'tensor' } as const;
const token = { per: 'token' } as const;
const channel = { per: 'channel' } as const;

const linears: Record<string, Parts> = {
  MatMul: { nodes: [node('MatMul', ['x', 'w'], ['y'])], input: [2, 3, 64], initializers: { w: floats([64, 48]) } },
  'Gemm transB with bias': {
    nodes: [node('Gemm', ['x', 'w', 'b'], ['y'], { transB: 1 })],
    input: [5, 64],
    initializers: { w: floats([48, 64]), b: floats([48], 3, 20) },
  },
  'Gemm alpha': {
    nodes: [node('Gemm', ['x', 'w', 'b'], ['y'], { alpha: { float: 2 }, beta: { float: 0.5 } })],
    input: [5, 64],
    initializers: { w: floats([64, 48]), b: floats([48], 3, 20) },
  },
};
const weights: Record<string, Kind> = {
  'int8 channel': { format: 'int8', grain: channel },
  'uint8 channel': { format: 'uint8', grain: channel },
  'int4 channel': { format: 'int4', grain: channel },
  'int4 group 32': { format: 'int4', grain: group(32) },
  'fp8 channel': { format: 'fp8', grain: channel },
};
const inputs: Record<string, Kind> = {
  'int8 by token': { format: 'int8', grain: token, mode: 'dynamic' },
  'uint8 by token': { format: 'uint8', grain: token, mode: 'dynamic' },
  'int4 by token': { format: 'int4', grain: token, mode: 'dynamic' },
  'uint8 by tensor': { format: 'uint8', grain: tensor, mode: 'dynamic' },
  'int8 by tensor': { format: 'int8', grain: tensor, mode: 'dynamic' },
  'int8 static': { format: 'int8', grain: tensor },
  'uint8 static': { format: 'uint8', grain: tensor },
  'int6 static': { format: 'int6', grain: tensor },
  'int16 static': { format: 'int16', grain: tensor },
  'fp8 static': { format: 'fp8', grain: tensor },
  'fp8 by token': { format: 'fp8', grain: token, mode: 'dynamic' },
  'int8 by group 32': { format: 'int8', grain: group(32), mode: 'dynamic' },
  'mxfp4 dynamic': { format: 'mxfp4', grain: group(32), mode: 'dynamic' },
  'nvfp4 dynamic': { format: 'nvfp4', grain: group(16), mode: 'dynamic' },
  'float16 cast': { format: 'float16', grain: tensor },
};
/** What the fast path must be, where there is one. */
const expected: Record<string, Record<string, string>> = {
  'int8 by token': { portable: 'MatMulInteger', ort: 'MatMulIntegerToFloat' },
  'uint8 by tensor': { portable: 'MatMulInteger', ort: 'DynamicQuantizeMatMul' },
  'int8 static': { portable: 'QuantizeLinear', ort: 'MatMulIntegerToFloat' },
  'uint8 static': { portable: 'QuantizeLinear', ort: 'MatMulIntegerToFloat' },
};

const few = ['int8 by token', 'uint8 by tensor', 'uint8 static'];
for (const [form, parts] of Object.entries(linears))
  for (const [iName, i] of Object.entries(inputs).filter(([name]) => form === 'MatMul' || few.includes(name)))
    test(`${form}, input ${iName}`, async () => {
      for (const [wName, w] of Object.entries(weights)) {
        const s = quantized(modelOf(parts), w, i);
        assert.is(s.values.length, 1);
        const shape = parts.input as number[];
        for (const target of ['portable', 'ort']) {
          const { relative, ops } = await difference(host, target, s, [feed(shape)]);
          // A group-wise int8 product is ONNX Runtime's own rounding of activations.
          const limit = ops.includes('MatMulNBits') && iName === 'int8 by group 32' ? 5e-3 : 1e-5;
          assert.ok(relative < limit, `${target}, weight ${wName}: ${relative} (${ops.join(' ')})`);
          const fast = expected[iName]?.[target];
          if (fast && wName === 'int8 channel') assert.ok(ops.includes(fast), `${target}: ${ops.join(' ')}`);
        }
      }
    });

test('an all-zero input has a scale', async () => {
  for (const i of ['int8 by token', 'uint8 by tensor', 'uint8 by token', 'fp8 by token', 'mxfp4 dynamic', 'nvfp4 dynamic']) {
    const s = quantized(modelOf(linears['MatMul']!), weights['int8 channel'], inputs[i]);
    const zero = { x: { dtype: 'float32' as const, shape: [2, 3, 64], bytes: new Uint8Array(4 * 384) } };
    for (const target of ['portable', 'ort']) assert.is((await difference(host, target, s, [zero])).relative, 0, `${target} ${i}`);
  }
});

test.after(() => host.close());
test.run();
