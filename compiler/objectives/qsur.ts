import type { Objective } from '../define.ts';

/** λ: the variances along the axes of the data's ellipsoid; most: max|x|. Directions without data have no say. */
export function logQsur(variances: Float64Array, most: number): number {
  const floor = variances.reduce((m, x) => Math.max(m, x), 0) * 1e-9;
  const real = variances.filter((x) => x > floor);
  if (real.length === 0 || !(most > 0)) return 0;
  return (0.5 * real.reduce((s, x) => s + Math.log(x), 0)) / real.length - Math.log(2 * most);
}

const objective: Objective = {
  name: 'qsur',
  since: '0.5.0',
  doc: 'Quantization space utilization rate: which share of the box that a quantizer covers is filled by the data, as a logarithm for each channel. Of the inputs of layers, added; transforms change it, types do not.',
  cite: 'Hu et al., OSTQuant, 2025 (arXiv:2501.13987)',
  formula: '½ mean log λ_i − log(2 max|x|), up to a constant; λ the variances along the axes of the data',
  better: 'larger',
  params: {},
  rows: async ({ x, spectrum }) =>
    logQsur(
      await spectrum(),
      x.reduce((m, v) => Math.max(m, Math.abs(v)), 0),
    ),
};
export default objective;
