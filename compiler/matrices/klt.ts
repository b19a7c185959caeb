import type { OrthogonalMatrix } from '../define.ts';
import { choice } from '../schema.ts';

const params = {
  of: choice(['inputs', 'weights'], { doc: 'Whose covariance: of what is rotated, or of the weights that read it.', default: 'inputs' }),
};

const matrix: OrthogonalMatrix<typeof params> = {
  name: 'klt',
  since: '0.2.0',
  doc: 'Eigenvectors of the covariance (Karhunen-Loève). It concentrates; `klt * hadamard` then makes all variances equal.',
  cite: 'Xu et al., MambaQuant, 2025 (arXiv:2501.13484)',
  formula: 'C = K Λ Kᵀ, R = K',
  params,
  positional: ['of'],
  from: (p) => p.of as 'inputs' | 'weights',
  make: () => undefined,
};
export default matrix;
