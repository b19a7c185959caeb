import type { Metric } from '../define.ts';

const metric: Metric = {
  name: 'max_error',
  since: '0.1.0',
  doc: 'The largest absolute difference of any element.',
  formula: 'max |x − x̂|',
  better: 'smaller',
  params: {},
  start: () => new Float64Array(1),
  fold(acc, reference, actual) {
    for (let i = 0; i < reference.length; i++) {
      const d = Math.abs(reference[i]! - actual[i]!);
      if (!(d <= acc[0]!)) acc[0] = d;
    }
  },
  finish: (acc) => acc[0]!,
};
export default metric;
