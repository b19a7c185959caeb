import type { Observer } from '../define.ts';
import { int } from '../schema.ts';
import { byChannel } from './_values.ts';

const params = { axis: int({ doc: 'The channel axis; negative counts from the end.', default: -1 }) };

/** `sums` [5, channels]: min, max, Σx, Σx², Σ|x|, as crunch folds them. */
export interface Sums {
  readonly sums: Float64Array;
  readonly count: number;
}

const observer: Observer<typeof params, Sums> = {
  name: 'moments',
  since: '0.1.0',
  doc: 'Count, minimum, maximum, mean, variance and mean magnitude of each channel.',
  formula: 'μ = Σx/n; σ² = Σx²/n − μ²; a = Σ|x|/n',
  params,
  start: () => ({ sums: new Float64Array(0), count: 0 }),
  async fold(state, batch, crunch, p) {
    const { x, rows, channels } = byChannel(batch, p.axis, state.sums.length / 5);
    const sums = state.count ? state.sums : new Float64Array(5 * channels);
    if (state.count === 0) {
      sums.fill(Number.POSITIVE_INFINITY, 0, channels);
      sums.fill(Number.NEGATIVE_INFINITY, channels, 2 * channels);
    }
    await crunch.moments(sums, x, channels);
    return { sums, count: state.count + rows };
  },
  finish({ sums, count }) {
    const n = sums.length / 5;
    const row = (i: number) => sums.slice(i * n, (i + 1) * n);
    const mean = row(2).map((s) => s / count);
    return {
      count: Float64Array.of(count),
      min: row(0),
      max: row(1),
      mean,
      variance: row(3).map((s, c) => Math.max(0, s / count - mean[c]! ** 2)),
      magnitude: row(4).map((s) => s / count),
    };
  },
};
export default observer;
