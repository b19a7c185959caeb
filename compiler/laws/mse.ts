import type { Law } from '../define.ts';
import { bool, int, num } from '../schema.ts';

const params = {
  steps: int({ doc: 'Candidates on the grid.', min: 1, max: 4096, default: 50, aliases: ['grid'] }),
  shrink: num({ doc: 'The smallest candidate, as a share of the full range.', min: 0.01, max: 1, default: 0.6 }),
  p: num({ doc: 'Power of the error: 2 is the mean squared error.', min: 0.5, max: 8, default: 2, aliases: ['norm'] }),
  signed: bool({
    doc: 'For symmetric formats also tries every candidate negated, so that the extra code −2^(b−1) may serve the larger side.',
    default: true,
  }),
};

const law: Law<typeof params> = {
  name: 'mse',
  since: '0.1.0',
  doc: 'The step with the smallest rounding error on a grid of shrunken ranges.',
  formula: 'argmin_s Σ |x − Q_s(x)|^p, s = s_minmax·(1 − i·(1 − shrink)/steps), i = 0 … steps−1',
  cite: 'Nagel et al., A White Paper on Neural Network Quantization, 2021 (arXiv:2106.08295), §3.1; p = 2.4 after Wei et al., QDrop, 2022 (arXiv:2203.05740)',
  params,
  positional: ['steps'],
  crunch: (p) => ({ name: 'mse', steps: p.steps, shrink: p.shrink, p: p.p, signed: p.signed }),
};
export default law;
