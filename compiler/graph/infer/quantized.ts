/** Quantized operators, of ONNX and of ONNX Runtime's domain com.microsoft. */

import { add, floorDiv, mul, sub } from '../dims.ts';
import { dtypeOf } from '../dtype.ts';
import type { Dim } from '../types.ts';
import { axisOf, broadcast, type Context, type Rule } from './context.ts';
import { convolution, globalPool, matmul } from './layers.ts';

const quantize: Rule = (c) => c.set(0, c.dtype(2) ?? dtypeOf(c.int('output_dtype', 0)) ?? 'uint8', c.shape(0));
const dequantize: Rule = (c) => c.set(0, dtypeOf(c.int('output_dtype', 0)) ?? c.dtype(1) ?? 'float32', c.shape(0));

const dynamicQuantize: Rule = (c) => {
  c.set(0, 'uint8', c.shape(0));
  c.set(1, 'float32', []);
  c.set(2, 'uint8', []);
};

/** [..., K] · packed weight of N columns. */
const projection =
  (width: (c: Context) => Dim | undefined): Rule =>
  (c) => {
    const x = c.shape(0);
    const n = width(c);
    c.set(0, c.dtype(0), x && [...x.slice(0, -1), n ?? c.fresh(x.length - 1)]);
  };

const gatherBlocks: Rule = (c) => {
  const [data, indices] = [c.shape(0), c.shape(1)];
  if (data === undefined || indices === undefined) return c.set(0, c.dtype(2));
  // uint8 data holds several codes a byte along the last axis
  const packed = c.dtype(0) === 'uint8' ? 8 / c.int('bits', 4) : 1;
  const full = data.map((d, i) => (i === data.length - 1 ? mul(d, packed) : d));
  const axis = axisOf(c.int('gather_axis', 0), full.length);
  c.set(0, c.dtype(2), [...full.slice(0, axis), ...indices, ...full.slice(axis + 1)]);
};

const qgemm: Rule = (c) => {
  const m = c.shape(0)?.[c.int('transA', 0)] ?? c.fresh(0);
  const n = c.shape(3)?.[c.int('transB', 0) === 1 ? 0 : 1] ?? c.fresh(1);
  c.set(0, c.has(8) ? c.dtype(8) : c.has(7) ? c.dtype(0) : 'float32', [m, n]);
};

const qConcat: Rule = (c) => {
  const shapes = c.inputs.filter((_, i) => i >= 2 && (i - 2) % 3 === 0).map((f) => f?.shape);
  const first = shapes[0];
  if (first === undefined || shapes.some((s) => s === undefined)) return c.set(0, c.dtype(1));
  const axis = axisOf(c.int('axis', 0), first.length);
  c.set(
    0,
    c.dtype(1),
    first.map((d, i) => (i === axis ? shapes.map((s) => s![i]!).reduce(add, 0) : d)),
  );
};

/** out, mean, inverse deviation, input + skip. */
const skipNorm: Rule = (c) => {
  c.set(0, c.dtype(0), c.shape(0));
  const stats = c.shape(0) && [...c.shape(0)!.slice(0, -1), 1];
  for (const i of [1, 2]) c.set(i, 'float32', stats);
  c.set(3, c.dtype(0), c.shape(0));
};

/** y like x; the state is the last kernel − 1 positions. */
const causalConv: Rule = (c) => {
  const [x, w] = [c.shape(0), c.shape(1)];
  c.set(0, c.dtype(0), x);
  c.set(1, c.dtype(0), c.shape(3) ?? (x && w && [x[0]!, x[1]!, sub(w.at(-1)!, 1)]));
};

