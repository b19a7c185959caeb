import type { Objective } from '../define.ts';

const objective: Objective = {
  name: 'block',
  since: '0.5.0',
  doc: 'Mean squared error on the output of each block with a quantized layer, added; what the blocks before it lose is part of it. The same as `mse(block)`.',
  formula: 'Σ over blocks of mean (y − ŷ)²',
  better: 'smaller',
  params: {},
  metric: 'mse',
  scope: 'block',
};
export default objective;
