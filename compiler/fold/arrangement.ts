/**
 * A new order of the indices of some axes of a value, jointly: the new value at `i` is the old one at `from[i]`, i counting row-major over `axes`.
 * Head and channel of [batch, time, head, channel] are moved together where heads change places and each has its own order inside.
 */
import type { Dim } from '../graph/types.ts';

export interface Arrangement {
  /** Ascending. */
  readonly axes: readonly number[];
  readonly sizes: readonly number[];
  /** −1: nothing is known of that index yet (a part of a concatenation); it stays. */
  readonly from: Int32Array;
}

const count = (sizes: readonly number[]): number => sizes.reduce((a, b) => a * b, 1);
/** The coordinate along axis `k` of a row-major index. */
const coordinate = (sizes: readonly number[], k: number) => {
  const inner = count(sizes.slice(k + 1));
  return (i: number): number => Math.floor(i / inner) % sizes[k]!;
};
export const isIdentity = (a: Arrangement): boolean => a.from.every((x, i) => x < 0 || x === i);
export const sameArrangement = (a: Arrangement, b: Arrangement): boolean =>
  a.axes.join() === b.axes.join() && a.from.length === b.from.length && a.from.every((x, i) => x === b.from[i]);

/** The order of the axes in `keep` alone; undefined where it depends on the others. */
export function project(a: Arrangement, keep: (axis: number) => boolean): Arrangement | undefined {
  const kept = a.axes.flatMap((axis, k) => (keep(axis) ? [k] : []));
  if (kept.length === a.axes.length) return a;
  const sizes = kept.map((k) => a.sizes[k]!);
  const at = kept.map((k) => coordinate(a.sizes, k));
  const flat = (i: number): number => at.reduce((sum, f, k) => sum * sizes[k]! + f(i), 0);
  const from = new Int32Array(count(sizes)).fill(-1);
  for (const [i, x] of a.from.entries()) {
    if (x < 0) continue;
    const [to, found] = [flat(i), flat(x)];
    if (from[to] !== -1 && from[to] !== found) return undefined;
    from[to] = found;
  }
  return { axes: kept.map((k) => a.axes[k]!), sizes, from };
}

/** The same order said of more axes, which do not move. `shape` gives their sizes; undefined where one has none. */
export function extended(a: Arrangement, axes: readonly number[], shape: readonly Dim[]): Arrangement | undefined {
  const all = [...new Set([...a.axes, ...axes])].sort((x, y) => x - y);
  const sizes = all.map((x) => shape[x]);
  if (!sizes.every((s) => typeof s === 'number')) return undefined;
  const at = all.map((_, k) => coordinate(sizes, k));
  const own = all.map((x) => a.axes.indexOf(x));
  const inner = a.axes.map((_, k) => coordinate(a.sizes, k));
  const from = new Int32Array(count(sizes));
  for (let i = 0; i < from.length; i++) {
    const mine = a.axes.reduce((sum, x, k) => sum * a.sizes[k]! + at[all.indexOf(x)]!(i), 0);
    const old = a.from[mine]!;
    from[i] = old < 0 ? -1 : all.reduce((sum, _, k) => sum * sizes[k]! + (own[k]! < 0 ? at[k]!(i) : inner[own[k]!]!(old)), 0);
  }
  return { axes: all, sizes, from };
}

/** Without axes that do not move and on which nothing depends; undefined: nothing moves. */
export function simplified(a: Arrangement): Arrangement | undefined {
  if (isIdentity(a)) return undefined;
  let now = a;
  for (const axis of a.axes) {
    if (now.axes.length === 1) break;
    const k = now.axes.indexOf(axis);
    const at = coordinate(now.sizes, k);
    const still = now.from.every((x, i) => x >= 0 && at(x) === at(i));
    const rest = still ? project(now, (x) => x !== axis) : undefined;
    if (rest) now = rest;
  }
  return now;
}

