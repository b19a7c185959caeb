import type { Objective } from '../define.ts';
import { choice, either, num, selection } from '../schema.ts';

const params = {
  p: num({ doc: 'p: the larger, the nearer to the range itself.', min: 2, max: 100, default: 10 }),
  of: either<unknown>([choice(['layer'], { doc: 'All layers.' }), selection({ doc: 'Which layers.' })], {
    doc: 'Which layers; all that are quantized where it is not given.',
    optional: true,
  }),
};

/** ‖x‖²_p of a row, its largest magnitude taken out first. */
export function squaredNorm(x: Float32Array, from: number, n: number, p: number): number {
  let most = 0;
  for (let i = from; i < from + n; i++) most = Math.max(most, Math.abs(x[i]!));
  if (most === 0) return 0;
  let sum = 0;
  for (let i = from; i < from + n; i++) sum += (Math.abs(x[i]!) / most) ** p;
  return most * most * sum ** (2 / p);
}

/** Σ over rows of ‖x‖²_p, as a share of Σ x². */
function spread(x: Float32Array, n: number, p: number): number {
  let [norms, energy] = [0, 0];
  for (let from = 0; from < x.length; from += n) norms += squaredNorm(x, from, n, p);
  for (const v of x) energy += v * v;
  return energy > 0 ? norms / energy : 0;
}

const objective: Objective<typeof params> = {
  name: 'range_pnorm',
  since: '0.2.0',
  doc: 'A smooth form of the ranges that quantizers see, of the inputs and weights of layers, each beside its energy. What `transform rotate { learn: … }` lowers; in a search it is added over layers.',
  cite: 'Hu et al., OSTQuant, 2025 (arXiv:2501.13987)',
  formula: 'Σ_i ‖x_i R‖²_p / ‖X‖² + Σ_o ‖w_o R‖²_p / ‖W‖²',
  better: 'smaller',
  params,
  positional: ['p', 'of'],
  rows: ({ x, w, n }, p) => spread(x, n, p.p) + spread(w, n, p.p),
};
export default objective;
