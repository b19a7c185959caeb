import type { Objective } from '../define.ts';

const objective: Objective = {
  name: 'agreement',
  since: '0.1.0',
  doc: 'Share of rows of a graph output whose largest element is that of the float model.',
  formula: 'mean [argmax x = argmax x̂]',
  better: 'larger',
  params: {},
  metric: 'agreement',
};
export default objective;
