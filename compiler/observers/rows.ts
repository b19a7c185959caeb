import type { Observer } from '../define.ts';
import { int } from '../schema.ts';
import { byChannel } from './_values.ts';

const params = {
  axis: int({ doc: 'The channel axis; negative counts from the end.', default: -1 }),
  count: int({ doc: 'Rows that are kept, at most.', min: 1, default: 512 }),
};

/** Every `stride`-th row of what was seen. */
export interface Kept {
  readonly rows: Float32Array;
  readonly channels: number;
  readonly stride: number;
  readonly seen: number;
}

const observer: Observer<typeof params, Kept> = {
  name: 'rows',
  since: '0.2.0',
  doc: 'Rows themselves, evenly spread: whenever there are more than `count`, every other one is dropped.',
  formula: 'rows 0, 2^k, 2·2^k, …, at least half of `count` where there are so many',
  params,
  start: () => ({ rows: new Float32Array(0), channels: 0, stride: 1, seen: 0 }),
  async fold(state, batch, _crunch, p) {
    const { x, rows, channels } = byChannel(batch, p.axis, state.channels);
    let { stride } = state;
    let kept: Float32Array[] = [];
    for (let r = 0; r < state.rows.length / Math.max(1, channels); r++) kept.push(state.rows.subarray(r * channels, (r + 1) * channels));
    for (let r = 0; r < rows; r++) {
      if ((state.seen + r) % stride !== 0) continue;
      kept.push(x.slice(r * channels, (r + 1) * channels));
      if (kept.length <= p.count) continue;
      kept = kept.filter((_, i) => i % 2 === 0);
      stride *= 2;
    }
    const all = new Float32Array(kept.length * channels);
    for (const [i, row] of kept.entries()) all.set(row, i * channels);
    return { rows: all, channels, stride, seen: state.seen + rows };
  },
  finish: ({ rows, channels, seen }) => ({ rows, channels: Float64Array.of(channels), seen: Float64Array.of(seen) }),
};
export default observer;
