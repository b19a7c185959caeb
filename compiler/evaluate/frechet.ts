import { EigenvalueDecomposition, Matrix } from 'ml-matrix';

/**
 * Fréchet distance of two Gaussians: ‖μ₁−μ₂‖² + tr(Σ₁ + Σ₂ − 2 (Σ₁Σ₂)^½). The trace of the root is that of (Σ₂^½ Σ₁ Σ₂^½)^½, which is symmetric.
 * @param mean1 [n] @param cov1 [n, n] row-major, likewise the second
 */
export function frechet(mean1: Float64Array, cov1: Float64Array, mean2: Float64Array, cov2: Float64Array): number {
  const n = mean1.length;
  const matrix = (data: Float64Array) => Matrix.from1DArray(n, n, data);
  const [a, b] = [matrix(cov1), matrix(cov2)];
  const eigen = new EigenvalueDecomposition(b, { assumeSymmetric: true });
  const roots = Matrix.diag(eigen.realEigenvalues.map((x) => Math.sqrt(Math.max(x, 0))));
  const root = eigen.eigenvectorMatrix.mmul(roots).mmul(eigen.eigenvectorMatrix.transpose());
  const middle = new EigenvalueDecomposition(root.mmul(a).mmul(root), { assumeSymmetric: true });
  const cross = middle.realEigenvalues.reduce((sum, x) => sum + Math.sqrt(Math.max(x, 0)), 0);
  const shift = mean1.reduce((sum, x, i) => sum + (x - mean2[i]!) ** 2, 0);
  return shift + a.trace() + b.trace() - 2 * cross;
}

/** Mean and covariance (divided by rows − 1) of the columns of x [rows, n]. */
export function moments(x: Float32Array, rows: number): { mean: Float64Array; covariance: Float64Array } {
  const n = x.length / rows;
  const mean = new Float64Array(n);
  for (let i = 0; i < x.length; i++) mean[i % n]! += x[i]! / rows;
  const covariance = new Float64Array(n * n);
  for (let r = 0; r < rows; r++)
    for (let i = 0; i < n; i++) {
      const d = x[r * n + i]! - mean[i]!;
      for (let j = 0; j < n; j++) covariance[i * n + j]! += (d * (x[r * n + j]! - mean[j]!)) / (rows - 1);
    }
  return { mean, covariance };
}
