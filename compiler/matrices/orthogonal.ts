import type { OrthogonalMatrix } from '../define.ts';
import { dense } from '../fold/rotation.ts';
import { uniform } from '../fold/uniform.ts';
import { int } from '../schema.ts';

const params = { seed: int({ doc: 'Seed.', min: 0, default: 0 }) };

/** Rows of nearly normal numbers (sums of twelve uniform ones: the same on every machine), made orthonormal by Gram and Schmidt, twice. */
export function orthogonal(n: number, seed: number): Float64Array {
  const next = uniform(seed);
  const r = new Float64Array(n * n);
  for (let i = 0; i < n; i++) {
    const row = r.subarray(i * n, (i + 1) * n);
    for (let j = 0; j < n; j++) {
      row[j] = -6;
      for (let k = 0; k < 12; k++) row[j]! += next();
    }
    for (let pass = 0; pass < 2; pass++)
      for (let p = 0; p < i; p++) {
        const other = r.subarray(p * n, (p + 1) * n);
        let dot = 0;
        for (let j = 0; j < n; j++) dot += row[j]! * other[j]!;
        for (let j = 0; j < n; j++) row[j]! -= dot * other[j]!;
      }
    const norm = Math.sqrt(row.reduce((s, x) => s + x * x, 0));
    for (let j = 0; j < n; j++) row[j]! /= norm;
  }
  return r;
}

const matrix: OrthogonalMatrix<typeof params> = {
  name: 'orthogonal',
  since: '0.1.0',
  doc: 'A random orthogonal matrix.',
  formula: 'Q of a matrix of normal numbers',
  params,
  positional: ['seed'],
  make: (size, p) => dense(`orthogonal(${p.seed}) ${size}`, orthogonal(size, p.seed)),
};
export default matrix;
