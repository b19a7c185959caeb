import type { Observer } from '../define.ts';
import { extremes, float32 } from './_values.ts';

export interface Range {
  readonly min: number;
  readonly max: number;
}

const observer: Observer<Record<string, never>, Range> = {
  name: 'minmax',
  since: '0.1.0',
  doc: 'The smallest and the largest value that was seen.',
  formula: 'min x, max x',
  params: {},
  start: () => ({ min: Number.POSITIVE_INFINITY, max: Number.NEGATIVE_INFINITY }),
  async fold(state, batch) {
    const [min, max] = extremes(float32(batch), state.min, state.max);
    return { min, max };
  },
  finish: ({ min, max }) => ({ min: Float64Array.of(min), max: Float64Array.of(max) }),
};
export default observer;
