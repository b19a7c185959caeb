/**
 * The toy layer F1 of systems.md, by our own generator: 128 → 128, correlated inputs with log-normal channel gains (σ = .6) and four channels ×40,
 * weights N(0, .05²). Rows beyond the first 256 are held out.
 */

export const N = 128;
const uniform = (seed: number) => {
  let state = seed >>> 0;
  return (): number => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t = (t + Math.imul(t ^ (t >>> 7), t | 61)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
};
export function normal(seed: number): () => number {
  const next = uniform(seed);
  return () => {
    let sum = -6;
    for (let i = 0; i < 12; i++) sum += next();
    return sum;
  };
}

export interface Layer {
  readonly x: Float32Array;
  readonly held: Float32Array;
  readonly w: Float32Array;
  /** What the channels of x were multiplied by: the gain of a norm before it. */
  readonly gain: Float64Array;
}

export function layer(seed = 1, rows = 256): Layer {
  const g = normal(seed);
  const mix = Float64Array.from({ length: N * N }, () => g() / Math.sqrt(N));
  const gain = Float64Array.from({ length: N }, (_, k) => Math.exp(0.6 * g()) * ([5, 40, 77, 101].includes(k) ? 40 : 1));
  const all = new Float32Array(2 * rows * N);
  for (let r = 0; r < 2 * rows; r++) {
    const z = Float64Array.from({ length: N }, () => g());
    for (let k = 0; k < N; k++) {
      let sum = z[k]! * 0.7;
      for (let j = 0; j < N; j++) sum += 0.7 * z[j]! * mix[j * N + k]!;
      all[r * N + k] = sum * gain[k]!;
    }
  }
  const w = Float32Array.from({ length: N * N }, () => 0.05 * g());
  return { x: all.slice(0, rows * N), held: all.slice(rows * N), w, gain };
}

/** X Wᵀ for rows of N. */
export function outputs(x: Float32Array, w: Float32Array, n = N): Float64Array {
  const [rows, out] = [x.length / n, w.length / n];
  const y = new Float64Array(rows * out);
  for (let r = 0; r < rows; r++)
    for (let o = 0; o < out; o++) {
      let sum = 0;
      for (let k = 0; k < n; k++) sum += x[r * n + k]! * w[o * n + k]!;
      y[r * out + o] = sum;
    }
  return y;
}
/** 10 log10 ‖y‖² / ‖y − ŷ‖². */
export function sqnr(y: Float64Array, actual: Float64Array): number {
  let [error, energy] = [0, 0];
  for (let i = 0; i < y.length; i++) {
    energy += y[i]! ** 2;
    error += (y[i]! - actual[i]!) ** 2;
  }
  return 10 * Math.log10(energy / error);
}

/** SmoothQuant's scales: X / s, W · s. */
export function smoothed({ x, held, w, gain }: Layer, alpha: number): Layer {
  const most = (m: Float32Array, k: number) => {
    let a = 0;
    for (let i = k; i < m.length; i += N) a = Math.max(a, Math.abs(m[i]!));
    return a;
  };
  const s = Float64Array.from({ length: N }, (_, k) => most(x, k) ** alpha / most(w, k) ** (1 - alpha));
  return { x: x.map((v, i) => v / s[i % N]!), held: held.map((v, i) => v / s[i % N]!), w: w.map((v, i) => v * s[i % N]!), gain };
}
