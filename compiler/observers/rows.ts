import type { Observer } from '../define.ts';
import { int } from '../schema.ts';
import { byChannel } from './_values.ts';

const params = {
  axis: int({ doc: 'The channel axis; negative counts from the end.', default: -1 }),
  count: int({ doc: 'At most how many rows are kept.', min: 1, max: 4096, default: 64 }),
};

/** Every `stride`-th row of all that came by. */
export interface Kept {
  readonly rows: readonly Float32Array[];
  readonly stride: number;
  readonly seen: number;
  readonly channels: number;
}

const observer: Observer<typeof params, Kept> = {
  name: 'rows',
  since: '0.1.0',
  doc: 'Some rows of the value as they are, spread evenly over the data: for errors that depend on whole rows, such as those of dynamic activations.',
  formula: 'rows 0, s, 2s, …; s doubles when there are too many',
  params,
  start: () => ({ rows: [], stride: 1, seen: 0, channels: 0 }),
  async fold(state, batch, _crunch, p) {
    const { x, rows: n, channels } = byChannel(batch, p.axis, state.channels);
    let { stride } = state;
    let rows = [...state.rows];
    for (let i = 0; i < n; i++) {
      if ((state.seen + i) % stride !== 0) continue;
      rows.push(x.slice(i * channels, (i + 1) * channels));
      if (rows.length <= p.count) continue;
      rows = rows.filter((_, k) => k % 2 === 0);
      stride *= 2;
    }
    return { rows, stride, seen: state.seen + n, channels };
  },
  finish({ rows, channels }) {
    const all = new Float32Array(rows.length * channels);
    for (const [i, r] of rows.entries()) all.set(r, i * channels);
    return { rows: all, count: Float64Array.of(rows.length) };
  },
};
export default observer;
