import type { Objective } from '../define.ts';

const objective: Objective = {
  name: 'sqnr',
  since: '0.1.0',
  doc: 'Signal to quantization noise ratio in dB: of a graph output, or summed over the selected sites.',
  formula: '10 log10(Σ y² / Σ (y − ŷ)²)',
  better: 'larger',
  params: {},
  site: ({ error, energy }) => 10 * Math.log10(Math.max(energy, 1e-300) / Math.max(error, 1e-300)),
  metric: 'sqnr',
};
export default objective;
