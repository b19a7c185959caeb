import type { Observer } from '../define.ts';
import { int } from '../schema.ts';
import { extremes, float32 } from './_values.ts';

const params = { bins: int({ doc: 'Bins over the range; even.', min: 2, max: 1 << 20, default: 4096 }) };

/** Equal bins over [lo, hi], which covers [min, max]. */
export interface Histogram {
  readonly counts: Float64Array;
  readonly lo: number;
  readonly hi: number;
  readonly min: number;
  readonly max: number;
}

/** Doubles the range towards `right` (or left): neighbouring bins merge, so no count moves to a wrong place. */
function widen({ counts, lo, hi, min, max }: Histogram, right: boolean): Histogram {
  const half = counts.length / 2;
  const merged = new Float64Array(counts.length);
  const from = right ? 0 : half;
  for (let i = 0; i < half; i++) merged[from + i] = counts[2 * i]! + counts[2 * i + 1]!;
  const range = hi - lo;
  return { counts: merged, lo: right ? lo : lo - range, hi: right ? hi + range : hi, min, max };
}

const observer: Observer<typeof params, Histogram> = {
  name: 'histogram',
  since: '0.1.0',
  doc: 'Counts in equal bins over a range that doubles when values fall outside; the laws percentile, entropy and mse choose their clip on it.',
  params,
  positional: ['bins'],
  start: (p) => ({
    counts: new Float64Array(p.bins + (p.bins % 2)),
    lo: 0,
    hi: 0,
    min: Number.POSITIVE_INFINITY,
    max: Number.NEGATIVE_INFINITY,
  }),
  async fold(state, batch, crunch) {
    const x = float32(batch);
    if (x.length === 0) return state;
    const [min, max] = extremes(x, state.min, state.max);
    let next: Histogram = { ...state, min, max };
    if (state.min > state.max) {
      // A constant first batch still needs a width; a step of its own magnitude keeps it in the middle.
      const pad = min === max ? Math.max(Math.abs(min) * 1e-3, 1e-6) : 0;
      next = { ...next, lo: min - pad, hi: max + pad };
    }
    while (next.max > next.hi) next = widen(next, true);
    while (next.min < next.lo) next = widen(next, false);
    await crunch.histogram(next.counts, x, next.lo, next.hi);
    return next;
  },
  finish: ({ counts, lo, hi, min, max }) => ({
    counts,
    range: Float64Array.of(lo, hi),
    min: Float64Array.of(min),
    max: Float64Array.of(max),
  }),
};
export default observer;
