/**
 * Eigenvalues and eigenvectors of symmetric matrices, in float64 with a fixed order of sums: the same bits on every machine.
 * Householder's reduction to tridiagonal form, then QL with implicit shifts (Bowdler, Martin, Reinsch, Wilkinson 1968).
 */

export interface Eigen {
  /** Largest first. */
  readonly values: Float64Array;
  /** Row k is the eigenvector of values[k]; its largest component is positive. */
  readonly vectors: Float64Array;
}

const length = (a: number, b: number): number => Math.sqrt(a * a + b * b);

/** A = Vᵀ diag(values) V for symmetric A [n, n], row-major. Error: no convergence (NaN in A). */
export function eigen(a: Float64Array): Eigen {
  const n = Math.round(Math.sqrt(a.length));
  const scale = a.reduce((m, x) => Math.max(m, Math.abs(x)), 0);
  const v = Float64Array.from(a, (x) => (scale > 0 ? x / scale : 0));
  const [d, e] = [new Float64Array(n), new Float64Array(n)];
  reduce(v, d, e, n);
  const rows = transposed(v, n);
  iterate(rows, d, e, n);
  const order = Array.from(d, (value, k) => ({ value, k })).sort((x, y) => y.value - x.value || x.k - y.k);
  const vectors = new Float64Array(n * n);
  for (const [i, { k }] of order.entries()) {
    const row = rows.subarray(k * n, (k + 1) * n);
    let top = 0;
    for (let j = 1; j < n; j++) if (Math.abs(row[j]!) > Math.abs(row[top]!)) top = j;
    const sign = n > 0 && row[top]! < 0 ? -1 : 1;
    for (let j = 0; j < n; j++) vectors[i * n + j] = sign * row[j]!;
  }
  return { values: Float64Array.from(order, (o) => o.value * scale), vectors };
}

function transposed(m: Float64Array, n: number): Float64Array {
  const out = new Float64Array(n * n);
  for (let i = 0; i < n; i++) for (let j = 0; j < n; j++) out[j * n + i] = m[i * n + j]!;
  return out;
}

/** A → Q T Qᵀ: `d` the diagonal of T, `e` what lies below it (from 1), `v` becomes Q. */
function reduce(v: Float64Array, d: Float64Array, e: Float64Array, n: number): void {
  for (let j = 0; j < n; j++) d[j] = v[(n - 1) * n + j]!;
  for (let i = n - 1; i > 0; i--) {
    let h = 0;
    for (let k = 0; k < i; k++) h += d[k]! * d[k]!;
    if (h === 0 || i === 1) {
      e[i] = d[i - 1]!;
      for (let j = 0; j < i; j++) {
        d[j] = v[(i - 1) * n + j]!;
        v[i * n + j] = 0;
        v[j * n + i] = 0;
      }
      d[i] = 0;
      continue;
    }
    const f = d[i - 1]!;
    const g = f > 0 ? -Math.sqrt(h) : Math.sqrt(h);
    e[i] = g;
    h -= f * g;
    d[i - 1] = f - g;
    for (let j = 0; j < i; j++) e[j] = 0;
    for (let j = 0; j < i; j++) {
      const dj = d[j]!;
      v[j * n + i] = dj;
      let sum = e[j]! + v[j * n + j]! * dj;
      for (let k = j + 1; k < i; k++) {
        sum += v[k * n + j]! * d[k]!;
        e[k]! += v[k * n + j]! * dj;
      }
      e[j] = sum;
    }
    let dot = 0;
    for (let j = 0; j < i; j++) {
      e[j]! /= h;
      dot += e[j]! * d[j]!;
    }
    const hh = dot / (h + h);
    for (let j = 0; j < i; j++) e[j]! -= hh * d[j]!;
    for (let j = 0; j < i; j++) {
      const [dj, ej] = [d[j]!, e[j]!];
      for (let k = j; k < i; k++) v[k * n + j]! -= dj * e[k]! + ej * d[k]!;
      d[j] = v[(i - 1) * n + j]!;
      v[i * n + j] = 0;
    }
    d[i] = h;
  }
  for (let i = 0; i < n - 1; i++) {
    v[(n - 1) * n + i] = v[i * n + i]!;
    v[i * n + i] = 1;
    const h = d[i + 1]!;
    if (h !== 0) {
      for (let k = 0; k <= i; k++) d[k] = v[k * n + i + 1]! / h;
      for (let j = 0; j <= i; j++) {
        let g = 0;
        for (let k = 0; k <= i; k++) g += v[k * n + i + 1]! * v[k * n + j]!;
        for (let k = 0; k <= i; k++) v[k * n + j]! -= g * d[k]!;
      }
    }
    for (let k = 0; k <= i; k++) v[k * n + i + 1] = 0;
  }
  for (let j = 0; j < n; j++) {
    d[j] = v[(n - 1) * n + j]!;
    v[(n - 1) * n + j] = 0;
  }
  if (n > 0) v[n * n - 1] = 1;
}