const groupQuery: Rule = (c) => {
  const [q, past] = [c.shape(0), c.shape(3)];
  const [heads, kv] = [c.int('num_heads', 1), c.int('kv_num_heads', 1)];
  // packed: q, k and v in one tensor
  const size = q && (c.has(1) ? floorDiv(q[2]!, heads) : floorDiv(q[2]!, heads + 2 * kv));
  c.set(0, c.dtype(0), q && [q[0]!, q[1]!, mul(size!, heads)]);
  for (const i of [1, 2]) c.set(i, c.dtype(2 + i) ?? c.dtype(0), past && q && [past[0]!, past[1]!, add(past[2]!, q[1]!), past[3]!]);
};

const binary =
  (a: number, b: number): Rule =>
  (c) =>
    c.set(
      0,
      c.dtype(a),
      broadcast([c.shape(a), c.shape(b)], (i) => c.fresh(i)),
    );

export const quantized: readonly [string, Rule][] = [
  ['QuantizeLinear', quantize],
  ['DequantizeLinear', dequantize],
  ['DynamicQuantizeLinear', dynamicQuantize],
  ['MatMulInteger', (c) => c.set(0, 'int32', matmul(c.shape(0), c.shape(1), c))],
  ['QLinearMatMul', (c) => c.set(0, c.dtype(7), matmul(c.shape(0), c.shape(3), c))],
  ['ConvInteger', convolution(0, 1, () => 'int32')],
  ['QLinearConv', convolution(0, 3, (c) => c.dtype(7))],
];

const sameShape =
  (dtypeAt: number): Rule =>
  (c) =>
    c.set(0, c.dtype(dtypeAt), c.shape(0));

/** Operators of com.microsoft. */
export const microsoft: readonly [string, Rule][] = [
  ['QuantizeLinear', quantize],
  ['DequantizeLinear', dequantize],
  ['MatMulNBits', projection((c) => c.int('N'))],
  ['MatMulBnb4', projection((c) => c.int('N'))],
  ['DynamicQuantizeMatMul', projection((c) => c.shape(1)?.at(-1))],
  ['MatMulIntegerToFloat', (c) => c.set(0, c.dtype(2), matmul(c.shape(0), c.shape(1), c))],
  ['QLinearAdd', binary(0, 3)],
  ['QLinearMul', binary(0, 3)],
  ['QLinearSigmoid', sameShape(0)],
  ['QLinearLeakyRelu', sameShape(0)],
  ['QLinearSoftmax', sameShape(0)],
  ['QLinearAveragePool', sameShape(0)],
  [
    'QLinearGlobalAveragePool',
    (c) =>
      c.int('channels_last', 0) === 1
        ? c.set(
            0,
            c.dtype(0),
            c.shape(0)?.map((d, i, s) => (i === 0 || i === s.length - 1 ? d : 1)),
          )
        : globalPool(c),
  ],
  ['QLinearConcat', qConcat],
  ['QGemm', qgemm],
  ['GatherBlockQuantized', gatherBlocks],
  ['FusedMatMul', (c) => c.set(0, c.dtype(0), matmul(turned(c, 0, 'transA'), turned(c, 1, 'transB'), c))],
  ...['Gelu', 'FastGelu', 'BiasGelu', 'QuickGelu', 'RotaryEmbedding', 'BiasSplitGelu'].map((op): [string, Rule] => [op, sameShape(0)]),
  ['SkipLayerNormalization', skipNorm],
  ['SkipSimplifiedLayerNormalization', skipNorm],
  ['SimplifiedLayerNormalization', skipNorm],
  ['CausalConvWithState', causalConv],
  ['GroupQueryAttention', groupQuery],
  ['MultiHeadAttention', (c) => c.set(0, c.dtype(0), c.shape(0) && c.shape(2) && [...c.shape(0)!.slice(0, 2), c.shape(2)!.at(-1)!])],
];

function turned(c: Context, i: number, attr: string): readonly Dim[] | undefined {
  const s = c.shape(i);
  return s !== undefined && c.int(attr, 0) === 1 && s.length > 1 ? [...s.slice(0, -2), s.at(-1)!, s.at(-2)!] : s;
}