/** The order of a value whose axis i is axis `to(i)` of another one. */
export function moved(a: Arrangement, to: (axis: number) => number): Arrangement {
  const named = a.axes.map(to);
  const order = named.map((_, k) => k).sort((x, y) => named[x]! - named[y]!);
  if (order.every((k, i) => k === i)) return { ...a, axes: named };
  const sizes = order.map((k) => a.sizes[k]!);
  const at = a.axes.map((_, k) => coordinate(sizes, order.indexOf(k)));
  const old = a.axes.map((_, k) => coordinate(a.sizes, k));
  const from = Int32Array.from({ length: a.from.length }, (_, i) => {
    const x = a.from[a.axes.reduce((sum, _k, k) => sum * a.sizes[k]! + at[k]!(i), 0)]!;
    return x < 0 ? -1 : order.reduce((sum, k, j) => sum * sizes[j]! + old[k]!(x), 0);
  });
  return { axes: order.map((k) => named[k]!), sizes, from };
}

/** Through a Reshape, from its shapes alone, last axes first; undefined: not to be followed. */
export function reshapedOrder(a: Arrangement, from: readonly Dim[], to: readonly Dim[]): Arrangement | undefined {
  let [i, o] = [from.length - 1, to.length - 1];
  let now: Arrangement | undefined = a;
  const parts: { readonly ins: number[]; readonly outs: number[] }[] = [];
  while (now?.axes.some((x) => x <= i)) {
    const [ins, outs] = [[i--], [o--]];
    const size = (shape: readonly Dim[], axes: readonly number[]): number => {
      const sizes = axes.map((x) => shape[x]);
      return sizes.every((s) => typeof s === 'number') ? count(sizes) : Number.NaN;
    };
    if (outs[0]! < 0) {
      if (from[ins[0]!] !== 1) return undefined;
      outs.pop();
    } else if (from[ins[0]!] !== to[outs[0]!]) {
      while (size(from, ins) !== size(to, outs)) {
        const [p, q] = [size(from, ins), size(to, outs)];
        if (Number.isNaN(p) || Number.isNaN(q) || i < -1 || o < -1) return undefined;
        if (p < q) ins.unshift(i--);
        else outs.unshift(o--);
      }
    }
    if (ins.some((x) => now!.axes.includes(x))) {
      now = extended(now, ins, from);
      parts.unshift({ ins, outs });
    }
  }
  if (!now) return undefined;
  const axes = parts.flatMap((p) => p.outs);
  return { axes, sizes: axes.map((x) => to[x] as number), from: now.from };
}

/** What two statements about one value say together; undefined: they contradict each other. A statement about fewer axes is a coarser one. */
export function joined(a: Arrangement, b: Arrangement): Arrangement | undefined {
  if (a.axes.join() === b.axes.join()) {
    const from = a.from.map((x, i) => (x < 0 ? b.from[i]! : x));
    return from.every((x, i) => b.from[i]! < 0 || b.from[i] === x) ? { ...a, from } : undefined;
  }
  const [fine, coarse] = a.axes.length > b.axes.length ? [a, b] : [b, a];
  if (coarse.axes.every((x) => fine.axes.includes(x))) {
    const part = project(fine, (x) => coarse.axes.includes(x));
    return part && sameArrangement(part, coarse) ? fine : undefined;
  }
  return undefined;
}

/** Brings the numbers of an array with this shape into the new order, or back, in place. */
export function reorder(a: Arrangement, x: Float32Array | Float64Array, shape: readonly number[], back = false): void {
  const map = flatOrder(a, shape);
  const old = x.slice();
  if (back) for (const [i, from] of map.entries()) x[from] = old[i]!;
  else for (const [i, from] of map.entries()) x[i] = old[from]!;
}

/** For each element of an array of this shape, the element that takes its place. */
export function flatOrder(a: Arrangement, shape: readonly number[]): Int32Array {
  const strides = shape.map((_, k) => count(shape.slice(k + 1)));
  const at = a.axes.map((_, k) => coordinate(a.sizes, k));
  const offset = Int32Array.from({ length: a.from.length }, (_, i) => a.axes.reduce((sum, axis, k) => sum + at[k]!(i) * strides[axis]!, 0));
  const out = new Int32Array(count(shape));
  for (let i = 0; i < out.length; i++) {
    const mine = a.axes.reduce((sum, axis, k) => sum * a.sizes[k]! + (Math.floor(i / strides[axis]!) % shape[axis]!), 0);
    const x = a.from[mine]!;
    out[i] = x < 0 ? i : i - offset[mine]! + offset[x]!;
  }
  return out;
}
