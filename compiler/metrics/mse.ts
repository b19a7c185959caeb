import type { Metric } from '../define.ts';

const metric: Metric = {
  name: 'mse',
  since: '0.1.0',
  doc: 'Mean squared error over all elements.',
  formula: 'Σ (x − x̂)² / n',
  better: 'smaller',
  params: {},
  start: () => new Float64Array(2),
  fold(acc, reference, actual) {
    for (let i = 0; i < reference.length; i++) acc[0]! += (reference[i]! - actual[i]!) ** 2;
    acc[1]! += reference.length;
  },
  finish: (acc) => acc[0]! / acc[1]!,
};
export default metric;
