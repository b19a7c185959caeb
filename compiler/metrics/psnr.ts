import type { Metric } from '../define.ts';

const metric: Metric = {
  name: 'psnr',
  since: '0.1.0',
  doc: 'Peak signal to noise ratio; the peak is the range of the reference values that were seen.',
  formula: '10 log10( (max x − min x)² / mse )',
  better: 'larger',
  unit: 'dB',
  params: {},
  start: () => Float64Array.of(0, 0, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY),
  fold(acc, reference, actual) {
    for (let i = 0; i < reference.length; i++) {
      const x = reference[i]!;
      acc[0]! += (x - actual[i]!) ** 2;
      if (x < acc[2]!) acc[2] = x;
      if (x > acc[3]!) acc[3] = x;
    }
    acc[1]! += reference.length;
  },
  finish: (acc) => 10 * Math.log10((acc[3]! - acc[2]!) ** 2 / Math.max(acc[0]! / acc[1]!, 1e-30)),
};
export default metric;
