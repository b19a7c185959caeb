import type { Objective } from '../define.ts';

const objective: Objective = {
  name: 'layers',
  since: '0.1.0',
  doc: 'Squared errors on the outputs of layers, added: a wide layer counts as much as its outputs do. Without an argument, of every quantized layer.',
  formula: 'Σ over layers of Σ (y − ŷ)²',
  better: 'smaller',
  params: {},
  site: ({ error }) => error,
};
export default objective;
