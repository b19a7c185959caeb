/** Orthogonal maps of rows: x → x R with R Rᵀ = 1. */
export interface Rotation {
  readonly size: number;
  readonly name: string;
  /** x R in place; x has `size` elements. */
  apply(x: Float64Array): void;
  /** x Rᵀ in place. */
  undo(x: Float64Array): void;
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
  return { size: n, name, apply: times((i, j) => r[i * n + j]!), undo: times((i, j) => r[j * n + i]!) };
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
