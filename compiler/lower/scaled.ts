/** Weights scaled by Cast and Mul: for codes and places that DequantizeLinear of ONNX Runtime does not take. */
import type { DType } from '../graph/types.ts';
import { type Encoded, encodeWeight } from '../simulate/encode.ts';
import { middleOf } from '../simulate/middle.ts';
import type { Emit } from './emit.ts';
import type { Work } from './lowering.ts';
import { float32s } from './make.ts';

/** The axis of the codes that output channels lie on. */
export const outAxis = (w: Work, shape: readonly number[]): number => (w.weight.order === 'or' ? 0 : shape.length - 1);

/**
 * fp4 has no kernel. fp8 has one, but ONNX Runtime moves its DequantizeLinear behind a Transpose (which has no fp8 below operator set 21), and fuses it
 * with that of an integer activation as if both were integers.
 */
export function needsHand(w: Work): boolean {
  const { codes } = w.weight.type;
  if (codes?.kind !== 'float') return false;
  return codes.name === 'e2m1' || w.use.via.length > 0 || middleOf(w.weight) !== undefined || w.input?.type.codes?.kind === 'int';
}

/** DequantizeLinear has blocks along one axis only: scales of [rows, cols] blocks are repeated for every row. Gather knows no 4-bit type. */
export function everyRow(e: Emit, w: Work, x: string, dtype?: DType): string {
  const { grain } = w.weight.type;
  if (grain.per !== 'block' || grain.rows === 1) return x;
  const rows = e.list(Array.from({ length: w.weight.out }, (_, o) => Math.floor(o / grain.rows)));
  const narrow = dtype !== undefined && dtype !== 'int8' && dtype !== 'uint8';
  const y = e.op('Gather', [narrow ? e.cast(x, 'uint8') : x, rows], { axis: w.weight.order === 'or' ? 0 : 1 });
  return narrow ? e.cast(y, dtype) : y;
}

const E2M1 = [0, 0.5, 1, 1.5, 2, 3, 4, 6, -0, -0.5, -1, -1.5, -2, -3, -4, -6];

/** The weight in `shape`: codes as floats times their scales, in groups through a third axis. */
export function byHand(e: Emit, w: Work, shape: readonly number[]): string {
  const { type, order, out, reduce, source } = w.weight;
  const enc = encodeWeight(w.weight, w.name, 'source');
  const codes = floatCodes(e, e.constant('codes', { ...enc.codes, shape }), enc);
  const scale = everyRow(e, w, blockScales(e, enc));
  const zero = enc.zeros && everyRow(e, w, e.cast(e.constant('zero', enc.zeros), 'float32'));
  const narrow = (y: string) => (source.dtype === 'float32' ? y : e.cast(y, source.dtype));
  const group = type.grain.per === 'group' ? type.grain.group : type.grain.per === 'block' ? type.grain.cols : undefined;
  const groups = group === undefined ? 1 : reduce / group;
  const split = order === 'or' ? [out, groups, group ?? 1] : [groups, group ?? 1, out];
  const trailing = type.grain.per === 'channel' ? shape.length - 1 - outAxis(w, shape) : 0;
  const perGroup = order === 'or' ? [out, groups, 1] : [groups, 1, out];
  const besides = group === undefined ? [out, ...Array<number>(trailing).fill(1)] : perGroup;
  const beside = (x: string) => (group !== undefined || trailing > 0 ? e.op('Reshape', [x, e.list(besides)]) : x);
  const q = group === undefined ? codes : e.op('Reshape', [codes, e.list(split)]);
  const y = e.op('Mul', [zero ? e.op('Sub', [q, beside(zero)]) : q, beside(scale)]);
  return narrow(group === undefined ? y : e.op('Reshape', [y, e.list(shape)]));
}

/** Integers and fp8 by Cast; fp4, stored as uint4, by a table of its sixteen values. */
function floatCodes(e: Emit, codes: string, enc: Encoded): string {
  if (enc.stored.kind === 'int' || enc.codes.dtype.startsWith('float8')) return e.cast(codes, 'float32');
  return e.op('Gather', [e.editor.shared('qc/e2m1', () => float32s(E2M1, [16])), e.cast(codes, 'int32')]);
}

/** Block scales as float32: powers of two from their exponents (MX), e4m3 under the tensor's scale (NV), or as they are. */
function blockScales(e: Emit, enc: Encoded): string {
  if (enc.scales.dtype === 'float8e8m0') {
    const exponent = e.cast(e.constant('scale', { ...enc.scales, dtype: 'uint8' }), 'float32');
    return e.op('Pow', [e.scalar(2), e.op('Sub', [exponent, e.scalar(127)])]);
  }
  const scales = e.constant('scale', enc.scales);
  if (enc.global) return e.op('DequantizeLinear', [scales, e.constant('global', enc.global)]);
  return enc.scales.dtype === 'float32' ? scales : e.cast(scales, 'float32');
}
