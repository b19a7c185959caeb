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
  doc: 'Half-quadratic quantization for integer zero points. The paper refits a real zero point; rounded to a code it loses what it gained, so here the step is refitted by least squares around a sparse error, from several ranges and neighbouring zero points, and the error of the mean counts more than its square. At the default beta the errors of small weights are hardly sparse, so p, beta and kappa change little.',
  formula: 'argmin_{s,z} Σ(w − ŵ)² + 2n·mean(w − ŵ)², s ← ⟨w − w_e, q − z⟩/‖q − z‖², w_e = shrink_p(w − ŵ, β), β ← κβ',
  cite: 'Badri & Shaji, Half-Quadratic Quantization of Large Machine Learning Models, 2023 (mobiusml.github.io/hqq_blog)',
  params,
  crunch: (p) => ({ name: 'hqq', p: p.p, beta: p.beta, kappa: p.kappa, iterations: p.iterations }),
};
export default law;
