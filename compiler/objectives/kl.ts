import type { Objective } from '../define.ts';

const objective: Objective = {
  name: 'kl',
  since: '0.1.0',
  doc: 'Mean Kullback-Leibler divergence of the rows of a graph output, read as logits.',
  formula: 'Σ p (ln p − ln p̂)',
  better: 'smaller',
  params: {},
  metric: 'kl',
};
export default objective;
