/** Fake quantization of rows in numbers: what the operators of fake.ts compute, in float32. */
import type { QType } from '../plan/types.ts';
import { middle, topCode } from './params.ts';

const f = Math.fround;
/** Ties to even, as ONNX rounds. */
export function roundEven(x: number): number {
  const r = Math.round(x);
  return r - x === 0.5 && r % 2 !== 0 ? r - 1 : r;
}

/** Step and zero point of values that share a dynamic scale. */
export function dynamicStep(x: Float32Array, type: QType): { scale: number; zero: number } {
  const { codes } = type;
  if (codes?.kind !== 'int') throw new Error(`${type.text} has no integer codes`);
  const share = type.law.name === 'share' ? f(Number(type.law.args['ratio'] ?? 0.9)) : 1;
  let [low, high] = [0, 0];
  for (const v of x) {
    if (v < low) low = v;
    if (v > high) high = v;
  }
  const tiny = f(1e-30);
  if (type.symmetric) return { scale: Math.max(f(f(Math.max(high, -low) * share) / f(topCode(type))), tiny), zero: middle(type) };
  const scale = Math.max(f(f(f(high * share) - f(low * share)) / f(codes.hi - codes.lo)), tiny);
  const zero = roundEven(f(codes.lo - f(f(low * share) / scale)));
  return { scale, zero: Math.min(codes.hi, Math.max(codes.lo, zero)) };
}

/** The code of a value. */
export function codeOf(v: number, type: QType, { scale, zero }: { scale: number; zero: number }): number {
  const { codes } = type;
  if (codes?.kind !== 'int') throw new Error(`${type.text} has no integer codes`);
  return Math.min(codes.hi, Math.max(codes.lo, roundEven(f(v / scale)) + zero));
}

/** Rows [rows, n] as a quantized activation has them; undefined for types that this does not compute. `fixed`: the numbers of a static one. */
export function quantizedRows(
  x: Float32Array,
  n: number,
  type: QType,
  fixed?: { readonly scale: number; readonly zero: number },
): Float32Array | undefined {
  if (type.codes?.kind !== 'int' || (type.mode === 'static' && !fixed)) return undefined;
  const { grain } = type;
  const width =
    type.mode === 'static' || grain.per === 'tensor' ? x.length : grain.per === 'group' ? grain.group : grain.per === 'token' ? n : 0;
  if (width === 0) return undefined;
  const y = new Float32Array(x.length);
  for (let at = 0; at < x.length; at += width) {
    const part = x.subarray(at, at + width);
    const by = fixed ?? dynamicStep(part, type);
    for (let i = 0; i < part.length; i++) y[at + i] = f((codeOf(part[i]!, type, by) - by.zero) * by.scale);
  }
  return y;
}
