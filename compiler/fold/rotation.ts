import { uniform } from './uniform.ts';

/** Orthogonal maps of rows: x → x R with R Rᵀ = 1. */
export interface Rotation {
  readonly size: number;
  readonly name: string;
  /** x R in place; x has `size` elements. */
  apply(x: Float64Array): void;
  /** x Rᵀ in place. */
  undo(x: Float64Array): void;
  /** R = F₁ ⊗ F₂ ⊗ …, each row-major [n, n]: how it is computed at run time. One dense factor if absent. */
  readonly factors?: readonly Float64Array[];
  /** R = (Sylvester's matrix ⊗ this one [m, m]) / √size: weights are turned by the crunch. */
  readonly base?: Float64Array;
}

/** The matrix of a rotation, row-major. */
export function matrixOf(r: Rotation): Float64Array {
  const m = new Float64Array(r.size * r.size);
  for (let i = 0; i < r.size; i++) {
    m[i * r.size + i] = 1;
    r.apply(m.subarray(i * r.size, (i + 1) * r.size));
  }
  return m;
}

/**
 * The rotation M G that keeps the direction of (1, …, 1), so that means and what is left of them stay apart: G reflects what M makes of that
 * direction back onto it.
 */
export function keepingMean(m: Rotation): Rotation {
  const n = m.size;
  const w = new Float64Array(n).fill(1 / Math.sqrt(n));
  m.apply(w);
  for (let i = 0; i < n; i++) w[i]! -= 1 / Math.sqrt(n);
  const length = w.reduce((s, x) => s + x * x, 0);
  const reflect = (x: Float64Array): void => {
    if (length < 1e-20) return;
    let dot = 0;
    for (let i = 0; i < n; i++) dot += x[i]! * w[i]!;
    for (let i = 0; i < n; i++) x[i]! -= ((2 * dot) / length) * w[i]!;
  };
  const apply = (x: Float64Array): void => {
    m.apply(x);
    reflect(x);
  };
  const undo = (x: Float64Array): void => {
    reflect(x);
    m.undo(x);
  };
  return { size: n, name: `${m.name} that keeps the mean`, apply, undo };
}

/** Signs drawn from a seed: x → x diag(±1). */
export function signs(size: number, seed: number): Rotation {
  const next = uniform(seed);
  const flipped = Uint8Array.from({ length: size }, () => (next() < 0.5 ? 1 : 0));
  const flip = (x: Float64Array): void => {
    for (let i = 0; i < size; i++) if (flipped[i]) x[i] = -x[i]!;
  };
  return { size, name: `signs ${seed}`, apply: flip, undo: flip };
}

/** A dense matrix R, row-major. */
export function dense(name: string, r: Float64Array): Rotation {
  const n = Math.round(Math.sqrt(r.length));
  const times = (at: (i: number, j: number) => number) => (x: Float64Array) => {
    const y = new Float64Array(n);
    for (let i = 0; i < n; i++) {
      const v = x[i]!;
      if (v !== 0) for (let j = 0; j < n; j++) y[j]! += v * at(i, j);
    }
    x.set(y);
  };
  const base = r.map((v) => v * Math.sqrt(n));
  return { size: n, name, apply: times((i, j) => r[i * n + j]!), undo: times((i, j) => r[j * n + i]!), base };
}

/** Is R orthogonal? The largest |R Rᵀ − 1|. */
export function defect(r: Rotation): number {
  let worst = 0;
  const x = new Float64Array(r.size);
  for (let i = 0; i < Math.min(r.size, 64); i++) {
    x.fill(0);
    x[i] = 1;
    r.apply(x);
    r.undo(x);
    for (let j = 0; j < r.size; j++) worst = Math.max(worst, Math.abs(x[j]! - (i === j ? 1 : 0)));
  }
  return worst;
}
