import type { Clip } from '../define.ts';
import { num } from '../schema.ts';

const share = (doc: string, value: number) => num({ doc, min: 0.5, max: 1, default: value });
const params = {
  a: share('First share of the values that a bound keeps on its side.', 0.999),
  b: share('Second share.', 0.9999),
  c: share('Third share.', 0.99999),
};

/** Where the cumulated counts pass `share` of all, from below; `share` 1 is the end. */
function quantile(counts: Float64Array, lo: number, width: number, share: number): number {
  const total = counts.reduce((a, b) => a + b, 0);
  let [sum, i] = [0, 0];
  while (i < counts.length - 1 && sum + counts[i]! < share * total) sum += counts[i++]!;
  return lo + (i + 1) * width;
}

/** Σ n(x)·(x − Q(x))² of `steps` equal steps over [from, to]. */
function error(counts: Float64Array, lo: number, width: number, from: number, to: number, steps: number): number {
  const step = (to - from) / steps || 1;
  let sum = 0;
  for (const [i, n] of counts.entries()) {
    if (n === 0) continue;
    const x = lo + (i + 0.5) * width;
    const q = from + step * Math.min(steps, Math.max(0, Math.round((x - from) / step)));
    sum += n * (x - q) ** 2;
  }
  return sum;
}

const clip: Clip<typeof params> = {
  name: 'dual',
  since: '0.1.0',
  doc: 'A lower and an upper bound for each channel, each at one of three quantiles or at the extreme: the pair with the least squared error on the histogram.',
  cite: 'Li et al., RepQuant, 2024 (arXiv:2402.05628)',
  formula: 'argmin Σ (x − Q(x; l, u))², l ∈ {min, q(1−a), q(1−b), q(1−c)}, u ∈ {max, q(a), q(b), q(c)}',
  params,
  positional: ['a', 'b', 'c'],
  range({ counts, lo, hi, min, max }, steps, p) {
    const width = (hi - lo) / counts.length;
    const shares = [p.a, p.b, p.c];
    const mirrored = Float64Array.from(counts).reverse();
    const lower = [min, ...shares.map((s) => Math.max(min, -quantile(mirrored, -hi, width, s)))];
    const upper = [max, ...shares.map((s) => Math.min(max, quantile(counts, lo, width, s)))];
    let best = { lo: min, hi: max, error: Number.POSITIVE_INFINITY };
    for (const from of lower)
      for (const to of upper) {
        const e = from < to ? error(counts, lo, width, from, to, steps) : Number.POSITIVE_INFINITY;
        if (e < best.error) best = { lo: from, hi: to, error: e };
      }
    return { lo: best.lo, hi: best.hi };
  },
};
export default clip;
