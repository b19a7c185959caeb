import type { Observer } from '../define.ts';
import { int } from '../schema.ts';
import { byChannel } from './_values.ts';
import histogram, { type Histogram } from './histogram.ts';

const params = {
  axis: int({ doc: 'The channel axis; negative counts from the end.', default: -1 }),
  bins: int({ doc: 'Bins over the range of each channel; even.', min: 2, max: 1 << 16, default: 512 }),
};

/** Counts of each channel over a range of its own. */
const observer: Observer<typeof params, readonly Histogram[]> = {
  name: 'histograms',
  since: '0.1.0',
  doc: 'A histogram of each channel; clips by channel are chosen on it.',
  params,
  start: () => [],
  async fold(state, batch, crunch, p) {
    const { x, rows, channels } = byChannel(batch, p.axis, state.length);
    const bins = { bins: p.bins };
    const out: Histogram[] = [];
    const column = new Float32Array(rows);
    for (let c = 0; c < channels; c++) {
      for (let r = 0; r < rows; r++) column[r] = x[r * channels + c]!;
      const one = { dtype: 'float32', shape: [rows], bytes: new Uint8Array(column.buffer) } as const;
      out.push(await histogram.fold(state[c] ?? histogram.start(bins), one, crunch, bins));
    }
    return out;
  },
  finish: (all) => ({
    counts: Float64Array.from(all.flatMap((h) => [...h.counts])),
    lo: Float64Array.from(all, (h) => h.lo),
    hi: Float64Array.from(all, (h) => h.hi),
    min: Float64Array.from(all, (h) => h.min),
    max: Float64Array.from(all, (h) => h.max),
  }),
};
export default observer;
