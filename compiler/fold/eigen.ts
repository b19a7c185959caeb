/** The leading eigenvectors of symmetric matrices. */
import type { Crunch } from '../crunch.ts';

/**
 * The `rank` leading eigenvectors of symmetric A [n, n] as orthonormal rows, by subspace iteration from `start` (rows) or a fixed one:
 * much cheaper than all of them, and what is left undecided between near-equal eigenvalues does not matter to a truncation.
 */
export async function leading(crunch: Crunch, a: Float64Array, rank: number, rounds: number, start?: Float64Array): Promise<Float64Array> {
  const n = Math.round(Math.sqrt(a.length));
  let rows = start ?? Float64Array.from({ length: rank * n }, (_, i) => Math.fround(Math.imul(i + 1, 0x9e3779b1) / 2 ** 31));
  rows = await crunch.orthonormal(rows, n);
  for (let round = 0; round < rounds; round++) {
    const next = new Float64Array(rank * n);
    for (let r = 0; r < rank; r++) {
      const [from, to] = [rows.subarray(r * n, (r + 1) * n), next.subarray(r * n, (r + 1) * n)];
      for (let i = 0; i < n; i++) {
        const x = from[i]!;
        if (x !== 0) for (let j = 0, at = i * n; j < n; j++) to[j]! += x * a[at + j]!;
      }
    }
    rows = await crunch.orthonormal(next, n);
  }
  return rows;
}
