/** Padding is no data: where a batch has an `attention_mask`, only the tokens that it lets through are observed, solved on and compared. */
import type { Value } from '../host.ts';
import { floats, ofFloats } from './values.ts';

/** Indices of the tokens of a mask [batch, tokens] that are none of padding; undefined where all are, or it is no such mask. */
function attendedTokens(mask: Value | undefined): { tokens: readonly number[]; batch: number; length: number } | undefined {
  const [batch, length] = mask?.shape ?? [];
  if (!mask || batch === undefined || length === undefined || mask.shape.length !== 2) return undefined;
  const kept = floats(mask);
  const tokens = Array.from(kept.keys()).filter((i) => kept[i] !== 0);
  return tokens.length === kept.length ? undefined : { tokens, batch, length };
}

/** For an output [batch, tokens, …] the elements behind tokens whose mask is not 0; everything where there is no such mask. */
export function unpadded(x: Float32Array, shape: readonly number[], mask: Value | undefined): Float32Array {
  const attended = shape.length >= 3 ? attendedTokens(mask) : undefined;
  if (!attended || shape[0] !== attended.batch || shape[1] !== attended.length) return x;
  return picked(x, attended.tokens, x.length / (attended.batch * attended.length));
}

/**
 * A float value without its padded tokens, as [1, tokens, …]; [tokens, …] where the batch is folded into them; [1, heads, tokens, …] behind heads.
 * Unchanged where its shape does not hold the mask's, or nothing is padded.
 */
export function attended(value: Value, mask: Value | undefined): Value {
  const found = attendedTokens(mask);
  if (!found) return value;
  const { tokens, batch, length } = found;
  const [a, b, c, ...rest] = value.shape;
  const n = tokens.length;
  const x = () => floats(value);
  const size = (d: readonly number[]) => d.reduce((p, q) => p * q, 1);
  if (value.shape.length >= 3 && a === batch && b === length)
    return ofFloats([1, n, c!, ...rest], picked(x(), tokens, size([c!, ...rest])));
  if (value.shape.length === 2 && a === batch * length) return ofFloats([n, b!], picked(x(), tokens, b!));
  if (value.shape.length === 4 && a === batch && c === length) {
    const [heads, width] = [b!, rest[0]!];
    const out = new Float32Array(heads * n * width);
    for (let h = 0; h < heads; h++) {
      const rows = tokens.map((t) => (Math.floor(t / length) * heads + h) * length + (t % length));
      out.set(picked(x(), rows, width), h * n * width);
    }
    return ofFloats([1, heads, n, width], out);
  }
  return value;
}

/** Some rows of `width`. */
function picked(x: Float32Array, rows: readonly number[], width: number): Float32Array {
  const out = new Float32Array(rows.length * width);
  for (const [to, i] of rows.entries()) out.set(x.subarray(i * width, (i + 1) * width), to * width);
  return out;
}
