import type { Objective } from '../define.ts';
import { expression } from '../schema.ts';

const params = { of: expression({ doc: 'On what: output("…").', optional: true }) };

const objective: Objective<typeof params> = {
  name: 'cosine',
  since: '0.1.0',
  doc: 'Mean cosine between the rows of a graph output and those of the float model.',
  formula: 'x·x̂ / (‖x‖ ‖x̂‖)',
  better: 'larger',
  params,
  positional: ['of'],
  metric: 'cosine',
};
export default objective;
