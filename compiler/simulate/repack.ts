/** Integers that a solver fixed, from plain layout (crunch.ts) into the layout of a target. */
import type { CodeFormat, Layout, QuantizeResult } from '../crunch.ts';
import { bitsOf } from '../graph/dtype.ts';
import type { EvalContext } from '../host.ts';
import type { EncodedWeight } from '../simulated.ts';

/** Elements of a square that is transposed at a time: its rows and columns stay in the first-level cache. */
const SQUARE = 64;

/** Rows of `cols` elements of `width` bytes, transposed. */
export function transposed(bytes: Uint8Array, rows: number, cols: number, width: number): Uint8Array {
  const out = new Uint8Array(bytes.length);
  if (width === 4 && bytes.byteOffset % 4 === 0) {
    const [from, to] = [new Uint32Array(bytes.buffer, bytes.byteOffset, rows * cols), new Uint32Array(out.buffer)];
    turnWords(from, to, rows, cols);
    return out;
  }
  if (width === 1) {
    turnBytes(bytes, out, rows, cols);
    return out;
  }
  for (let r0 = 0; r0 < rows; r0 += SQUARE)
    for (let c0 = 0; c0 < cols; c0 += SQUARE) {
      const [r1, c1] = [Math.min(rows, r0 + SQUARE), Math.min(cols, c0 + SQUARE)];
      for (let c = c0; c < c1; c++)
        for (let r = r0; r < r1; r++) for (let b = 0; b < width; b++) out[(c * rows + r) * width + b] = bytes[(r * cols + c) * width + b]!;
    }
  return out;
}

// One function a type: a loop that has seen both arrays is several times slower.
function turnWords(from: Uint32Array, to: Uint32Array, rows: number, cols: number): void {
  for (let r0 = 0; r0 < rows; r0 += SQUARE)
    for (let c0 = 0; c0 < cols; c0 += SQUARE) {
      const [r1, c1] = [Math.min(rows, r0 + SQUARE), Math.min(cols, c0 + SQUARE)];
      for (let c = c0; c < c1; c++) for (let r = r0; r < r1; r++) to[c * rows + r] = from[r * cols + c]!;
    }
}

function turnBytes(from: Uint8Array, to: Uint8Array, rows: number, cols: number): void {
  for (let r0 = 0; r0 < rows; r0 += SQUARE)
    for (let c0 = 0; c0 < cols; c0 += SQUARE) {
      const [r1, c1] = [Math.min(rows, r0 + SQUARE), Math.min(cols, c0 + SQUARE)];
      for (let c = c0; c < c1; c++) for (let r = r0; r < r1; r++) to[c * rows + r] = from[r * cols + c]!;
    }
}

/** Packs rows of byte codes to `bits` each, low bits first; every row starts on a byte. The value is taken modulo 2^bits. */
export function packRows(codes: Uint8Array, rows: number, bits: number): Uint8Array {
  if (bits === 8) return codes;
  const cols = codes.length / rows;
  if (bits === 4 && cols % 2 === 0) {
    const out = new Uint8Array(codes.length / 2);
    for (let i = 0; i < out.length; i++) out[i] = (codes[2 * i]! & 15) | (codes[2 * i + 1]! << 4);
    return out;
  }
  const width = Math.ceil((cols * bits) / 8);
  const per = 8 / bits;
  const mask = 2 ** bits - 1;
  const out = new Uint8Array(rows * width);
  for (let r = 0; r < rows; r++)
    for (let c = 0; c < cols; c++) {
      const at = r * width + Math.floor(c / per);
      out[at] = (out[at] ?? 0) | (((codes[r * cols + c] ?? 0) & mask) << ((c % per) * bits));
    }
  return out;
}

/** The solved codes, scales and zero points of `w` in `layout`. */
export async function repack(w: EncodedWeight, layout: Layout, stored: CodeFormat, ctx: EvalContext): Promise<QuantizeResult> {
  const { solved, out, reduce, order } = w;
  if (!solved) throw new Error(`${w.site.id}: nothing was solved`);
  const codes = await ctx.bytes(solved.codes);
  const scales = await ctx.bytes(solved.scales);
  const zeros = solved.zeros ? await ctx.bytes(solved.zeros) : undefined;
  const rowSteps = solved.outer ? await ctx.bytes(solved.outer) : undefined;
  const done = (c: Uint8Array, s: Uint8Array, z: Uint8Array | undefined): QuantizeResult => ({
    codes: c,
    scales: s,
    ...(z ? { zeros: z } : {}),
    ...(rowSteps ? { rowSteps } : {}),
    error: 0,
    energy: 0,
  });
  const bits = stored.kind === 'int' ? stored.bits : stored.name === 'e2m1' ? 4 : 8;
  if (layout === 'plain') return done(codes, scales, zeros);
  if (layout === 'source') {
    const width = bitsOf(solved.scales.dtype) / 8;
    const groups = scales.length / width / out;
    const turn = order === 'ro';
    const turnScales = turn && Number.isInteger(groups) && groups > 1;
    const c = turn ? transposed(codes, out, reduce, 1) : codes;
    const z = zeros && turnScales ? transposed(zeros, out, groups, 1) : zeros;
    return done(packRows(c, 1, bits), turnScales ? transposed(scales, out, groups, width) : scales, z && packRows(z, 1, bits));
  }
  if (w.type.grain.per !== 'group') throw new Error('nbits layout is for groups');
  const { group } = w.type.grain;
  const groups = Math.ceil(reduce / group);
  const offset = stored.kind === 'int' && stored.signed ? 2 ** (bits - 1) : 0;
  const padded = new Uint8Array(out * groups * group).fill(offset);
  for (let o = 0; o < out; o++)
    for (let r = 0; r < reduce; r++) padded[o * groups * group + r] = ((codes[o * reduce + r] ?? 0) + offset) & 255;
  const z =
    zeros &&
    packRows(
      zeros.map((v) => (v + offset) & 255),
      out,
      bits,
    );
  return done(packRows(padded, out * groups, bits), scales, z);
}
