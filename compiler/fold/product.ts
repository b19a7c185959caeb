import type { Crunch } from '../crunch.ts';

/** M R for rows M [count, n] and R [n, n]: sums in float64 in the order of k. */
export async function times(m: Float32Array, r: Float32Array, n: number, crunch: Crunch): Promise<Float32Array> {
  const sums = new Float64Array(m.length);
  await crunch.minusProduct(sums, m, negative(r), n);
  return new Float32Array(sums);
}

export function negative(x: Float32Array): Float32Array {
  const out = new Float32Array(x.length);
  for (let i = 0; i < x.length; i++) out[i] = -x[i]!;
  return out;
}

/** Of a matrix [rows, columns], square where columns are left out. */
export function transposed<A extends Float32Array | Float64Array>(x: A, rows: number, columns = rows): A {
  const out = x.slice() as A;
  for (let i = 0; i < rows; i++) for (let j = 0; j < columns; j++) out[j * rows + i] = x[i * columns + j]!;
  return out;
}
