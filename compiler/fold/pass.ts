/** How a channel map goes through one operator: the layout of its outputs, or why it does not. */
import { isFloat } from '../graph/dtype.ts';
import type { Node } from '../graph/types.ts';
import { attrInt, attrInts, typeOf, type View } from '../match/view.ts';
import { type Layout, layout, ranked, reshaped, sameLayout, sliced, transposed } from './layout.ts';
import type { Reason } from './refuse.ts';

export interface Stop {
  readonly reason: Reason;
  readonly why: string;
}
/** One for each output of the node; undefined: that output carries nothing. */
export type Passed = readonly (Layout | undefined)[] | Stop;
export const isStop = (p: Passed): p is Stop => !Array.isArray(p);

const label = (n: Node): string => `${n.op} "${n.name || n.outputs[0]}"`;
const mixes = (n: Node): Stop => ({ reason: 'mixes-channels', why: `${label(n)} does not commute with the map` });
const lost = (n: Node): Stop => ({ reason: 'layout-lost', why: `where the channels lie after ${label(n)} is not known from its shapes` });
const positive = new Set(['Relu', 'LeakyRelu', 'Abs', 'PRelu']);
const asIs = new Set(['Identity', 'Dropout', 'Neg']);
const views = new Set(['Reshape', 'Flatten', 'Squeeze', 'Unsqueeze']);

/** What kind of map goes through: scales also pass homogeneous operators and element-wise products; any linear map passes only movements. */
export type MapKind = 'scale' | 'linear';

/** `at`: the layouts of the node's inputs, undefined for those that the map does not reach. At least one is there. */
export function pass(v: View, n: Node, at: readonly (Layout | undefined)[], kind: MapKind, caches: ReadonlySet<string>): Passed {
  const type = typeOf(n);
  const first = at[0];
  const shape = (value: string | undefined) => (value === undefined ? undefined : v.shape(value));
  const out = shape(n.outputs[0]);
  const only = at.filter((l) => l !== undefined).length === 1;
  if (asIs.has(type) && first) return [first];
  if (type === 'Cast' && first) return isFloat(v.dtype(n.outputs[0]!)) ? [first] : mixes(n);
  if (kind === 'scale' && positive.has(type) && first && only) return [first];
  const from = shape(n.inputs[0]);
  if (views.has(type) && first && only) {
    const next = from && out ? reshaped(first, from, out) : undefined;
    return next ? [next] : lost(n);
  }
  if (type === 'Transpose' && first) {
    const perm = attrInts(n, 'perm') ?? first.axes.map((_, i) => first.axes.length - 1 - i);
    return [transposed(first, perm)];
  }
  if (type === 'Expand' && first && only) return out ? expanded(first, out.length) : lost(n);
  if (type === 'Slice' && first && only) return slice(v, n, first);
  if (type === 'Split' && first && only) return split(v, n, first);
  if (type === 'Gather' && first && only) return gather(v, n, first);
  if (type === 'Concat') return concat(v, n, at, caches);
  if ((type === 'Mul' || type === 'Div') && kind === 'scale') return product(v, n, at);
  if (type === 'Add' || type === 'Sub') {
    const [a, b] = at;
    if (!a || !b || !out) return mixes(n);
    const [x, y] = [ranked(a, out.length), ranked(b, out.length)];
    return sameLayout(x, y) ? [x] : mixes(n);
  }
  if (type === 'MatMul' && only) return matmul(v, n, at);
  return mixes(n);
}

/** Axes of size one have no digits, so broadcasting needs only the rank. */
const expanded = (l: Layout, rank: number): Passed => [ranked(l, rank)];

function product(v: View, n: Node, at: readonly (Layout | undefined)[]): Passed {
  const rank = v.shape(n.outputs[0]!)?.length;
  const i = at.findIndex((l) => l !== undefined);
  if (rank === undefined) return lost(n);
  if (at.filter((l) => l !== undefined).length > 1 || (i === 1 && n.op === 'Div')) return mixes(n);
  return [ranked(at[i]!, rank)];
}

