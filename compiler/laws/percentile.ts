import type { Law } from '../define.ts';
import { num } from '../schema.ts';

const params = {
  p: num({
    doc: 'Share of the values that stay inside the range, in percent.',
    min: 50,
    max: 100,
    default: 99.99,
    aliases: ['percentile'],
  }),
};

const law: Law<typeof params> = {
  name: 'percentile',
  since: '0.1.0',
  doc: 'Clips the tails: the range covers the given share of the values.',
  formula: 'symmetric: s = Q_p(|x|) / hi; asymmetric: range from Q_(100−p)/2 to Q_(100+p)/2',
  cite: 'Wu et al., Integer Quantization for Deep Learning Inference, 2020 (arXiv:2004.09602), §5.2',
  params,
  positional: ['p'],
  crunch: (p) => ({ name: 'percentile', p: p.p }),
};
export default law;
