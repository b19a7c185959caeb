/** M S for rows M [count, n] and S [n, n], in float64. */
export function times(m: Float32Array | Float64Array, s: Float64Array, n: number): Float64Array {
  const out = new Float64Array(m.length);
  for (let row = 0; row < m.length; row += n)
    for (let k = 0; k < n; k++) {
      const x = m[row + k]!;
      if (x !== 0) for (let j = 0; j < n; j++) out[row + j]! += x * s[k * n + j]!;
    }
  return out;
}
