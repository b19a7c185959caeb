import type { Observer } from '../define.ts';
import { int } from '../schema.ts';
import { float32 } from './_values.ts';

const params = { token: int({ doc: 'Index along the axis before the last.', min: 0, default: 0 }) };

export interface Seen {
  readonly min: Float64Array;
  readonly max: Float64Array;
}

const observer: Observer<typeof params, Seen> = {
  name: 'token',
  since: '0.2.0',
  doc: 'The smallest and largest value of each channel at one token: equal where the token does not depend on the data.',
  formula: 'min and max over batches of x[…, token, c]',
  params,
  positions: true,
  start: () => ({ min: new Float64Array(0), max: new Float64Array(0) }),
  async fold(state, batch, _crunch, p) {
    const [tokens, channels] = [batch.shape.at(-2) ?? 1, batch.shape.at(-1) ?? 1];
    const x = float32(batch);
    const min = state.min.length ? state.min : new Float64Array(channels).fill(Number.POSITIVE_INFINITY);
    const max = state.max.length ? state.max : new Float64Array(channels).fill(Number.NEGATIVE_INFINITY);
    if (p.token < tokens)
      for (let at = p.token * channels; at < x.length; at += tokens * channels)
        for (let c = 0; c < channels; c++) {
          min[c] = Math.min(min[c]!, x[at + c]!);
          max[c] = Math.max(max[c]!, x[at + c]!);
        }
    return { min, max };
  },
  finish: ({ min, max }) => ({ min, max }),
};
export default observer;
