import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { canonicalize } from '../../compiler/graph/canonical.ts';
import { add, ceilDiv, floorDiv, mul, sub } from '../../compiler/graph/dims.ts';
import { infer } from '../../compiler/graph/infer.ts';
import { breaches } from '../../compiler/graph/legality.ts';
import { loadModel } from '../../compiler/graph/load.ts';
import type { Attr, Dim, DType, Model, Node, Tensor } from '../../compiler/graph/types.ts';
import { allGraphs } from '../../compiler/graph/walk.ts';
import { files } from './host.ts';

test('sizes that are equal have one spelling', () => {
  assert.is(add('past', 'seq'), 'past + seq');
  assert.is(add('seq', 'past'), 'past + seq');
  assert.is(sub(add('past', 'seq'), 'past'), 'seq');
  assert.is(sub('s', 's'), 0);
  assert.is(mul('b', mul(8, 's')), '8*b*s');
  assert.is(floorDiv(mul('b', mul(8, 's')), mul(4, 'b')), '2*s');
  assert.is(floorDiv('s', 2), 'floor((s)/(2))');
  assert.is(add(floorDiv('s', 2), 1), 'floor((s)/(2)) + 1');
  assert.is(sub(add(floorDiv(add('s', 1), 2), 1), 1), 'floor((s + 1)/(2))');
  assert.is(ceilDiv(add(mul(2, 's'), 0), 2), 'floor((2*s + 1)/(2))');
  assert.is(mul(sub('a', 'b'), add('a', 'b')), 'a*a - b*b');
  assert.is(sub(3, 's'), '-1*s + 3');
  assert.is(add(sub(3, 's'), 's'), 3);
  assert.is(add('batch-size', 1), 'batch-size + 1');
  assert.is(add(Number.MAX_SAFE_INTEGER, 0), Number.MAX_SAFE_INTEGER);
});

type Given = [dtype: DType, shape: readonly Dim[]] | readonly number[] | undefined;
const isConstant = (g: Given): g is readonly number[] => g !== undefined && typeof g[0] !== 'string';

const constant = (values: readonly number[]): Tensor => ({
  dtype: 'int64',
  shape: [values.length],
  source: { kind: 'bytes', bytes: new Uint8Array(BigInt64Array.from(values, BigInt).buffer) },
});
const attr = (v: number | readonly number[] | string | Attr): Attr =>
  typeof v === 'number'
    ? { type: 'int', value: v }
    : typeof v === 'string'
      ? { type: 'string', value: v }
      : 'type' in v
        ? v
        : { type: 'ints', value: v };

/** One node on given inputs: [dtype, shape] of a graph input, or the numbers of an int64 constant. */
function one(
  op: string,
  given: Given[],
  attrs: Record<string, number | readonly number[] | string | Attr> = {},
  outputs = 1,
  domain = '',
): string {
  const names = given.map((g, i) => (g === undefined ? '' : `i${i}`));
  const node: Node = {
    name: 'n',
    op,
    domain,
    inputs: names,
    outputs: Array.from({ length: outputs }, (_, i) => `o${i}`),
    attrs: new Map(Object.entries(attrs).map(([k, v]) => [k, attr(v)])),
  };
  const model: Model = {
    irVersion: 10,
    opsets: new Map([
      ['', 21],
      ['com.microsoft', 1],
    ]),
    producer: '',
    producerVersion: '',
    domain: '',
    modelVersion: 0,
    doc: '',
    metadata: new Map(),
    functions: [],
    graph: {
      name: 'g',
      nodes: [node],
      inputs: given.flatMap((g, i) => (g === undefined || isConstant(g) ? [] : [{ name: `i${i}`, dtype: g[0], shape: g[1] }])),
      outputs: node.outputs.map((name) => ({ name })),
      initializers: new Map(given.flatMap((g, i) => (isConstant(g) ? [[`i${i}`, constant(g)] as const] : []))),
      values: new Map(),
    },
  };
  infer(model);
  return node.outputs.map((o) => `${model.graph.values.get(o)?.dtype}[${model.graph.values.get(o)?.shape?.join(', ') ?? '…'}]`).join(' ');
}

const f = (...shape: Dim[]): Given => ['float32', shape];
const u8 = (...shape: Dim[]): Given => ['uint8', shape];
const scalar = f();

