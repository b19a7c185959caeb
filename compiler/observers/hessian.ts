import type { Observer } from '../define.ts';
import { int } from '../schema.ts';
import { byChannel } from './_values.ts';

const params = { axis: int({ doc: 'The channel axis; negative counts from the end.', default: -1 }) };

export interface Gram {
  readonly h: Float64Array;
  readonly count: number;
}

const observer: Observer<typeof params, Gram> = {
  name: 'hessian',
  since: '0.1.0',
  doc: 'The second moment of the channels: the Hessian of the squared output error of a linear layer, up to a factor.',
  formula: 'H = XᵀX over all rows, float64',
  cite: 'Frantar et al., GPTQ, ICLR 2023 (arXiv:2210.17323)',
  params,
  start: () => ({ h: new Float64Array(0), count: 0 }),
  async fold(state, batch, crunch, p) {
    const { x, rows, channels } = byChannel(batch, p.axis, Math.sqrt(state.h.length));
    const h = state.count ? state.h : new Float64Array(channels * channels);
    await crunch.gram(h, x, channels);
    return { h, count: state.count + rows };
  },
  finish: ({ h, count }) => ({ h, count: Float64Array.of(count) }),
};
export default observer;
