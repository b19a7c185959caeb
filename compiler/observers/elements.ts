import { fail } from '../../grammar/diagnostics.ts';
import type { Observer } from '../define.ts';
import { int } from '../schema.ts';
import { float32 } from './_values.ts';

const params = { last: int({ doc: 'How many of the last axes are kept apart.', min: 1, default: 1 }) };

const observer: Observer<typeof params, Float64Array> = {
  name: 'elements',
  since: '0.3.0',
  doc: 'The smallest and the largest value of each position on the last axes, over all axes before them.',
  formula: 'min x[…, i, j], max x[…, i, j]',
  params,
  positions: true,
  start: () => new Float64Array(0),
  async fold(state, batch, crunch, p) {
    const x = float32(batch);
    const n = batch.shape.slice(-p.last).reduce((a, b) => a * b, 1);
    if (state.length > 0 && state.length !== 5 * n)
      fail(
        'observer-channels',
        `the last ${p.last} axes of [${batch.shape.join(', ')}] have ${n} positions, an earlier batch had ${state.length / 5}`,
        'statistics of positions need axes of fixed size',
      );
    const sums = state.length ? state : new Float64Array(5 * n).fill(Infinity, 0, n).fill(-Infinity, n, 2 * n);
    await crunch.moments(sums, x, n);
    return sums;
  },
  finish: (sums) => {
    const n = sums.length / 5;
    return { min: sums.slice(0, n), max: sums.slice(n, 2 * n) };
  },
};
export default observer;
