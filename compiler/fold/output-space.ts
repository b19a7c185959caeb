/** Errors of weights as errors of outputs: E → E S with S Sᵀ the second moment of the inputs, so that ‖E S‖ is what the output is off by. */
import type { Crunch, LowRankRequest } from '../crunch.ts';

/** Share of the mean second moment that is added to each channel: S has an inverse, and a short sample does not decide alone. */
const DAMP = 0.01;

/** S by the rows of X [rows, n] that were seen; undefined where it is one. */
export async function measure(
  error: 'weight' | 'diagonal' | 'covariance',
  x: Float32Array,
  n: number,
  crunch: Crunch,
): Promise<LowRankRequest['space']> {
  if (error === 'weight' || x.length === 0) return undefined;
  const c = new Float64Array(n * n);
  await crunch.gram(c, x, n);
  let mean = 0;
  for (let k = 0; k < n; k++) mean += c[k * n + k]! / n;
  if (!(mean > 0)) return undefined;
  for (let k = 0; k < n; k++) c[k * n + k]! += DAMP * mean;
  if (error === 'diagonal') return { root: Float32Array.from({ length: n }, (_, k) => Math.sqrt(c[k * n + k]! / mean)) };
  const { values, vectors } = await crunch.eigen(c, n);
  /** Σ (λ/mean)^exponent v vᵀ */
  const power = async (exponent: number): Promise<Float32Array> => {
    const rows = Float32Array.from(vectors, (v, i) => v * (Math.max(values[Math.floor(i / n)]!, DAMP * mean) / mean) ** (exponent / 2));
    const s = new Float64Array(n * n);
    await crunch.gram(s, rows, n);
    return Float32Array.from(s);
  };
  return { root: await power(0.5), inverse: await power(-0.5) };
}
