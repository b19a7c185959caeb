/** Operators that move, cut or count elements; shape vectors are followed through them. */

import { add, ceilDiv, floorDiv, mul, product, sub } from '../dims.ts';
import { dtypeOf } from '../dtype.ts';
import { smallValues } from '../numeric.ts';
import type { Dim } from '../types.ts';
import { axisOf, broadcast, type Context, MAX_DATA, type Rule } from './context.ts';

const set0 = (c: Context, shape: readonly Dim[] | undefined, data?: readonly Dim[] | undefined): void => c.set(0, c.dtype(0), shape, data);

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

const concat: Rule = (c) => {
  const shapes = c.inputs.map((f) => f?.shape);
  const first = shapes.find((s) => s !== undefined);
  const dtype = c.inputs.find((f) => f?.dtype)?.dtype;
  if (first === undefined) return c.set(0, dtype);
  const axis = axisOf(c.int('axis', 0), first.length);
  const along = shapes.every((s) => s !== undefined) ? shapes.map((s) => s![axis]!).reduce(add, 0) : c.fresh(axis);
  // another axis is known as soon as one input knows it
  const out = first.map((_, i) => (i === axis ? along : best(shapes.map((s) => s?.[i]))));
  const data = c.inputs.map((f) => f?.data);
  c.set(0, dtype, out, first.length === 1 && data.every((d) => d !== undefined) ? data.flatMap((d) => d!) : undefined);
};

const best = (dims: readonly (Dim | undefined)[]): Dim => dims.find((d) => typeof d === 'number') ?? dims.find((d) => d !== undefined)!;

const FAR = 2 ** 31 - 1;

/** Elements from `start` to `end` of an axis of `size` with step `step`. */
function sliced(size: Dim, start: Dim, end: Dim, step: number): Dim | undefined {
  if (step < 0) {
    const whole =
      start === -1 ||
      (typeof start === 'number' && start >= FAR) ||
      (typeof start === 'number' && typeof size === 'number' && start >= size - 1);
    return whole && typeof end === 'number' && end <= -FAR ? ceilDiv(size, -step) : undefined;
  }
  const place = (v: Dim): Dim => {
    if (typeof v === 'string') return v;
    if (typeof size === 'number') return Math.min(Math.max(axisOf(v, size), 0), size);
    return v >= FAR ? size : v < 0 ? add(size, v) : v;
  };
  const length = sub(place(end), place(start));
  if (typeof length === 'number') return Math.ceil(Math.max(length, 0) / step);
  return ceilDiv(length, step);
}

const slice: Rule = (c) => {
  const s = c.shape(0);
  const [starts, ends] = [c.in(1).data, c.in(2).data];
  const axes = c.has(3) ? c.numbers(3) : (starts ?? ends)?.map((_, i) => i);
  const steps = c.has(4) ? c.numbers(4) : axes?.map(() => 1);
  if (s === undefined) return set0(c, undefined);
  if (axes === undefined)
    return set0(
      c,
      s.map((_, i) => c.fresh(i)),
    );
  const out = [...s];
  axes.forEach((a, i) => {
    const axis = axisOf(a, s.length);
    const [from, to, step] = [starts?.[i], ends?.[i], steps?.[i]];
    out[axis] =
      (from !== undefined && to !== undefined && step !== undefined ? sliced(s[axis]!, from, to, step) : undefined) ?? c.fresh(axis);
  });
  set0(c, out, dataSlice(c.in(0).data, starts?.[0], ends?.[0], steps?.[0] ?? 1));
};

function dataSlice(
  data: readonly Dim[] | undefined,
  start: Dim | undefined,
  end: Dim | undefined,
  step: number,
): readonly Dim[] | undefined {
  if (data === undefined || typeof start !== 'number' || typeof end !== 'number') return undefined;
  if (step === -1) return (start === -1 || start >= data.length - 1) && end <= -FAR ? [...data].reverse() : undefined;
  return step < 1 ? undefined : data.slice(start, end).filter((_, i) => i % step === 0);
}

const split: Rule = (c) => {
  const s = c.shape(0);
  const axis = axisOf(c.int('axis', 0), s?.length ?? 0);
  const n = c.node.outputs.length;
  const sizes = c.ints('split') ?? c.in(1).data;
  let at = 0;
  for (let i = 0; i < n; i++) {
    const total = s?.[axis];
    let part: Dim | undefined = sizes?.[i];
    if (part === undefined && !c.has(1) && typeof total === 'number') {
      // the last piece is smaller where it does not divide
      const whole = Math.ceil(total / n);
      part = Math.max(0, Math.min(whole, total - i * whole));
    } else if (part === undefined && !c.has(1) && total !== undefined) part = floorDiv(total, n);
    const end = typeof part === 'number' ? at + part : Number.NaN;
    const data = c.in(0).data?.slice(at, end);
    c.set(
      i,
      c.dtype(0),
      s?.map((d, j) => (j === axis ? (part ?? c.fresh(j, i)) : d)),
      Number.isNaN(end) ? undefined : data,
    );
    at = end;
  }
};

const gather: Rule = (c) => {
  const [s, indices] = [c.shape(0), c.shape(1)];
  if (s === undefined || indices === undefined) return set0(c, undefined);
  const axis = axisOf(c.int('axis', 0), s.length);
  const at = c.numbers(1);
  const data = c.in(0).data;
  const picked = data && at?.map((i) => data[axisOf(i, data.length)]);
  const known = picked?.every((d) => d !== undefined) ? (picked as Dim[]) : undefined;
  set0(c, [...s.slice(0, axis), ...indices, ...s.slice(axis + 1)], known);
};

