import type { Objective } from '../define.ts';

const objective: Objective = {
  name: 'l1',
  since: '0.5.0',
  doc: 'Mean absolute difference of a graph output.',
  formula: 'mean |x − x̂|',
  better: 'smaller',
  params: {},
  metric: 'l1',
};
export default objective;