/** probs · v: rows of the right operand are summed, its columns carry the channels; or batch axes alone carry them. */
function matmul(v: View, n: Node, at: readonly (Layout | undefined)[]): Passed {
  const rank = v.shape(n.outputs[0]!)?.length;
  const right = at[1] !== undefined;
  const l = at[right ? 1 : 0]!;
  if (rank === undefined || l.axes.length < 2) return lost(n);
  const summed = right ? l.axes.at(-2)! : l.axes.at(-1)!;
  if (summed.length > 0) return mixes(n);
  return [ranked(l, rank)];
}

function slice(v: View, n: Node, l: Layout): Passed {
  const [from, to] = [v.shape(n.inputs[0]!), v.shape(n.outputs[0]!)];
  const axes = n.inputs[3] ? v.numbers(n.inputs[3]) : l.axes.map((_, i) => i);
  if (!from || !to || !axes) return lost(n);
  const starts = v.numbers(n.inputs[1]!);
  const steps = n.inputs[4] ? v.numbers(n.inputs[4]) : axes.map(() => 1);
  let now: Layout | undefined = l;
  for (const [i, a] of axes.entries()) {
    const axis = a < 0 ? a + from.length : a;
    if (l.axes[axis]!.length === 0) continue;
    const [size, len, step] = [from[axis], to[axis], steps?.[i]];
    if (typeof size !== 'number' || typeof len !== 'number' || step === undefined) return lost(n);
    const start = starts?.[i];
    now = now && sliced(now, axis, size, len, start === undefined ? undefined : start < 0 ? start + size : start, step);
  }
  return now ? [now] : lost(n);
}

function split(v: View, n: Node, l: Layout): Passed {
  const from = v.shape(n.inputs[0]!);
  if (!from) return lost(n);
  const a = attrInt(n, 'axis', 0);
  const axis = a < 0 ? a + from.length : a;
  if (l.axes[axis]!.length === 0) return n.outputs.map(() => l);
  const size = from[axis];
  const out: Layout[] = [];
  let start = 0;
  for (const o of n.outputs) {
    const len = v.shape(o)?.[axis];
    const part = typeof size === 'number' && typeof len === 'number' ? sliced(l, axis, size, len, start, 1) : undefined;
    if (!part) return lost(n);
    out.push(part);
    start += len as number;
  }
  return out;
}

/** One index of an axis, or indices along an axis that carries nothing. */
function gather(v: View, n: Node, l: Layout): Passed {
  const a = attrInt(n, 'axis', 0);
  const axis = a < 0 ? a + l.axes.length : a;
  const rank = v.shape(n.inputs[1]!)?.length;
  if (rank === undefined) return lost(n);
  const put = (base: number) =>
    layout(base, [...l.axes.slice(0, axis), ...Array.from({ length: rank }, () => []), ...l.axes.slice(axis + 1)]);
  const digits = l.axes[axis]!;
  if (digits.length === 0) return [put(l.base)];
  const at = v.scalar(n.inputs[1]!);
  return at !== undefined && digits.length === 1 ? [put(l.base + at * digits[0]!.stride)] : lost(n);
}

/** Along an axis without channels: with a cache, whose values are then scaled too. Along the channels: parts that share them (rotary halves). */
function concat(v: View, n: Node, at: readonly (Layout | undefined)[], caches: ReadonlySet<string>): Passed {
  const there = at.filter((l) => l !== undefined);
  const l = there[0]!;
  const a = attrInt(n, 'axis', 0);
  const axis = a < 0 ? a + l.axes.length : a;
  if (!there.every((x) => sameLayout(x, l))) return mixes(n);
  const others = n.inputs.filter((_, i) => at[i] === undefined);
  const foreign = others.find((o) => !caches.has(v.origin(o)));
  if (foreign !== undefined)
    return { reason: 'mixes-channels', why: `${label(n)} joins it with "${foreign}", which the map does not reach` };
  if (l.axes[axis]!.length === 0) return [l];
  if (others.length > 0) return mixes(n);
  const shared = [{ size: there.length, stride: 0 }, ...l.axes[axis]!];
  return [
    layout(
      l.base,
      l.axes.map((d, i) => (i === axis ? shared : d)),
    ),
  ];
}
