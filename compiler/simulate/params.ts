/** Step and zero point of a quantizer from the range that it shall cover. */
import type { QType } from '../plan/types.ts';

/** Largest magnitude of a float code. */
const largest = { e4m3: 448, e5m2: 57344, e2m1: 6 } as const;

/** The largest code, by which a symmetric quantizer divides its range. */
export function topCode(type: QType): number {
  const { codes } = type;
  if (!codes) throw new Error(`${type.text} is a cast and has no codes`);
  return codes.kind === 'float' ? largest[codes.name] : type.symmetric && !codes.signed ? (codes.hi - codes.lo - 1) / 2 : codes.hi;
}

/** The code that stands for zero when the quantizer is symmetric: 0, or the middle of unsigned codes. */
export function middle(type: QType): number {
  const { codes } = type;
  return codes?.kind === 'int' && !codes.signed ? (codes.lo + codes.hi + 1) / 2 : 0;
}

/**
 * Scale and zero point (in the code's own range) of [lo, hi].
 * Symmetric: s = max(|lo|, |hi|) / top. Asymmetric: the range is widened to hold 0, s = (hi − lo) / (codes − 1), z = round(lo_code − lo/s).
 * An empty range gets s = 1, since a zero scale is impossible.
 */
export function quantParams(lo: number, hi: number, type: QType): { scale: number; zero: number } {
  const { codes } = type;
  if (codes?.kind !== 'int' || type.symmetric) {
    const scale = Math.fround(Math.max(Math.abs(lo), Math.abs(hi)) / topCode(type));
    return { scale: usable(scale), zero: middle(type) };
  }
  const from = Math.min(lo, 0);
  const to = Math.max(hi, 0);
  const scale = usable(Math.fround((to - from) / (codes.hi - codes.lo)));
  const zero = Math.round(codes.lo - from / scale);
  return { scale, zero: Math.min(codes.hi, Math.max(codes.lo, zero)) };
}

const usable = (scale: number): number => (Number.isFinite(scale) && scale > 1e-30 ? scale : 1);
