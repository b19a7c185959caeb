/** Operators with weights: products, convolutions, pooling, norms, recurrent layers, attention. */
import { add, ceilDiv, floorDiv, mul, product, sub } from '../dims.ts';
import type { Dim, DType } from '../types.ts';
import { broadcast, type Context, type Rule } from './context.ts';

/** numpy's matmul. */
export function matmul(a: readonly Dim[] | undefined, b: readonly Dim[] | undefined, c: Context): readonly Dim[] | undefined {
  if (a === undefined || b === undefined || a.length === 0 || b.length === 0) return undefined;
  const batch = broadcast([a.slice(0, -2), b.slice(0, -2)], (i) => c.fresh(i))!;
  return [...batch, ...(a.length > 1 ? [a.at(-2)!] : []), ...(b.length > 1 ? [b.at(-1)!] : [])];
}

const product2: Rule = (c) => c.set(0, c.dtype(0) ?? c.dtype(1), matmul(c.shape(0), c.shape(1), c));

const gemm: Rule = (c) => {
  const [a, b] = [c.shape(0), c.shape(1)];
  const m = a?.[c.int('transA', 0) === 1 ? 1 : 0] ?? c.fresh(0);
  const n = b?.[c.int('transB', 0) === 1 ? 0 : 1] ?? c.fresh(1);
  c.set(0, c.dtype(0), [m, n]);
};

/** Sizes after a window moved over them, with ONNX's padding rules. */
function windowed(c: Context, x: readonly Dim[], kernel: readonly Dim[], ceil = false): Dim[] {
  const n = kernel.length;
  const strides = c.ints('strides') ?? kernel.map(() => 1);
  const dilations = c.ints('dilations') ?? kernel.map(() => 1);
  const pads = c.ints('pads') ?? Array.from({ length: 2 * n }, () => 0);
  const auto = c.string('auto_pad') ?? 'NOTSET';
  return kernel.map((k, i) => {
    const size = x[i + 2]!;
    const s = strides[i]!;
    if (auto.startsWith('SAME')) return ceilDiv(size, s);
    const padding = auto === 'VALID' ? 0 : pads[i]! + pads[i + n]!;
    const span = add(mul(sub(k, 1), dilations[i]!), 1);
    const free = sub(add(size, padding), span);
    if (!ceil) return add(floorDiv(free, s), 1);
    const out = add(ceilDiv(free, s), 1);
    // the last window has to start inside the input or its left padding
    return typeof out === 'number' && typeof size === 'number' && (out - 1) * s >= size + pads[i]! ? out - 1 : out;
  });
}

const unknownImage = (c: Context, x: readonly Dim[] | undefined, channels: Dim | undefined): readonly Dim[] | undefined =>
  x && [x[0]!, channels ?? c.fresh(1), ...x.slice(2).map((_, i) => c.fresh(i + 2))];

/** Conv and its quantized forms: `x`, `w` say at which inputs data and weights are. */
export const convolution =
  (xAt: number, wAt: number, dtype: (c: Context) => DType | undefined): Rule =>
  (c) => {
    const [x, w] = [c.shape(xAt), c.shape(wAt)];
    const kernel = c.ints('kernel_shape') ?? w?.slice(2);
    if (x === undefined || kernel === undefined) return c.set(0, dtype(c), unknownImage(c, x, w?.[0]));
    c.set(0, dtype(c), [x[0]!, w?.[0] ?? c.fresh(1), ...windowed(c, x, kernel)]);
  };

const convTranspose: Rule = (c) => {
  const [x, w] = [c.shape(0), c.shape(1)];
  const kernel = c.ints('kernel_shape') ?? w?.slice(2);
  const channels = w && mul(w[1]!, c.int('group', 1));
  if (x === undefined || kernel === undefined) return c.set(0, c.dtype(0), unknownImage(c, x, channels));
  const fixed = c.ints('output_shape');
  const strides = c.ints('strides') ?? kernel.map(() => 1);
  const dilations = c.ints('dilations') ?? kernel.map(() => 1);
  const extra = c.ints('output_padding') ?? kernel.map(() => 0);
  const pads = c.ints('pads') ?? kernel.flatMap(() => [0, 0]);
  const same = (c.string('auto_pad') ?? 'NOTSET').startsWith('SAME');
  const spatial = kernel.map((k, i) => {
    if (fixed !== undefined) return fixed.at(i - kernel.length)!;
    const size = x[i + 2]!;
    if (same) return mul(size, strides[i]!);
    const span = add(add(mul(sub(k, 1), dilations[i]!), 1), extra[i]! - pads[i]! - pads[i + kernel.length]!);
    return add(mul(sub(size, 1), strides[i]!), span);
  });
  c.set(0, c.dtype(0), [x[0]!, channels ?? c.fresh(1), ...spatial]);
};

const pool: Rule = (c) => {
  const x = c.shape(0);
  const out = x && [x[0]!, x[1]!, ...windowed(c, x, c.ints('kernel_shape') ?? [], c.int('ceil_mode', 0) === 1)];
  c.set(0, c.dtype(0), out);
  if (c.node.outputs.length > 1) c.set(1, 'int64', out);
};

export const globalPool: Rule = (c) =>
  c.set(
    0,
    c.dtype(0),
    c.shape(0)?.map((d, i) => (i < 2 ? d : 1)),
  );

const batchNorm: Rule = (c) => {
  c.set(0, c.dtype(0), c.shape(0));
  for (let i = 1; i < c.node.outputs.length; i++) c.set(i, c.dtype(i < 3 ? i + 2 : 3), c.shape(1));
};

