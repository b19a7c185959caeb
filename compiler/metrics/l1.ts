import type { Metric } from '../define.ts';

const metric: Metric = {
  name: 'l1',
  since: '0.5.0',
  doc: 'Mean absolute difference over all elements.',
  formula: 'Σ |x − x̂| / n',
  better: 'smaller',
  params: {},
  start: () => new Float64Array(2),
  fold(acc, reference, actual) {
    for (let i = 0; i < reference.length; i++) acc[0]! += Math.abs(reference[i]! - actual[i]!);
    acc[1]! += reference.length;
  },
  finish: (acc) => acc[0]! / acc[1]!,
};
export default metric;
