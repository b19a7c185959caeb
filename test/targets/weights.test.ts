// Weights alone: every format and form, on both targets, equals the simulation; the numbers that come out are the dequantized ones.
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { openTensors } from '../../compiler/graph/bytes.ts';
import { node } from '../../compiler/lower/make.ts';
import { weightIsExact } from '../../compiler/lower/prove.ts';
import { nodeHost } from '../../compiler/node/host.ts';
import { difference, feed, floats, type Kind, modelOf, type Parts, quantized } from './build.ts';

const host = await nodeHost();
const group = (n: number): Kind['grain'] => ({ per: 'group', group: n });

const progressive = {
  format: 'progressive',
  args: { outer: { name: 'int8', args: { bound: 119 } }, inner: { name: 'uint4', args: { group: 32 } } },
};

const linears: Record<string, Parts> = {
  MatMul: { nodes: [node('MatMul', ['x', 'w'], ['y'])], input: [2, 3, 64], initializers: { w: floats([64, 48]) } },
  'MatMul behind Transpose': {
    nodes: [node('Transpose', ['w'], ['wt'], { perm: [1, 0] }), node('MatMul', ['x', 'wt'], ['y'])],
    input: [2, 3, 64],
    initializers: { w: floats([48, 64]) },
  },
  'Gemm transB, alpha, beta': {
    nodes: [node('Gemm', ['x', 'w', 'b'], ['y'], { transB: 1, alpha: { float: 0.5 }, beta: { float: 2 } })],
    input: [5, 64],
    initializers: { w: floats([48, 64]), b: floats([48], 3) },
  },
  'Gemm with bias': {
    nodes: [node('Gemm', ['x', 'w', 'b'], ['y'])],
    input: [5, 64],
    initializers: { w: floats([64, 48]), b: floats([48], 3) },
  },
};
const kinds: Record<string, Kind> = {
  'int4 group 32': { format: 'int4', grain: group(32) },
  'uint4 group 16': { format: 'uint4', grain: group(16) },
  'uint4 hqq': { format: 'uint4', grain: group(32), law: 'hqq' },
  'int4 mse': { format: 'int4', grain: group(32), law: 'mse' },
  'int8 group 32': { format: 'int8', grain: group(32) },
  'int2 group 16': { format: 'int2', grain: group(16) },
  'int3 group 32': { format: 'int3', grain: group(32) },
  'int6 group 64': { format: 'int6', grain: group(64) },
  'int8 channel': { format: 'int8', grain: { per: 'channel' } },
  'uint8 channel': { format: 'uint8', grain: { per: 'channel' } },
  'int4 channel': { format: 'int4', grain: { per: 'channel' } },
  'int8 tensor': { format: 'int8', grain: { per: 'tensor' } },
  'int4 block 16x16': { format: 'int4', grain: { per: 'block', rows: 16, cols: 16 } },
  'uint4 block 16x16': { format: 'uint4', grain: { per: 'block', rows: 16, cols: 16 } },
  'fp8 channel': { format: 'fp8', grain: { per: 'channel' } },
  'fp8 e5m2 tensor': { format: 'fp8', args: { kind: 'e5m2' }, grain: { per: 'tensor' } },
  'fp8 group 32': { format: 'fp8', grain: group(32) },
  'fp4 group 32': { format: 'fp4', grain: group(32) },
  'fp4 block 16x16': { format: 'fp4', grain: { per: 'block', rows: 16, cols: 16 } },
  progressive: { ...progressive, grain: group(32) },
  mxfp4: { format: 'mxfp4', grain: group(32) },
  nvfp4: { format: 'nvfp4', grain: group(16) },
  float16: { format: 'float16', grain: { per: 'tensor' } },
  bfloat16: { format: 'bfloat16', grain: { per: 'tensor' } },
};

const few = ['int4 group 32', 'uint4 group 16', 'int8 channel', 'fp8 channel', 'mxfp4', 'progressive'];
for (const [form, parts] of Object.entries(linears))
  for (const [kind, k] of Object.entries(kinds).filter(([name]) => form === 'MatMul' || few.includes(name)))
    test(`${form}, ${kind}`, async () => {
      const s = quantized(modelOf(parts), k);
      assert.is(s.weights.length, 1, 'one weight is quantized');
      const shape = parts.input as number[];
      for (const target of ['portable', 'ort', 'ort packed']) {
        const { relative, ops } = await difference(host, target, s, [feed(shape), feed(shape, 8)]);
        assert.ok(relative < 2e-6, `${target}: ${relative} (${ops.join(' ')})`);
        const wanted = target === 'ort' ? /^u?int[34] group/ : /^u?int[2-8] group/;
        if (target !== 'portable' && wanted.test(kind)) assert.ok(ops.includes('MatMulNBits'), ops.join(' '));
      }
    });

test('layouts stand for exactly the simulated numbers', async () => {
  const reader = openTensors(host, '.');
  for (const parts of Object.values(linears))
    for (const [kind, k] of Object.entries(kinds)) {
      const [w] = quantized(modelOf(parts), k).weights;
      const int = w!.type.codes?.kind === 'int';
      assert.ok(await weightIsExact(w!, 'source', reader), `${kind}: source`);
      if (int && k.grain.per === 'group') assert.ok(await weightIsExact(w!, 'nbits', reader), `${kind}: nbits`);
    }
});

test.after(() => host.close());
test.run();
