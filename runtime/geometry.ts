/** Sizes of what a quantized matrix is stored in. The twin of solvers/src/layout.rs, which checks them. */
import type { CodeFormat, CodeGrain, Layout, QuantizeRequest } from '../compiler/crunch.ts';

export interface Shape {
  readonly out: number;
  readonly reduce: number;
  readonly format: CodeFormat;
  readonly grain: CodeGrain;
  readonly layout: Layout;
}

export const bitsOf = (f: CodeFormat): number => (f.kind === 'int' ? f.bits : f.name === 'e2m1' ? 4 : 8);

export const scaleBytes: Record<QuantizeRequest['scaleType'], number> = {
  float32: 4,
  float16: 2,
  bfloat16: 2,
  float64: 8,
  e8m0: 1,
  nv: 1,
  int8: 1,
};

/** Rows and columns of the table of scales, and the columns of one scale. */
export function table(s: Shape): { rows: number; cols: number; group: number } {
  const { grain: g, out, reduce } = s;
  if (g.per === 'tensor') return { rows: 1, cols: 1, group: reduce };
  if (g.per === 'channel') return { rows: out, cols: 1, group: reduce };
  if (g.per === 'group') return { rows: out, cols: Math.ceil(reduce / g.group), group: g.group };
  return { rows: Math.ceil(out / g.rows), cols: Math.ceil(reduce / g.cols), group: g.cols };
}

/** Bytes of codes and of zero points, and the number of scales. */
export function sizes(s: Shape): { codes: number; zeros: number; scales: number } {
  const { rows, cols, group } = table(s);
  const bits = bitsOf(s.format);
  if (s.layout === 'nbits') {
    return { codes: rows * cols * Math.ceil((group * bits) / 8), zeros: rows * Math.ceil((cols * bits) / 8), scales: rows * cols };
  }
  const stored = s.layout === 'source' && (bits === 2 || bits === 4) ? bits : bits <= 8 ? 8 : 16;
  return { codes: Math.ceil((s.out * s.reduce * stored) / 8), zeros: Math.ceil((rows * cols * stored) / 8), scales: rows * cols };
}
