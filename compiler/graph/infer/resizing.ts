/** Operators that change sizes along axes: padding, resampling, reductions. */
import { add, floorDiv, mul } from '../dims.ts';
import type { Dim } from '../types.ts';
import { axesOf, axisOf, type Rule, set0 } from './context.ts';

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

export const resizing: readonly [string, Rule][] = [
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
];
