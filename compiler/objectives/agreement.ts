import type { Objective } from '../define.ts';
import { expression } from '../schema.ts';

const params = { of: expression({ doc: 'On what: output("…").', optional: true }) };

const objective: Objective<typeof params> = {
  name: 'agreement',
  since: '0.1.0',
  doc: 'Share of rows of a graph output whose largest element is that of the float model.',
  formula: 'mean [argmax x = argmax x̂]',
  better: 'larger',
  params,
  positional: ['of'],
  metric: 'agreement',
};
export default objective;
