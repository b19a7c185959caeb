import type { Objective } from '../define.ts';
import { expression } from '../schema.ts';

const params = { of: expression({ doc: 'On what: output("…").', optional: true }) };

const objective: Objective<typeof params> = {
  name: 'kl',
  since: '0.1.0',
  doc: 'Mean Kullback-Leibler divergence of the rows of a graph output, read as logits.',
  formula: 'Σ p (ln p − ln p̂)',
  better: 'smaller',
  params,
  positional: ['of'],
  metric: 'kl',
};
export default objective;
