/** Operators that join, cut and pick. */
import { add, ceilDiv, floorDiv, sub } from '../dims.ts';
import type { Dim } from '../types.ts';
import { axisOf, type Rule, set0 } from './context.ts';

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

export const pieces: readonly [string, Rule][] = [
  ['Concat', concat],
  ['Slice', slice],
  ['Split', split],
  ['Gather', gather],
  ['GatherElements', (c) => set0(c, c.shape(1))],
  ['GatherND', gatherND],
];
