/** Padding is no output: where the data has an `attention_mask` of the shape of an output's rows, only what it lets through is compared. */
import { floats } from '../calibrate/values.ts';
import type { Value } from '../host.ts';

/** For an output [batch, tokens, …] the elements behind tokens whose mask is not 0; everything where there is no such mask. */
export function unpadded(x: Float32Array, shape: readonly number[], mask: Value | undefined): Float32Array {
  if (mask?.shape.length !== 2 || shape.length < 3 || shape[0] !== mask.shape[0] || shape[1] !== mask.shape[1]) return x;
  const kept = floats(mask);
  const width = x.length / kept.length;
  const rows = Array.from(kept.keys()).filter((i) => kept[i] !== 0);
  if (rows.length === kept.length) return x;
  const out = new Float32Array(rows.length * width);
  for (const [to, i] of rows.entries()) out.set(x.subarray(i * width, (i + 1) * width), to * width);
  return out;
}
