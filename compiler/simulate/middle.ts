/**
 * Weights whose output axis lies between others (ConvTranspose: [in, out, taps…]). Codes of such a weight are those of the matrix [in·taps, out], so the
 * axes behind `out` go in front of it.
 */
import type { EncodedWeight } from '../simulated.ts';
import { transposed } from './repack.ts';

/** Sizes before, at and behind the output axis; undefined where it is the first or the last axis that is longer than one. */
export function middleOf(w: EncodedWeight): { before: number; out: number; behind: number } | undefined {
  const axis = w.site.ports[w.port]?.axes['out'] ?? 0;
  const { shape } = w.source;
  const product = (list: readonly number[]) => list.reduce((a, b) => a * b, 1);
  const [before, behind] = [product(shape.slice(0, axis)), product(shape.slice(axis + 1))];
  return axis > 0 && behind > 1 ? { before, out: shape[axis] ?? 1, behind } : undefined;
}

/** [before, rows, cols] → [before, cols, rows], elements of `width` bytes. */
export function swapped(bytes: Uint8Array, before: number, rows: number, cols: number, width: number): Uint8Array {
  const block = rows * cols * width;
  const out = new Uint8Array(bytes.length);
  for (let i = 0; i < before; i++) out.set(transposed(bytes.subarray(i * block, (i + 1) * block), rows, cols, width), i * block);
  return out;
}
