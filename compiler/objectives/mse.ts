import type { Objective } from '../define.ts';

const objective: Objective = {
  name: 'mse',
  since: '0.1.0',
  doc: 'Mean squared error: of a graph output, or summed over the selected sites.',
  formula: 'mean (y − ŷ)²',
  better: 'smaller',
  params: {},
  site: ({ error, count }) => error / Math.max(1, count),
  metric: 'mse',
};
export default objective;
