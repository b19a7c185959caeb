import type { Objective } from '../define.ts';
import { expression } from '../schema.ts';

const params = {
  of: expression({ doc: 'On what: `layer`, `weights`, a selection (sums over sites), or output("…") (the whole model).', optional: true }),
};

const objective: Objective<typeof params> = {
  name: 'mse',
  since: '0.1.0',
  doc: 'Mean squared error: of a graph output, or summed over the selected sites.',
  formula: 'mean (y − ŷ)²',
  better: 'smaller',
  params,
  positional: ['of'],
  site: ({ error, count }) => error / Math.max(1, count),
  metric: 'mse',
};
export default objective;
