/**
 * Where the channels of a map lie in a value: each axis is a mixed-radix number whose digits move the channel by a stride.
 * A grouped-head value [b, kv, repeats, t, d] of kv·d channels has digits (kv, d) on axis 1, none on 2 (repeats share channels), (d, 1) on 4.
 */
import type { Dim } from '../graph/types.ts';

/** `stride` 0: the digit does not move the channel. */
export interface Digit {
  readonly size: number;
  readonly stride: number;
}
/** channel = base + Σ digit · stride. An axis without digits carries no channel. */
export interface Layout {
  readonly base: number;
  readonly axes: readonly (readonly Digit[])[];
}
type Shape = readonly Dim[];

const idle = (digits: readonly Digit[]): boolean => digits.every((d) => d.stride === 0);
const tidy = (digits: readonly Digit[]): readonly Digit[] => {
  if (idle(digits)) return [];
  const out: Digit[] = [];
  for (const d of digits) {
    if (d.size === 1) continue;
    const last = out.at(-1);
    if (last && (last.stride === d.stride * d.size || (last.stride === 0 && d.stride === 0)))
      out[out.length - 1] = { size: last.size * d.size, stride: d.stride };
    else out.push(d);
  }
  return out;
};
/** A layout in its one canonical form: neighbouring digits merged, idle axes empty. */
export const layout = (base: number, axes: readonly (readonly Digit[])[]): Layout => ({ base, axes: axes.map(tidy) });

/** Channels on the last axis of a value of this rank. */
export const onLast = (rank: number, digits: readonly Digit[]): Layout =>
  layout(
    0,
    Array.from({ length: rank }, (_, i) => (i === rank - 1 ? digits : [])),
  );

export const carries = (l: Layout): boolean => l.axes.some((a) => a.length > 0);
export const sameDigits = (a: readonly Digit[], b: readonly Digit[]): boolean =>
  a.length === b.length && a.every((d, i) => d.size === b[i]!.size && d.stride === b[i]!.stride);
export const sameLayout = (a: Layout, b: Layout): boolean =>
  a.base === b.base && a.axes.length === b.axes.length && a.axes.every((x, i) => sameDigits(x, b.axes[i]!));

/** The channel of each index of digits. */
export function channelsOf(digits: readonly Digit[], base = 0): Int32Array {
  let out = Int32Array.of(base);
  for (const d of digits) {
    const next = new Int32Array(out.length * d.size);
    for (let i = 0, k = 0; i < out.length; i++) for (let j = 0; j < d.size; j++, k++) next[k] = out[i]! + j * d.stride;
    out = next;
  }
  return out;
}
/** Every channel that the value holds. */
export const channelsIn = (l: Layout): Int32Array => channelsOf(l.axes.flat(), l.base);

/** Cuts a digit list (most significant first) into lists of the given sizes; undefined where a cut falls inside a digit that it does not divide. */
function cut(digits: readonly Digit[], sizes: readonly number[]): Digit[][] | undefined {
  const left = [...digits];
  const out: Digit[][] = [];
  for (const size of [...sizes].reverse()) {
    const here: Digit[] = [];
    let need = size;
    while (need > 1) {
      const d = left.pop();
      if (!d) return undefined;
      if (d.size <= need) {
        if (need % d.size) return undefined;
        here.unshift(d);
        need /= d.size;
      } else {
        if (d.size % need) return undefined;
        here.unshift({ size: need, stride: d.stride });
        left.push({ size: d.size / need, stride: d.stride * need });
        need = 1;
      }
    }
    out.unshift(here);
  }
  return left.every((d) => d.size === 1) ? out : undefined;
}

/** Through Reshape, Flatten, Squeeze, Unsqueeze: from shapes alone, last axes first. undefined: not to be followed. */
export function reshaped(l: Layout, from: Shape, to: Shape): Layout | undefined {
  const axes: Digit[][] = to.map(() => []);
  let [i, o] = [from.length - 1, to.length - 1];
  const done = (): boolean => l.axes.slice(0, i + 1).every((a) => a.length === 0);
  while (i >= 0 || o >= 0) {
    if (done()) return layout(l.base, axes);
    const [a, b] = [from[i], to[o]];
    if (a !== undefined && a === b) {
      axes[o] = [...l.axes[i]!];
      i--;
      o--;
      continue;
    }
    if (b === 1) {
      o--;
      continue;
    }
    if (a === 1) {
      i--;
      continue;
    }
    if (typeof a !== 'number' || typeof b !== 'number') return undefined;
    const digits: Digit[] = [];
    const outs: number[] = [];
    let [p, q] = [1, 1];
    const takeIn = (): boolean => {
      const n = from[i];
      if (typeof n !== 'number') return false;
      digits.unshift(...(l.axes[i]!.length ? l.axes[i]! : [{ size: n, stride: 0 }]));
      p *= n;
      i--;
      return true;
    };
    const takeOut = (): boolean => {
      const n = to[o];
      if (typeof n !== 'number') return false;
      outs.unshift(n);
      q *= n;
      o--;
      return true;
    };
    if (!takeIn() || !takeOut()) return undefined;
    while (p !== q) if (!(p < q ? takeIn() : takeOut())) return undefined;
    const parts = cut(digits, outs);
    if (!parts) return undefined;
    for (const [k, part] of parts.entries()) axes[o + 1 + k] = part;
  }
  return layout(l.base, axes);
}

export const transposed = (l: Layout, perm: readonly number[]): Layout =>
  layout(
    l.base,
    perm.map((p) => l.axes[p]!),
  );

/** Aligned to a larger rank, as broadcasting does. */
export const ranked = (l: Layout, rank: number): Layout =>
  layout(l.base, [...Array.from({ length: rank - l.axes.length }, () => []), ...l.axes]);

/**
 * A part of one axis. `start` undefined: computed in the graph; then only the half of an axis whose halves share their channels is known
 * (a rotary embedding under a tied layout). `step` 2: one of each pair that shares its channel.
 */
export function sliced(l: Layout, axis: number, size: number, len: number, start: number | undefined, step: number): Layout | undefined {
  const digits = l.axes[axis]!;
  if (digits.length === 0 || (len === size && step === 1)) return l;
  const put = (base: number, d: readonly Digit[]): Layout =>
    layout(
      base,
      l.axes.map((a, i) => (i === axis ? d : a)),
    );
  const halves = cut(digits, [size / len, len]);
  if (step === 1 && halves && idle(halves[0]!) && (start === undefined ? size === 2 * len : start % len === 0))
    return put(l.base, halves[1]!);
  if (step > 1) {
    const pairs = size % step === 0 && len === size / step ? cut(digits, [len, step]) : undefined;
    return pairs && idle(pairs[1]!) ? put(l.base, pairs[0]!) : undefined;
  }
  if (start === undefined || step !== 1) return undefined;
  if (digits.length === 1) return put(l.base + start * digits[0]!.stride, [{ size: len, stride: digits[0]!.stride }]);
  if (!halves || start % len || halves[0]!.length > 1) return undefined;
  return put(l.base + (start / len) * (halves[0]![0]?.stride ?? 0), halves[1]!);
}
