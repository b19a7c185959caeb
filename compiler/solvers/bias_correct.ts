import type { SolverOf } from '../define.ts';
import { choice, type Schema } from '../schema.ts';

const params = {
  inputs: choice(['sequential'], { doc: 'Inputs that went through the quantized and corrected layers before.', default: 'sequential' }),
} satisfies Schema;

const solver: SolverOf<'correction', typeof params> = {
  name: 'bias_correct',
  since: '0.4.0',
  doc: 'Moves the mean error of the output into the bias, after all weights are solved. A linear without a bias gets one.',
  cite: 'Nagel et al., Data-Free Quantization, 2019 (arXiv:1906.04721)',
  formula: "b' = b + E[y] − E[ŷ]",
  params,
  decides: 'correction',
  covers: ({ site }) => (site.role === 'linear' || site.bias !== undefined ? undefined : `a ${site.role} without a bias takes none`),
  wants: () => ({ inputs: 'layer', float: true }),
  correct: (float, actual) => float.map((y, i) => y - actual[i]!),
};
export default solver;
