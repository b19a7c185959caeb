import type { Objective } from '../define.ts';
import { expression } from '../schema.ts';

const params = {
  of: expression({ doc: 'On what: `layer`, `weights`, a selection (sums over sites), or output("…") (the whole model).', optional: true }),
};

const objective: Objective<typeof params> = {
  name: 'sqnr',
  since: '0.1.0',
  doc: 'Signal to quantization noise ratio in dB: of a graph output, or summed over the selected sites.',
  formula: '10 log10(Σ y² / Σ (y − ŷ)²)',
  better: 'larger',
  params,
  positional: ['of'],
  site: ({ error, energy }) => 10 * Math.log10(Math.max(energy, 1e-300) / Math.max(error, 1e-300)),
  metric: 'sqnr',
};
export default objective;
