/** Layout 1 of native weights (docs/layouts.md): panels of 32 columns, cells of 4 steps along the reduction, a cell in planes of bits. */

export const LAYOUT = 1;
/** Columns of a panel. */
export const COLUMNS = 32;
/** Steps along the reduction of a cell. */
export const DEPTH = 4;

export interface Geometry {
  readonly out: number;
  readonly reduce: number;
  /** 2 to 8. */
  readonly bits: number;
  /** A multiple of 4. */
  readonly group: number;
  /** Codes under whole steps by group, under one scale a column. */
  readonly progressive?: boolean;
  /** Codes are floats. */
  readonly float?: FloatCodes;
}

/** Float codes by the names that operators have: e2m1 under float32, e8m0 or e4m3 scales, and those of eight bits. */
export const floatCodes = ['F4', 'MXF4', 'NVF4', 'F8E4M3', 'F8E5M2'] as const;
export type FloatCodes = (typeof floatCodes)[number];

const panels = (g: Geometry): number => Math.ceil(g.out / COLUMNS);
const groups = (g: Geometry): number => Math.ceil(g.reduce / g.group);

/** [panels, cells, bytes of a cell]. */
export const codesShape = (g: Geometry): [number, number, number] => [panels(g), (groups(g) * g.group) / DEPTH, 16 * g.bits];

/** [panels, groups, 32]: of the scales, of zero points, of steps. */
export const scalesShape = (g: Geometry): [number, number, number] => [panels(g), groups(g), COLUMNS];

/** The planes of a cell: a code is cut into parts of 4, 2 and 1 bits, the low ones in the first plane; 8 bits are whole. `low`: bits below. */
export function* planes(bits: number): Generator<{ width: number; low: number }> {
  let low = 0;
  for (const width of [8, 4, 2, 1])
    if (bits & width) {
      yield { width, low };
      low += width;
    }
}

/**
 * Codes [out, reduce], a byte each, in layout 1; `offset` is added modulo 2^bits, so that signed codes become unsigned ones. Padding is 0.
 * Step d of column c is code i = 4c + d of its cell; byte i mod 16w of a plane of w bits holds it, in the bits from w·⌊i / 16w⌋ on.
 */
export function packCodes(codes: Uint8Array, g: Geometry, offset: number): Uint8Array {
  const { out, reduce, bits } = g;
  const [count, cells, bytes] = codesShape(g);
  const to = new Uint8Array(count * cells * bytes);
  for (const { width, low } of planes(bits)) {
    const mask = 2 ** width - 1;
    for (let o = 0; o < out; o++) {
      const first = (o % COLUMNS) * DEPTH;
      const start = Math.floor(o / COLUMNS) * cells * bytes + 16 * low + (first % (16 * width));
      const shift = Math.floor(first / (16 * width)) * width;
      for (let r = 0; r < reduce; r++)
        to[start + (r >> 2) * bytes + (r & 3)]! |= (((codes[o * reduce + r]! + offset) >> low) & mask) << shift;
    }
  }
  return to;
}

/** Values of each group, [out, groups], as [panels, groups, 32]; padding is 0. */
export function packScales<T extends Float32Array | Uint8Array>(values: T, g: Geometry, to: T): T {
  const count = values.length / g.out;
  for (let o = 0; o < g.out; o++)
    for (let i = 0; i < count; i++) to[(Math.floor(o / COLUMNS) * count + i) * COLUMNS + (o % COLUMNS)] = values[o * count + i] ?? 0;
  return to;
}
