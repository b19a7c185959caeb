/** Dual clipping (RepQuant): the two ends of a channel's range move alone, and only where that lowers the error. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import dual from '../../compiler/clips/dual.ts';
import { normal } from './toy.ts';

const args = { a: 0.999, b: 0.9999, c: 0.99999 };
const STEPS = 15;
/** 2048 bins over the extremes, as the observer makes them. */
function histogram(x: readonly number[]) {
  const [min, max] = [Math.min(...x), Math.max(...x)];
  const counts = new Float64Array(2048);
  for (const v of x) counts[Math.min(2047, Math.floor(((v - min) / (max - min)) * 2048))]!++;
  return { counts, lo: min, hi: max, min, max };
}
const error = (x: readonly number[], from: number, to: number) => {
  const step = (to - from) / STEPS;
  return x.reduce((s, v) => s + (v - (from + step * Math.min(STEPS, Math.max(0, Math.round((v - from) / step))))) ** 2, 0);
};
const g = normal(3);
const bulk = Array.from({ length: 20000 }, () => Math.min(2.5, Math.max(-2.5, g())));

test('an outlier above moves the upper bound alone, one below the lower bound', () => {
  for (const side of [1, -1]) {
    const x = [...bulk, ...Array.from({ length: 4 }, () => side * 12)];
    const h = histogram(x);
    const { lo, hi } = dual.range(h, STEPS, args as never);
    assert.ok(side > 0 ? hi < 4 && lo < -2.3 : lo > -4 && hi > 2.3, `${lo} ${hi}`);
    // Both ends clipped alike would cut the other side as well, neither end would cost most.
    assert.ok(error(x, lo, hi) < 0.5 * error(x, h.min, h.max), `${error(x, lo, hi)} ${error(x, h.min, h.max)}`);
  }
});

test('without outliers the range stays whole', () => {
  const x = Array.from({ length: 4000 }, (_, i) => i / 4000);
  const h = histogram(x);
  const { lo, hi } = dual.range(h, STEPS, args as never);
  assert.ok(error(x, lo, hi) <= error(x, h.min, h.max) * (1 + 1e-9));
  assert.ok(lo <= h.min + 2e-3 && hi >= h.max - 2e-3);
});

test.run();
