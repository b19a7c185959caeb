import type { OrthogonalMatrix } from '../define.ts';
import type { Rotation } from '../fold/rotation.ts';

function prime(n: number): boolean {
  if (n < 2) return false;
  for (let d = 2; d * d <= n; d++) if (n % d === 0) return false;
  return true;
}

/** Jacobsthal's matrix: χ(i − j) over the field of q elements, q prime. */
function residues(q: number): (i: number, j: number) => number {
  const squares = new Set(Array.from({ length: q - 1 }, (_, i) => ((i + 1) * (i + 1)) % q));
  return (i, j) => (i === j ? 0 : squares.has((((i - j) % q) + q) % q) ? 1 : -1);
}

/** Paley's constructions: of order q + 1 for q ≡ 3 mod 4, of order 2(q + 1) for q ≡ 1 mod 4. Rows of ±1; undefined: neither has that order. */
export function paley(m: number): Int8Array | undefined {
  const h = new Int8Array(m * m);
  if (prime(m - 1) && (m - 1) % 4 === 3) {
    const chi = residues(m - 1);
    for (let i = 0; i < m; i++) for (let j = 0; j < m; j++) h[i * m + j] = i === 0 ? 1 : j === 0 ? -1 : i === j ? 1 : chi(i - 1, j - 1);
    return h;
  }
  const half = m / 2;
  if (m % 2 || !prime(half - 1) || (half - 1) % 4 !== 1) return undefined;
  const chi = residues(half - 1);
  const core = (i: number, j: number): number => (i === j ? 0 : i === 0 || j === 0 ? 1 : chi(i - 1, j - 1));
  for (let i = 0; i < half; i++)
    for (let j = 0; j < half; j++) {
      const [c, d] = [core(i, j), i === j ? 1 : 0];
      const at = 2 * i * m + 2 * j;
      h[at] = c + d;
      h[at + 1] = h[at + m] = c - d;
      h[at + m + 1] = -c - d;
    }
  return h;
}

/** H = Sylvester's matrix of 2^k ⊗ a Paley matrix, over √n; applied in O(n log n). */
export function hadamard(size: number): Rotation | undefined {
  let base: Int8Array | undefined;
  let m = size;
  while (m % 2 === 0) m /= 2;
  if (m === 1) base = Int8Array.of(1);
  for (; !base && m <= Math.min(size, 4096); m *= 2) {
    base = size % m === 0 ? paley(m) : undefined;
    if (base) break;
  }
  if (!base) return undefined;
  const outer = size / m;
  const inner = base;
  const [rows, columns] = [Float64Array.from(base), new Float64Array(m * m)];
  for (let i = 0; i < m * m; i++) columns[(i % m) * m + Math.floor(i / m)] = rows[i]!;
  const unit = 1 / Math.sqrt(size);
  const y = new Float64Array(m);
  const times = (h: Float64Array) => (x: Float64Array) => {
    if (m > 1)
      for (let o = 0; o < outer; o++) {
        y.fill(0);
        for (let i = 0; i < m; i++) {
          const v = x[o * m + i]!;
          for (let j = 0, at = i * m; j < m; j++) y[j]! += v * h[at + j]!;
        }
        x.set(y, o * m);
      }
    for (let span = m; span < size; span *= 2)
      for (let at = 0; at < size; at += 2 * span)
        for (let i = at; i < at + span; i++) {
          const a = x[i]!;
          const b = x[i + span]!;
          x[i] = a + b;
          x[i + span] = a - b;
        }
    for (let i = 0; i < size; i++) x[i]! *= unit;
  };
  return { size, name: `Hadamard ${size}`, apply: times(rows), undo: times(columns), factors: factors(outer, m, inner), base: rows };
}

/** Two factors of nearly equal size: 2^a Sylvester, and 2^b Sylvester ⊗ the Paley matrix. */
function factors(outer: number, m: number, base: Int8Array): Float64Array[] {
  let [left, right] = [1, outer];
  while (right > 1 && left * 2 <= (right / 2) * m) [left, right] = [left * 2, right / 2];
  const make = (two: number, paley: Int8Array, order: number): Float64Array => {
    const n = two * order;
    const parity = (i: number, j: number): number => {
      let [x, sign] = [i & j, 1];
      for (; x; x &= x - 1) sign = -sign;
      return sign;
    };
    return Float64Array.from({ length: n * n }, (_, k) => {
      const [i, j] = [Math.floor(k / n), k % n];
      return (parity(Math.floor(i / order), Math.floor(j / order)) * paley[(i % order) * order + (j % order)]!) / Math.sqrt(n);
    });
  };
  const one = Int8Array.of(1);
  return left === 1 ? [make(right, base, m)] : [make(left, one, 1), make(right, base, m)];
}

const matrix: OrthogonalMatrix = {
  name: 'hadamard',
  since: '0.1.0',
  doc: 'A Hadamard matrix: of every size 2^k·m for which Paley gives one of order m (12, 20, 28, 36, 44 …). Spreads an outlier over all channels.',
  cite: 'Sylvester 1867; Paley, On orthogonal matrices, 1933',
  formula: 'H / √n, entries ±1, H Hᵀ = n',
  params: {},
  make: (size) => hadamard(size),
};
export default matrix;
