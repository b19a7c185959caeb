/** Operators that move, cut or count elements; shape vectors are followed through them. */

import { ceilDiv, floorDiv, mul, product, sub } from '../dims.ts';
import { dtypeOf } from '../dtype.ts';
import { smallValues } from '../numeric.ts';
import type { Dim } from '../types.ts';
import { axesOf, axisOf, broadcast, type Context, MAX_DATA, type Rule, set0 } from './context.ts';
import { pieces } from './pieces.ts';
import { resizing } from './resizing.ts';

const constant: Rule = (c) => {
  for (const [name, a] of c.node.attrs) {
    if (name === 'value' && a.type === 'tensor') c.set(0, a.value.dtype, a.value.shape, smallValues(a.value, MAX_DATA));
    else if (name === 'sparse_value') c.set(0, undefined);
    else if (a.type === 'int') c.set(0, 'int64', [], [Number(a.value)]);
    else if (a.type === 'float') c.set(0, 'float32', [], [a.value]);
    else if (a.type === 'ints') c.set(0, 'int64', [a.value.length], a.value.map(Number));
    else if (a.type === 'floats') c.set(0, 'float32', [a.value.length], a.value);
    else if (a.type === 'string') c.set(0, 'string', []);
    else if (a.type === 'strings') c.set(0, 'string', [a.value.length]);
  }
};

const shape: Rule = (c) => {
  const s = c.shape(0);
  if (s === undefined) return c.set(0, 'int64', [c.fresh(0)]);
  const clamp = (v: number): number => Math.min(Math.max(axisOf(v, s.length), 0), s.length);
  const part = s.slice(clamp(c.int('start', 0)), clamp(c.int('end', s.length)));
  c.set(0, 'int64', [part.length], part);
};

const size: Rule = (c) => {
  const s = c.shape(0);
  c.set(0, 'int64', [], s && [product(s)]);
};

const reshape: Rule = (c) => {
  const from = c.shape(0);
  const target = c.in(1).data;
  if (target === undefined) {
    const rank = c.shape(1)?.[0];
    return set0(c, typeof rank === 'number' ? Array.from({ length: rank }, (_, i) => c.fresh(i)) : undefined);
  }
  const copied = target.map((d, i) => (d === 0 && c.int('allowzero', 0) === 0 ? (from?.[i] ?? c.fresh(i)) : d));
  const hole = copied.indexOf(-1);
  if (hole >= 0)
    copied[hole] =
      from === undefined
        ? c.fresh(hole)
        : filled(
            from,
            copied.filter((_, i) => i !== hole),
            c.fresh(hole),
          );
  set0(c, copied, c.in(0).data);
};

/** What -1 stands for. Equal factors on both sides are taken away first, so that zero-size symbols do no harm. */
function filled(from: readonly Dim[], rest: readonly Dim[], fresh: Dim): Dim {
  const left = [...from];
  const divisors: Dim[] = [];
  for (const d of rest) {
    const i = left.indexOf(d);
    if (i >= 0) left.splice(i, 1);
    else divisors.push(d);
  }
  const size = product(divisors);
  if (size === 0) return 0;
  const quotient = floorDiv(product(left), size);
  return typeof quotient === 'string' && quotient.length > 200 ? fresh : quotient;
}

const flatten: Rule = (c) => {
  const s = c.shape(0);
  const axis = axisOf(c.int('axis', 1), s?.length ?? 0);
  set0(c, s ? [product(s.slice(0, axis)), product(s.slice(axis))] : [c.fresh(0), c.fresh(1)]);
};

const transpose: Rule = (c) => {
  const s = c.shape(0);
  const perm = c.ints('perm') ?? s?.map((_, i) => s.length - 1 - i);
  set0(
    c,
    s ? perm?.map((p) => s[p]!) : c.ints('perm')?.map((_, i) => c.fresh(i)),
    s !== undefined && s.length <= 1 ? c.in(0).data : undefined,
  );
};

const squeeze: Rule = (c) => {
  const s = c.shape(0);
  const axes = axesOf(c);
  if (s === undefined || (axes === undefined && c.has(1))) return set0(c, undefined);
  const drop = axes?.map((a) => axisOf(a, s.length));
  set0(
    c,
    s.filter((d, i) => (drop === undefined ? d !== 1 : !drop.includes(i))),
    c.in(0).data,
  );
};