const gatherND: Rule = (c) => {
  const [s, indices] = [c.shape(0), c.shape(1)];
  const last = indices?.at(-1);
  if (s === undefined || indices === undefined || typeof last !== 'number') return set0(c, undefined);
  set0(c, [...indices.slice(0, -1), ...s.slice(c.int('batch_dims', 0) + last)]);
};

/** Axes come as attribute before opset 13, as input since. */
const axesOf = (c: Context): readonly number[] | undefined => c.ints('axes') ?? c.numbers(1);

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

const pad: Rule = (c) => {
  const s = c.shape(0);
  const pads = c.ints('pads') ?? c.in(1).data;
  const axes = c.has(3) ? c.numbers(3) : s?.map((_, i) => i);
  if (s === undefined || pads === undefined || axes === undefined)
    return set0(
      c,
      s?.map((_, i) => c.fresh(i)),
    );
  const out = [...s];
  axes.forEach((a, i) => {
    const axis = axisOf(a, s.length);
    out[axis] = add(add(s[axis]!, pads[i]!), pads[i + axes.length]!);
  });
  set0(c, out);
};

const resize: Rule = (c) => {
  const s = c.shape(0);
  const [scaleAt, sizeAt] = c.node.op === 'Upsample' ? [1, -1] : [2, 3];
  const axes = c.ints('axes')?.map((a) => axisOf(a, s?.length ?? 0)) ?? s?.map((_, i) => i);
  const sizes = c.in(sizeAt).data;
  const scales = c.numbers(scaleAt);
  set0(
    c,
    s?.map((d, i) => {
      const k = axes!.indexOf(i);
      if (k < 0) return d;
      if (sizes?.[k] !== undefined && (c.string('keep_aspect_ratio_policy') ?? 'stretch') === 'stretch') return sizes[k]!;
      const scale = scales?.[k];
      if (scale === undefined) return c.fresh(i);
      return typeof d === 'number'
        ? Math.floor(d * scale)
        : Number.isInteger(scale)
          ? mul(d, scale)
          : Number.isInteger(1 / scale)
            ? floorDiv(d, 1 / scale)
            : c.fresh(i);
    }),
  );
};

const reduce: Rule = (c) => {
  const s = c.shape(0);
  const axes = axesOf(c);
  const arg = c.node.op.startsWith('Arg');
  const keep = c.int('keepdims', 1) === 1;
  const dtype = arg ? 'int64' : c.dtype(0);
  if (s === undefined) return c.set(0, dtype);
  if (axes === undefined && c.has(1)) return c.set(0, dtype, keep ? s.map((_, i) => c.fresh(i)) : undefined);
  const none = !arg && (axes === undefined || axes.length === 0);
  if (none && c.int('noop_with_empty_axes', 0) === 1) return c.set(0, dtype, s);
  const over = arg ? [axisOf(c.int('axis', 0), s.length)] : none ? s.map((_, i) => i) : axes!.map((a) => axisOf(a, s.length));
  const out = s.flatMap((d, i) => (!over.includes(i) ? [d] : keep ? [1] : []));
  const data = c.in(0).data;
  const fold = c.node.op === 'ReduceProd' ? data?.reduce(mul, 1) : c.node.op === 'ReduceSum' ? data?.reduce(add, 0) : undefined;
  c.set(0, dtype, out, fold === undefined ? undefined : [fold]);
};

const topK: Rule = (c) => {
  const s = c.shape(0);
  const axis = axisOf(c.int('axis', -1), s?.length ?? 0);
  const out = s?.map((d, i) => (i === axis ? (c.in(1).data?.[0] ?? c.fresh(i)) : d));
  c.set(0, c.dtype(0), out);
  c.set(1, 'int64', out);
};

const oneHot: Rule = (c) => {
  const s = c.shape(0);
  const axis = axisOf(c.int('axis', -1), (s?.length ?? 0) + 1);
  const depth = c.in(1).data?.[0] ?? c.fresh(axis);
  c.set(0, c.dtype(2), s && [...s.slice(0, axis), depth, ...s.slice(axis)]);
};

const blocks: Rule = (c) => {
  const s = c.shape(0);
  const b = c.int('blocksize', 1);
  if (s?.length !== 4) return set0(c, undefined);
  const [n, ch, h, w] = s as [Dim, Dim, Dim, Dim];
  set0(
    c,
    c.node.op === 'DepthToSpace' ? [n, floorDiv(ch, b * b), mul(h, b), mul(w, b)] : [n, mul(ch, b * b), floorDiv(h, b), floorDiv(w, b)],
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
  ['Constant', constant],
  ['Shape', shape],
  ['Size', size],
  ['Reshape', reshape],
  ['Flatten', flatten],
  ['Transpose', transpose],
  ['Concat', concat],
  ['Slice', slice],
  ['Split', split],
  ['Gather', gather],
  ['GatherElements', (c) => set0(c, c.shape(1))],
  ['GatherND', gatherND],
  ['Squeeze', squeeze],
  ['Unsqueeze', unsqueeze],
  ['Expand', expand],
  ['Tile', tile],
  ['Range', range],
  ['ConstantOfShape', constantOfShape],
  ['Pad', pad],
  ['Resize', resize],
  ['Upsample', resize],
  ...['Sum', 'Mean', 'Max', 'Min', 'Prod', 'L1', 'L2', 'LogSum', 'LogSumExp', 'SumSquare'].map((r): [string, Rule] => [
    `Reduce${r}`,
    reduce,
  ]),
  ['ArgMax', reduce],
  ['ArgMin', reduce],
  ['TopK', topK],
  ['OneHot', oneHot],
  ['DepthToSpace', blocks],
  ['SpaceToDepth', blocks],
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