/** Rotates neighbouring rows of `v` until T is diagonal. */
function iterate(v: Float64Array, d: Float64Array, e: Float64Array, n: number): void {
  for (let i = 1; i < n; i++) e[i - 1] = e[i]!;
  if (n > 0) e[n - 1] = 0;
  let [shift, largest] = [0, 0];
  for (let l = 0; l < n; l++) {
    largest = Math.max(largest, Math.abs(d[l]!) + Math.abs(e[l]!));
    let m = l;
    while (m < n - 1 && Math.abs(e[m]!) > Number.EPSILON * largest) m++;
    for (let round = 0; m > l; round++) {
      if (!(round < 60)) throw new Error('the eigenvalues of a symmetric matrix do not converge');
      const g = d[l]!;
      const p = (d[l + 1]! - g) / (2 * e[l]!);
      const r = p < 0 ? -length(p, 1) : length(p, 1);
      d[l] = e[l]! / (p + r);
      d[l + 1] = e[l]! * (p + r);
      const next = d[l + 1]!;
      const h = g - d[l]!;
      for (let i = l + 2; i < n; i++) d[i]! -= h;
      shift += h;
      sweep(v, d, e, l, m, next, n);
      if (Math.abs(e[l]!) <= Number.EPSILON * largest) break;
    }
    d[l]! += shift;
    e[l] = 0;
  }
}

function sweep(v: Float64Array, d: Float64Array, e: Float64Array, l: number, m: number, next: number, n: number): void {
  let [p, c, c2, c3, s, s2] = [d[m]!, 1, 1, 1, 0, 0];
  const el1 = e[l + 1]!;
  for (let i = m - 1; i >= l; i--) {
    c3 = c2;
    c2 = c;
    s2 = s;
    const g = c * e[i]!;
    const h = c * p;
    const r = length(p, e[i]!);
    e[i + 1] = s * r;
    s = e[i]! / r;
    c = p / r;
    p = c * d[i]! - s * g;
    d[i + 1] = h + s * (c * g + s * d[i]!);
    const [a, b] = [v.subarray(i * n, (i + 1) * n), v.subarray((i + 1) * n, (i + 2) * n)];
    for (let k = 0; k < n; k++) {
      const y = b[k]!;
      b[k] = s * a[k]! + c * y;
      a[k] = c * a[k]! - s * y;
    }
  }
  const q = (-s * s2 * c3 * el1 * e[l]!) / next;
  e[l] = s * q;
  d[l] = c * q;
}

/**
 * The `rank` leading eigenvectors of symmetric A [n, n] as orthonormal rows, by subspace iteration from `start` (rows) or a fixed one:
 * much cheaper than all of them, and what is left undecided between near-equal eigenvalues does not matter to a truncation.
 */
export function leading(a: Float64Array, rank: number, rounds: number, start?: Float64Array): Float64Array {
  const n = Math.round(Math.sqrt(a.length));
  let rows = start ?? Float64Array.from({ length: rank * n }, (_, i) => Math.fround(Math.imul(i + 1, 0x9e3779b1) / 2 ** 31));
  rows = orthonormal(rows, rank, n);
  for (let round = 0; round < rounds; round++) {
    const next = new Float64Array(rank * n);
    for (let r = 0; r < rank; r++) {
      const [from, to] = [rows.subarray(r * n, (r + 1) * n), next.subarray(r * n, (r + 1) * n)];
      for (let i = 0; i < n; i++) {
        const x = from[i]!;
        if (x !== 0) for (let j = 0, at = i * n; j < n; j++) to[j]! += x * a[at + j]!;
      }
    }
    rows = orthonormal(next, rank, n);
  }
  return rows;
}

/** Gram and Schmidt, twice. A row that depends on those before it becomes a unit vector that does not. */
export function orthonormal(given: Float64Array, rank: number, n: number): Float64Array {
  const rows = given.slice();
  for (let r = 0; r < rank; r++) {
    const row = rows.subarray(r * n, (r + 1) * n);
    const before = Math.sqrt(row.reduce((s, x) => s + x * x, 0));
    for (let unit = 0; ; unit++) {
      for (let pass = 0; pass < 2; pass++)
        for (let p = 0; p < r; p++) {
          const other = rows.subarray(p * n, (p + 1) * n);
          let dot = 0;
          for (let j = 0; j < n; j++) dot += row[j]! * other[j]!;
          for (let j = 0; j < n; j++) row[j]! -= dot * other[j]!;
        }
      const norm = Math.sqrt(row.reduce((s, x) => s + x * x, 0));
      if (norm > 1e-12 * (unit === 0 ? before : 1) && norm > 0) {
        for (let j = 0; j < n; j++) row[j]! /= norm;
        break;
      }
      row.fill(0);
      row[(r + unit) % n] = 1;
    }
  }
  return rows;
}
