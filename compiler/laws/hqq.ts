import type { Law } from '../define.ts';
import { int, num } from '../schema.ts';

const params = {
  p: num({ doc: 'Norm of the sparse error (below 1).', min: 0.1, max: 1, default: 0.7 }),
  beta: num({ doc: 'Initial weight of the quadratic penalty.', min: 0.001, max: 1e6, default: 10 }),
  kappa: num({ doc: 'Growth of beta each iteration.', min: 1, max: 10, default: 1.01 }),
  iterations: int({ doc: 'Half-quadratic iterations.', min: 1, max: 1000, default: 20 }),
};

const law: Law<typeof params> = {
  name: 'hqq',
  since: '0.1.0',
  doc: 'Half-quadratic quantization: the zero point is refitted so that the error is sparse. For formats with a zero point.',
  formula: 'argmin_z ‖W − Q_z⁻¹(Q_z(W))‖_p^p by alternating shrinkage of the error and the mean of W_q − (W − W_e)/s',
  cite: 'Badri & Shaji, Half-Quadratic Quantization of Large Machine Learning Models, 2023 (mobiusml.github.io/hqq_blog)',
  params,
  crunch: (p) => ({ name: 'hqq', p: p.p, beta: p.beta, kappa: p.kappa, iterations: p.iterations }),
};
export default law;
