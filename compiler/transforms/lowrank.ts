import type { Transform } from '../define.ts';
import { branchNeeds, branchSites } from '../fold/lowrank.ts';
import { choice, int, list } from '../schema.ts';

const params = {
  rank: int({ doc: 'Rank of the branch.', min: 1, max: 4096, default: 32, aliases: ['low_rank', 'svd_rank'] }),
  iterations: int({
    doc: 'Alternations between branch and residual, at most: they stop when two in a row do not lower the output error by 0.2 %, and the best is kept.',
    min: 1,
    max: 10000,
    default: 100,
  }),
  share: list(choice(['q', 'k', 'v', 'gate', 'up'], { doc: 'A member.' }), {
    doc: 'Members that read one value and share the down factor.',
    optional: true,
  }),
  error: choice(['weight', 'diagonal', 'covariance'], {
    doc: 'The error that the branch lowers: of the weight; of the output, as if channels of the input were independent; of the output.',
    default: 'weight',
  }),
  start: choice(['weight', 'codes'], {
    doc: 'What the first branch takes up: the largest directions of the weight, or of what codes of the whole weight leave over.',
    default: 'weight',
  }),
  factors: choice(['float16', 'float32'], { doc: 'How the branch is stored; it computes in float32.', default: 'float16' }),
};

const transform: Transform<typeof params> = {
  name: 'lowrank',
  since: '0.2.0',
  doc: 'A low-rank branch in float takes the largest directions of a weight; what is left, the role `lowrank.residual`, is quantized. Branch and residual alternate: the branch becomes the best for what the codes leave over.',
  cite: 'Li et al., SVDQuant, 2024 (arXiv:2411.05007); `error` as Zhang et al., LQER, 2024 (arXiv:2402.02446) and QERA, 2024 (arXiv:2410.06040), `start: codes` as Li et al., LoftQ, 2023 (arXiv:2310.08659)',
  formula:
    'L = SVD_r(W), then L = SVD_r(W − Q(W − L)); y = Q(x) Q(W − L) + x L; with `error` SVD_r(E) is SVD_r(E S) S⁻¹, S = diag(E[x²])^½ or E[xᵀx]^½',
  params,
  stage: () => 8,
  marks: 'lowrank.residual',
  needs: (edges) => branchNeeds(edges.map((e) => e.to)),
  apply: (job, p) =>
    branchSites(job, job.edges.length ? job.edges.map((e) => e.to) : job.picked, {
      rank: p.rank,
      iterations: p.iterations,
      share: (p.share as readonly string[] | undefined) ?? [],
      factors: p.factors,
      error: p.error,
      start: p.start,
    }),
};
export default transform;