/** Y, and the mean and inverse deviation over the normalized axes. */
const layerNorm: Rule = (c) => {
  const x = c.shape(0);
  c.set(0, c.dtype(0), x);
  const axis = c.int('axis', -1);
  const stats = x?.map((d, i) => (i >= (axis < 0 ? axis + x.length : axis) ? 1 : d));
  for (let i = 1; i < c.node.outputs.length; i++) c.set(i, 'float32', stats);
};

/** LSTM, GRU, RNN: [length, directions, batch, hidden], or batch first with layout 1. */
const recurrent: Rule = (c) => {
  const x = c.shape(0);
  const hidden: Dim = c.int('hidden_size') ?? c.shape(2)?.[2] ?? c.fresh(3);
  const directions = c.string('direction') === 'bidirectional' ? 2 : 1;
  const first = c.int('layout', 0) === 1;
  const [length, batch] = first ? [x?.[1], x?.[0]] : [x?.[0], x?.[1]];
  if (length === undefined || batch === undefined) return c.set(0, c.dtype(0));
  c.set(0, c.dtype(0), first ? [batch, length, directions, hidden] : [length, directions, batch, hidden]);
  for (let i = 1; i < c.node.outputs.length; i++) c.set(i, c.dtype(0), first ? [batch, directions, hidden] : [directions, batch, hidden]);
};

/** Attention of opset 23: q, k, v as [batch, heads, length, size] or [batch, length, heads·size]; present key and value; scores. */
const attention: Rule = (c) => {
  const [q, k, v, past] = [c.shape(0), c.shape(1), c.shape(2), c.shape(4)];
  const heads = { q: c.int('q_num_heads', 1), kv: c.int('kv_num_heads', 1) };
  if (q === undefined || k === undefined || v === undefined) return c.set(0, c.dtype(0));
  const flat = q.length === 3;
  const size = flat ? floorDiv(v[2]!, heads.kv) : v[3]!;
  const length = flat ? k[1]! : k[2]!;
  const total = past === undefined ? length : add(past[2]!, length);
  c.set(0, c.dtype(0), flat ? [q[0]!, q[1]!, mul(heads.q, size)] : [q[0]!, q[1]!, q[2]!, size]);
  c.set(1, c.dtype(1), [k[0]!, flat ? heads.kv : k[1]!, total, flat ? floorDiv(k[2]!, heads.kv) : k[3]!]);
  c.set(2, c.dtype(2), [v[0]!, flat ? heads.kv : v[1]!, total, size]);
  c.set(3, c.dtype(0), [q[0]!, flat ? heads.q : q[1]!, flat ? q[1]! : q[2]!, total]);
};

const einsum: Rule = (c) => {
  const equation = (c.string('equation') ?? '').replaceAll(' ', '');
  const [left, right] = equation.split('->');
  const sizes = new Map<string, Dim>();
  let dots: readonly Dim[] = [];
  const operands = left!.split(',');
  for (const [i, term] of operands.entries()) {
    const s = c.shape(i);
    if (s === undefined) return c.set(0, c.dtype(0));
    const [before, after] = term.includes('...') ? (term.split('...') as [string, string]) : [term, ''];
    if (term.includes('...')) {
      const inner = s.slice(before.length, s.length - after.length);
      dots = broadcast([dots, inner], (a) => c.fresh(a))!;
    }
    for (const [j, l] of [...before].entries()) keep(sizes, l, s[j]!);
    for (const [j, l] of [...after].entries()) keep(sizes, l, s[s.length - after.length + j]!);
  }
  const letters = left!.replaceAll(/[,.]/g, '');
  const implicit =
    (left!.includes('...') ? '...' : '') +
    [...new Set(letters)]
      .filter((l) => letters.indexOf(l) === letters.lastIndexOf(l))
      .sort()
      .join('');
  const out = (right ?? implicit).split('...').map((part) => [...part].map((l) => sizes.get(l) ?? 1));
  c.set(0, c.dtype(0), out.length === 1 ? out[0]! : [...out[0]!, ...dots, ...out[1]!]);
};

function keep(sizes: Map<string, Dim>, letter: string, d: Dim): void {
  const old = sizes.get(letter);
  if (old === undefined || old === 1 || (typeof old === 'string' && typeof d === 'number' && d !== 1)) sizes.set(letter, d);
}

export const layers: readonly [string, Rule][] = [
  ['MatMul', product2],
  ['Gemm', gemm],
  ['Conv', convolution(0, 1, (c) => c.dtype(0))],
  ['ConvTranspose', convTranspose],
  ['MaxPool', pool],
  ['AveragePool', pool],
  ['LpPool', pool],
  ['GlobalAveragePool', globalPool],
  ['GlobalMaxPool', globalPool],
  ['GlobalLpPool', globalPool],
  ['BatchNormalization', batchNorm],
  ['LayerNormalization', layerNorm],
  ['LSTM', recurrent],
  ['GRU', recurrent],
  ['RNN', recurrent],
  ['Attention', attention],
  ['Einsum', einsum],
  ['Det', (c) => c.set(0, c.dtype(0), c.shape(0)?.slice(0, -2))],
  ['GridSample', (c) => c.set(0, c.dtype(0), c.shape(0) && c.shape(1) && [...c.shape(0)!.slice(0, 2), ...c.shape(1)!.slice(1, -1)])],
  ['NonMaxSuppression', (c) => c.set(0, 'int64', [c.fresh(0), 3])],
  ['Size', (c) => c.set(0, 'int64', [], c.shape(0) && [product(c.shape(0)!)])],
];
