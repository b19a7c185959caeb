/** Layout 1 of native weights (docs/layouts.md): panels of 32 columns, cells of 4 steps along the reduction. */

export const LAYOUT = 1;
/** Columns of a panel. */
export const COLUMNS = 32;
/** Steps along the reduction of a cell. */
export const DEPTH = 4;

export interface Geometry {
  readonly out: number;
  readonly reduce: number;
  readonly bits: 4 | 8;
  /** A multiple of 4. */
  readonly group: number;
}

const panels = (g: Geometry): number => Math.ceil(g.out / COLUMNS);
const groups = (g: Geometry): number => Math.ceil(g.reduce / g.group);

/** [panels, cells, bytes of a cell]. */
export const codesShape = (g: Geometry): [number, number, number] => [
  panels(g),
  (groups(g) * g.group) / DEPTH,
  (COLUMNS * DEPTH * g.bits) / 8,
];

/** [panels, groups, 32]: of the scales, and of zero points. */
export const scalesShape = (g: Geometry): [number, number, number] => [panels(g), groups(g), COLUMNS];

/**
 * Codes [out, reduce], a byte each, in layout 1; `offset` is added modulo 2^bits, so that signed codes become unsigned ones. Padding is 0.
 * In a cell of 8 bits byte 4c + d is step d of column c; with 4 bits byte 4c + d holds column c in its low half and column c + 16 in its high half.
 */
export function packCodes(codes: Uint8Array, g: Geometry, offset: number): Uint8Array {
  const { out, reduce, bits } = g;
  const [count, cells, bytes] = codesShape(g);
  const to = new Uint8Array(count * cells * bytes);
  const mask = 2 ** bits - 1;
  for (let o = 0; o < out; o++) {
    const column = o % COLUMNS;
    const high = bits === 4 && column >= 16;
    const start = Math.floor(o / COLUMNS) * cells * bytes + (high ? column - 16 : column) * DEPTH;
    const shift = high ? 4 : 0;
    for (let r = 0; r < reduce; r++) {
      const at = start + (r >> 2) * bytes + (r & 3);
      to[at]! |= (((codes[o * reduce + r] ?? 0) + offset) & mask) << shift;
    }
  }
  return to;
}

/** Values of each group, [out, groups], as [panels, groups, 32]; padding is 0. */
export function packScales<T extends Float32Array | Uint8Array>(values: T, g: Geometry, to: T): T {
  const count = groups(g);
  for (let o = 0; o < g.out; o++)
    for (let i = 0; i < count; i++) to[(Math.floor(o / COLUMNS) * count + i) * COLUMNS + (o % COLUMNS)] = values[o * count + i] ?? 0;
  return to;
}
