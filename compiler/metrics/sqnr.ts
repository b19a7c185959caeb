import type { Metric } from '../define.ts';

const metric: Metric = {
  name: 'sqnr',
  since: '0.1.0',
  doc: 'Signal to quantization noise ratio over all elements.',
  formula: '10 log10( Σ x² / Σ (x − x̂)² )',
  better: 'larger',
  unit: 'dB',
  params: {},
  start: () => new Float64Array(2),
  fold(acc, reference, actual) {
    for (let i = 0; i < reference.length; i++) {
      const x = reference[i]!;
      acc[0]! += x * x;
      acc[1]! += (x - actual[i]!) ** 2;
    }
  },
  finish: (acc) => 10 * Math.log10(acc[0]! / Math.max(acc[1]!, 1e-300)),
};
export default metric;
