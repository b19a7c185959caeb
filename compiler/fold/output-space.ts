/** Errors of weights as errors of outputs: E → E S with S Sᵀ the second moment of the inputs, so that ‖E S‖ is what the output is off by. */
import type { Crunch } from '../crunch.ts';
import { times } from './times.ts';

/** Share of the mean second moment that is added to each channel: S has an inverse, and a short sample does not decide alone. */
const DAMP = 0.01;

export interface Space {
  /** Rows M [count, n] → M S. */
  into(m: Float32Array, count: number): Float32Array;
  /** Rows of that space → what they are as weights, V S⁻¹, each with a largest entry of 1. */
  back(v: Float64Array, count: number): Float64Array;
}

/** By the rows of X [rows, n] that were seen. */
export async function measure(error: 'weight' | 'diagonal' | 'covariance', x: Float32Array, n: number, crunch: Crunch): Promise<Space> {
  const rows = x.length / n;
  if (error === 'weight' || rows === 0) return { into: (m) => m, back: (v) => v };
  const c = new Float64Array(n * n);
  await crunch.gram(c, x, n);
  let mean = 0;
  for (let k = 0; k < n; k++) mean += c[k * n + k]! / n;
  if (!(mean > 0)) return { into: (m) => m, back: (v) => v };
  for (let k = 0; k < n; k++) c[k * n + k]! += DAMP * mean;
  if (error === 'diagonal') {
    const root = Float64Array.from({ length: n }, (_, k) => Math.sqrt(c[k * n + k]! / mean));
    return {
      into: (m) => m.map((w, i) => w * root[i % n]!),
      back: (v) =>
        unit(
          v.map((w, i) => w / root[i % n]!),
          n,
        ),
    };
  }
  const { values, vectors } = await crunch.eigen(c, n);
  const power = (exponent: number): Float64Array => {
    const s = new Float64Array(n * n);
    for (let k = 0; k < n; k++) {
      const f = (Math.max(values[k]!, DAMP * mean) / mean) ** exponent;
      for (let i = 0; i < n; i++) {
        const fi = f * vectors[k * n + i]!;
        for (let j = 0; j < n; j++) s[i * n + j]! += fi * vectors[k * n + j]!;
      }
    }
    return s;
  };
  const [root, inverse] = [power(0.5), power(-0.5)];
  return { into: (m) => Float32Array.from(times(m, root, n)), back: (v) => unit(times(v, inverse, n), n) };
}

/** Rows with a largest entry of 1, so that they keep their digits in float16. */
function unit(v: Float64Array, n: number): Float64Array {
  const out = v.slice();
  for (let from = 0; from < v.length; from += n) {
    const most = v.subarray(from, from + n).reduce((m, x) => Math.max(m, Math.abs(x)), 0);
    if (most > 0) for (let k = from; k < from + n; k++) out[k]! /= most;
  }
  return out;
}
