import type { Law } from '../define.ts';
import { int } from '../schema.ts';

const params = { bins: int({ doc: 'Bins of the histogram.', min: 128, max: 65536, default: 2048 }) };

const law: Law<typeof params> = {
  name: 'entropy',
  since: '0.1.0',
  doc: 'The clip whose quantized histogram is nearest to the original one in Kullback-Leibler divergence.',
  formula: 'argmin_c KL(P_clipped(c) ‖ Q(c))',
  cite: 'Migacz, 8-bit Inference with TensorRT, GTC 2017',
  params,
  positional: ['bins'],
  crunch: (p) => ({ name: 'entropy', bins: p.bins }),
};
export default law;
