import type { Objective } from '../define.ts';

const objective: Objective = {
  name: 'cosine',
  since: '0.1.0',
  doc: 'Mean cosine between the rows of a graph output and those of the float model.',
  formula: 'x·x̂ / (‖x‖ ‖x̂‖)',
  better: 'larger',
  params: {},
  metric: 'cosine',
};
export default objective;
