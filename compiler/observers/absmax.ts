import type { Observer } from '../define.ts';
import { int } from '../schema.ts';
import { byChannel } from './_values.ts';

const params = { axis: int({ doc: 'The channel axis; negative counts from the end.', default: -1 }) };

const observer: Observer<typeof params, Float64Array> = {
  name: 'absmax',
  since: '0.1.0',
  doc: 'The largest magnitude of each channel.',
  formula: 'a[c] = max |x[…, c]|',
  params,
  start: () => new Float64Array(0),
  async fold(state, batch, _crunch, p) {
    const { x, rows, channels } = byChannel(batch, p.axis, state.length);
    const most = state.length ? state : new Float64Array(channels);
    for (let r = 0, i = 0; r < rows; r++)
      for (let c = 0; c < channels; c++, i++) {
        const a = Math.abs(x[i]!);
        if (a > most[c]!) most[c] = a;
      }
    return most;
  },
  finish: (absmax) => ({ absmax }),
};
export default observer;
