import type { Law } from '../define.ts';
import { choice, int, list, num } from '../schema.ts';

const params = {
  steps: int({ doc: 'Points of the grid.', min: 1, max: 1_000_000, default: 20 }),
  shrink: num({ doc: 'The smallest candidate, as a share of the whole range.', min: 0.01, max: 1, default: 0.5 }),
  skip: list(choice(['q', 'k', 'v', 'gate', 'up', 'down'], { doc: 'A member of attention or mlp.' }), {
    doc: 'Members whose weights are not clipped.',
    optional: true,
  }),
};

/** The clip search of AWQ: as `mse`, but errors of weights count by the second moment of what they multiply. */
const law: Law<typeof params> = {
  name: 'grid',
  since: '0.1.0',
  doc: 'The range with the least error of the output on a grid of shrunken ones, group by group: weights count by the mean square of their input on the calibration data. On activations: by their own error.',
  formula: 'min over a of Σ_k E[x_k²]·(w_k − ŵ_k(a))², range a·[min, max], a from 1 down to shrink',
  cite: 'Lin et al., AWQ, 2023 (arXiv:2306.00978), clip search; as in LLMC (arXiv:2405.06001)',
  params,
  positional: ['steps'],
  crunch: (p) => ({ name: 'mse', steps: p.steps, shrink: p.shrink, p: 2, signed: false }),
};
export default law;