const cases: [string, string][] = [
  [one('MatMul', [f('b', 's', 64), f(64, 32)]), 'float32[b, s, 32]'],
  [one('MatMul', [f('b', 1, 's', 64), f(8, 64, 32)]), 'float32[b, 8, s, 32]'],
  [one('MatMul', [f(64), f('b', 64, 32)]), 'float32[b, 32]'],
  [one('Gemm', [f('n', 64), f(10, 64), f(10)], { transB: 1 }), 'float32[n, 10]'],
  [
    one('Conv', [f('n', 3, 'h', 224), f(16, 3, 3, 3)], { pads: [1, 1, 1, 1], strides: [2, 2] }),
    'float32[n, 16, floor((h - 1)/(2)) + 1, 112]',
  ],
  [one('Conv', [f(1, 8, 'l'), f(8, 1, 4)], { group: 8, pads: [3, 0], dilations: [1] }), 'float32[1, 8, l]'],
  [one('Conv', [f(1, 3, 7, 7), f(4, 3, 3, 3)], { auto_pad: 'SAME_UPPER', strides: [2, 2] }), 'float32[1, 4, 4, 4]'],
  [one('ConvTranspose', [f(1, 8, 's', 4), f(8, 6, 2, 2)], { strides: [2, 2], group: 2 }), 'float32[1, 12, 2*s, 8]'],
  [one('MaxPool', [f(1, 2, 7, 8)], { kernel_shape: [3, 3], strides: [2, 2], ceil_mode: 1 }), 'float32[1, 2, 3, 4]'],
  [one('GlobalAveragePool', [f('n', 5, 'h', 'w')]), 'float32[n, 5, 1, 1]'],
  [one('Add', [f('b', 1, 's', 't'), f('b', 8, 's', 't')]), 'float32[b, 8, s, t]'],
  [one('Add', [f('a'), f('b')]), 'float32[?o0.0]'],
  [one('Greater', [f('a', 1), f(4)]), 'bool[a, 4]'],
  [one('Where', [['bool', ['s', 1]], scalar, f(1, 't')]), 'float32[s, t]'],
  [one('Reshape', [f('b', 's', 256), [0, 0, 8, -1]]), 'float32[b, s, 8, 32]'],
  [one('Reshape', [f('b', 's', 256), [-1, 256]]), 'float32[b*s, 256]'],
  [one('Reshape', [f(0, 4), [0, 7]], { allowzero: 1 }), 'float32[0, 7]'],
  [one('Reshape', [f('b', 4), ['int64', [3]]]), 'float32[?o0.0, ?o0.1, ?o0.2]'],
  [one('Transpose', [f('a', 'b', 3)], { perm: [2, 0, 1] }), 'float32[3, a, b]'],
  [one('Concat', [f('b', 'past', 4), f('b', 'seq', 4)], { axis: 1 }), 'float32[b, past + seq, 4]'],
  [one('Slice', [f('b', 10, 's'), [1, -2], [2 ** 40, 2 ** 40], [1, 2]]), 'float32[b, 9, 2]'],
  [one('Slice', [f('s', 10), [9], [-(2 ** 40)], [1], [-1]]), 'float32[s, 10]'],
  [one('Split', [f('b', 10)], { axis: 1 }, 3), 'float32[b, 4] float32[b, 4] float32[b, 2]'],
  [one('Split', [f(6, 'b'), [2, 4]], {}, 2), 'float32[2, b] float32[4, b]'],
  [one('Gather', [f(100, 8), ['int64', ['b', 's']]]), 'float32[b, s, 8]'],
  [one('GatherND', [f('a', 3, 4), ['int64', ['n', 2]]]), 'float32[n, 4]'],
  [one('Squeeze', [f('a', 1, 3), [1]]), 'float32[a, 3]'],
  [one('Unsqueeze', [f('a', 3), [0, -1]]), 'float32[1, a, 3, 1]'],
  [one('Expand', [f('a', 1), [2, 1, 7]]), 'float32[2, a, 7]'],
  [one('Tile', [f('a', 2), [3, 2]]), 'float32[3*a, 4]'],
  [one('Range', [[2], [11], [3]]), 'int64[3]'],
  [one('ReduceMean', [f('a', 'b', 3), [-1]]), 'float32[a, b, 1]'],
  [one('ReduceSum', [f('a', 'b', 3), [0, 2]], { keepdims: 0 }), 'float32[b]'],
  [one('ArgMax', [f('a', 3)], { axis: -1, keepdims: 0 }), 'int64[a]'],
  [one('Cast', [f('a')], { to: 10 }), 'float16[a]'],
  [one('Shape', [f('a', 2)]), 'int64[2]'],
  [one('ConstantOfShape', [[2, 3]]), 'float32[2, 3]'],
  [one('Pad', [f('a', 3), [0, 1, 2, 3]]), 'float32[a + 2, 7]'],
  [one('Resize', [f(1, 3, 'h', 5), undefined, undefined, [1, 3, 64, 32]]), 'float32[1, 3, 64, 32]'],
  [one('TopK', [f('a', 9), [4]], {}, 2), 'float32[a, 4] int64[a, 4]'],
  [one('OneHot', [['int64', ['a']], [7], f(2)]), 'float32[a, 7]'],
  [one('Einsum', [f('b', 'i', 4), f('b', 4, 'j')], { equation: 'bik, bkj -> bij' }), 'float32[b, i, j]'],
  [one('Einsum', [f('b', 2, 3), f(3, 5)], { equation: '...ij,jk->...ik' }), 'float32[b, 2, 5]'],
  [one('LayerNormalization', [f('b', 's', 8), f(8), f(8)], {}, 3), 'float32[b, s, 8] float32[b, s, 1] float32[b, s, 1]'],
  [one('Dropout', [f('b')], {}, 2), 'float32[b] bool[b]'],
  [
    one('LSTM', [f('t', 'b', 3), f(2, 16, 3), f(2, 16, 4)], { hidden_size: 4, direction: 'bidirectional' }, 3),
    'float32[t, 2, b, 4] float32[2, b, 4] float32[2, b, 4]',
  ],
  [one('QuantizeLinear', [f('a'), scalar, ['int8', []]]), 'int8[a]'],
  [one('DequantizeLinear', [['int4', [8, 'a']], f(2, 'a')], { axis: 0, block_size: 4 }), 'float32[8, a]'],
  [
    one('DequantizeLinear', [
      ['int8', [8]],
      ['float16', []],
    ]),
    'float16[8]',
  ],
  [one('DynamicQuantizeLinear', [f('a')], {}, 3), 'uint8[a] float32[] uint8[]'],
  [one('MatMulInteger', [u8('a', 4), ['int8', [4, 6]]]), 'int32[a, 6]'],
  [one('QLinearConv', [u8(1, 3, 8, 8), scalar, u8(), ['int8', [5, 3, 3, 3]], scalar, ['int8', []], scalar, u8()]), 'uint8[1, 5, 6, 6]'],
  [
    one('MatMulNBits', [f('b', 's', 64), u8(32, 2, 16), f(64)], { N: 32, K: 64, bits: 4, block_size: 32 }, 1, 'com.microsoft'),
    'float32[b, s, 32]',
  ],
  [one('MatMulIntegerToFloat', [u8('a', 4), ['int8', [4, 6]], scalar, f(6)], {}, 1, 'com.microsoft'), 'float32[a, 6]'],
  [one('DynamicQuantizeMatMul', [f('a', 4), ['int8', [4, 6]], f(6)], {}, 1, 'com.microsoft'), 'float32[a, 6]'],
  [
    one(
      'GatherBlockQuantized',
      [u8(100, 32), ['int64', ['b', 's']], f(100, 2)],
      { bits: 4, block_size: 32, quantize_axis: 1 },
      1,
      'com.microsoft',
    ),
    'float32[b, s, 64]',
  ],
  [
    one('QGemm', [u8('a', 4), scalar, u8(), ['int8', [6, 4]], scalar, ['int8', []], ['int32', [6]]], { transB: 1 }, 1, 'com.microsoft'),
    'float32[a, 6]',
  ],
  [
    one('QLinearConcat', [scalar, u8(), u8('a', 2), scalar, u8(), u8('a', 3), scalar, u8()], { axis: 1 }, 1, 'com.microsoft'),
    'uint8[a, 5]',
  ],
  [one('NobodyKnowsThis', [f('a')]), 'undefined[…]'],
];

for (const [i, [actual, expected]] of cases.entries()) test(`rule ${i}: ${expected}`, () => assert.is(actual, expected));

const root = join(import.meta.dirname, '../..');
for (const folder of [join(root, 'test/models'), join(root, '../shared/models')]) {
  if (!existsSync(folder)) {
    console.log(`skipped: ${folder} is not there`);
    continue;
  }
  for (const name of readdirSync(folder)) {
    const path = join(folder, name, 'model.onnx');
    if (!existsSync(path)) continue;
    test(`${name}: every value has a type and all its sizes follow from the inputs`, async () => {
      const { model } = await loadModel(files, path);
      for (const g of allGraphs(model.graph)) g.values = new Map();
      infer(model);
      for (const g of allGraphs(model.graph)) {
        for (const o of g.nodes.flatMap((n) => n.outputs)) {
          const v = g.values.get(o);
          assert.ok(v?.dtype !== undefined && v.shape !== undefined, o);
          assert.not.ok(
            v.shape.some((d) => String(d).includes('?')),
            `${o} [${v.shape}]`,
          );
        }
      }
      assert.equal(breaches(infer(canonicalize(model)), 'float'), []);
    });
  }
}

test.run();