const unsqueeze: Rule = (c) => {
  const s = c.shape(0);
  const axes = axesOf(c);
  if (s === undefined || axes === undefined) return set0(c, undefined);
  const rank = s.length + axes.length;
  const put = new Set(axes.map((a) => axisOf(a, rank)));
  const rest = [...s];
  set0(
    c,
    Array.from({ length: rank }, (_, i) => (put.has(i) ? 1 : rest.shift()!)),
    c.in(0).data,
  );
};

const expand: Rule = (c) => {
  const target = c.in(1).data ?? unknownDims(c, 1);
  const out = broadcast([c.shape(0), target], (i) => c.fresh(i));
  const data = c.in(0).data;
  set0(
    c,
    out,
    data?.length === 1 && typeof out?.[0] === 'number' && out[0] <= MAX_DATA
      ? Array.from({ length: out[0] }, () => data[0]!)
      : out?.length === 0
        ? data
        : undefined,
  );
};

/** A shape of known rank whose sizes come at run time. */
function unknownDims(c: Context, input: number): Dim[] | undefined {
  const rank = c.shape(input)?.[0];
  return typeof rank === 'number' ? Array.from({ length: rank }, (_, i) => c.fresh(i)) : undefined;
}

const tile: Rule = (c) => {
  const s = c.shape(0);
  const repeats = c.in(1).data;
  set0(
    c,
    s?.map((d, i) => (repeats?.[i] === undefined ? c.fresh(i) : mul(d, repeats[i]!))),
  );
};

const range: Rule = (c) => {
  const [start, limit, delta] = [c.in(0).data?.[0], c.in(1).data?.[0], c.numbers(2)?.[0]];
  const dtype = c.dtype(0) ?? c.dtype(1);
  if (start === undefined || limit === undefined || delta === undefined || delta === 0) return c.set(0, dtype, [c.fresh(0)]);
  if (typeof start === 'number' && typeof limit === 'number') {
    const n = Math.max(0, Math.ceil((limit - start) / delta));
    return c.set(0, dtype, [n], n <= MAX_DATA ? Array.from({ length: n }, (_, i) => start + i * delta) : undefined);
  }
  c.set(0, dtype, [delta > 0 && Number.isInteger(delta) ? ceilDiv(sub(limit, start), delta) : c.fresh(0)]);
};

const constantOfShape: Rule = (c) => {
  const a = c.node.attrs.get('value');
  const value = a?.type === 'tensor' ? a.value : undefined;
  const out = c.in(0).data ?? unknownDims(c, 0);
  const fill = value ? smallValues(value, 1)?.[0] : 0;
  const n = out?.length === 1 ? out[0] : undefined;
  c.set(
    0,
    value?.dtype ?? 'float32',
    out,
    typeof n === 'number' && n <= MAX_DATA && fill !== undefined ? Array.from({ length: n }, () => fill) : undefined,
  );
};

const nonZero: Rule = (c) => {
  const rank = c.shape(0)?.length;
  c.set(0, 'int64', [rank === undefined ? c.fresh(0) : Math.max(rank, 1), c.fresh(1)]);
};

const random: Rule = (c) => {
  const isLike = c.node.op.endsWith('Like');
  const dtype = dtypeOf(c.int('dtype', 0)) ?? (isLike ? c.dtype(0) : 'float32');
  c.set(0, dtype, isLike ? c.shape(0) : c.ints('shape'));
};

export const shapes: readonly [string, Rule][] = [
  ...pieces,
  ...resizing,
  ['Constant', constant],
  ['Shape', shape],
  ['Size', size],
  ['Reshape', reshape],
  ['Flatten', flatten],
  ['Transpose', transpose],
  ['Squeeze', squeeze],
  ['Unsqueeze', unsqueeze],
  ['Expand', expand],
  ['Tile', tile],
  ['Range', range],
  ['ConstantOfShape', constantOfShape],
  ['NonZero', nonZero],
  [
    'Compress',
    (c) =>
      set0(
        c,
        c.int('axis') === undefined
          ? [c.fresh(0)]
          : c.shape(0)?.map((d, i, s) => (i === axisOf(c.int('axis', 0), s.length) ? c.fresh(i) : d)),
      ),
  ],
  ['EyeLike', (c) => c.set(0, dtypeOf(c.int('dtype', 0)) ?? c.dtype(0), c.shape(0))],
  ...['RandomNormal', 'RandomUniform', 'RandomNormalLike', 'RandomUniformLike', 'Bernoulli'].map((r): [string, Rule] => [r, random]),
];
