/**
 * Fake quantization in standard float operators: the meaning of a quantized activation.
 * Everything is computed in float32; a float16 value is cast there and back.
 */
import type { DType } from '../graph/types.ts';
import type { Emit } from '../lower/emit.ts';
import { numbers } from '../lower/make.ts';
import type { QType } from '../plan/types.ts';
import type { QuantizedValue } from '../simulated.ts';
import { onLevels } from './levels.ts';
import { middle, topCode } from './params.ts';

/** The smallest dynamic scale: an all-zero row has some scale, never zero. */
const TINY = 1e-30;

/** Names of the steps that a quantizer needs: the scale, the zero point (as a float code), the rounded codes as floats. */
export interface Quantized {
  readonly scale: string;
  /** undefined: zero. */
  readonly zero?: string;
  readonly codes: string;
}

/** Axes that a dynamic scale is computed over; undefined: all of them. */
export function scaleAxes(v: QuantizedValue): readonly number[] | undefined {
  const rank = v.site.ports[v.port]?.shape?.length;
  const channel = v.site.ports[v.port]?.axes['channel'] ?? -1;
  switch (v.type.grain.per) {
    case 'tensor':
      return undefined;
    case 'token':
      // A convolution sums over channels and space: what can have its own scale there is a sample.
      return v.site.role === 'conv' && rank ? Array.from({ length: rank - 1 }, (_, i) => i + 1) : [channel];
    case 'head':
    case 'group':
      return [channel];
    default:
      throw new Error(`${v.site.id}.${v.port}: no dynamic scale per ${v.type.grain.per}`);
  }
}

/** An end of the range under the law `share`. */
const clipped = (e: Emit, end: string, { law }: QType): string =>
  law.name === 'share' ? e.op('Mul', [end, e.scalar(Number(law.args['ratio'] ?? 0.9))]) : end;

/** Scale and zero point of float32 `x` at run time: s = max|x| / top, or s = (max − min) / (hi − lo), z = round(lo − min/s). */
export function dynamicScale(e: Emit, x: string, type: QType, axes: readonly number[] | undefined): { scale: string; zero?: string } {
  const { codes } = type;
  if (codes?.kind !== 'int' || type.symmetric) {
    const most = clipped(e, e.reduce('ReduceMax', e.op('Abs', [x]), axes), type);
    const scale = e.op('Max', [e.op('Div', [most, e.scalar(topCode(type))]), e.scalar(TINY)]);
    const zero = middle(type);
    return { scale, ...(zero === 0 ? {} : { zero: e.scalar(zero) }) };
  }
  const low = clipped(e, e.op('Min', [e.reduce('ReduceMin', x, axes), e.scalar(0)]), type);
  const high = clipped(e, e.op('Max', [e.reduce('ReduceMax', x, axes), e.scalar(0)]), type);
  const scale = e.op('Max', [e.op('Div', [e.op('Sub', [high, low]), e.scalar(codes.hi - codes.lo)]), e.scalar(TINY)]);
  const zero = e.op('Round', [e.op('Sub', [e.scalar(codes.lo), e.op('Div', [low, scale])])]);
  return { scale, zero: e.op('Clip', [zero, e.scalar(codes.lo), e.scalar(codes.hi)]) };
}

/** One scale, or one each channel of a value. */
function scaleShape(v: QuantizedValue, count: number): readonly number[] {
  const port = v.site.ports[v.port];
  const rank = port?.shape?.length;
  const axis = port?.axes['channel'] ?? -1;
  const behind = axis < 0 ? -axis - 1 : rank === undefined ? 0 : rank - 1 - axis;
  return count === 1 ? [] : [count, ...Array<number>(behind).fill(1)];
}

/** Static scale and zero point as constants that broadcast against the value. */
export function staticScale(e: Emit, v: QuantizedValue): { scale: string; zero?: string } {
  const { scale, zero } = v;
  if (!scale) throw new Error(`${v.site.id}.${v.port}: a static scale is missing`);
  const shape = v.shape ?? scaleShape(v, scale.length);
  const s = e.constant('scale', numbers('float32', shape, scale));
  return { scale: s, ...(zero?.some((z) => z !== 0) ? { zero: e.constant('zero', numbers('float32', shape, zero)) } : {}) };
}

/** Rounds float32 `x` to codes (kept as floats). */
export function toCodes(e: Emit, x: string, type: QType, by: { scale: string; zero?: string }): Quantized {
  const { codes } = type;
  const scaled = e.op('Div', [x, by.scale]);
  if (codes?.kind === 'float') return { ...by, codes: toMini(e, scaled, codes.name) };
  if (!codes) throw new Error(`${type.text} has no codes`);
  const rounded = e.op('Round', [scaled]);
  const moved = by.zero ? e.op('Add', [rounded, by.zero]) : rounded;
  return { ...by, codes: e.op('Clip', [moved, e.scalar(codes.lo), e.scalar(codes.hi)]) };
}

/** Rounds to a small float, saturating. e2m1 by its three binades: steps of ½ below 2, 1 below 4, else 2. */
function toMini(e: Emit, x: string, name: 'e4m3' | 'e5m2' | 'e2m1'): string {
  if (name !== 'e2m1') return e.cast(e.cast(x, name === 'e4m3' ? 'float8e4m3fn' : 'float8e5m2'), 'float32');
  const a = e.op('Abs', [x]);
  const upper = e.op('Where', [e.op('Less', [a, e.scalar(4)]), e.scalar(1), e.scalar(2)]);
  const step = e.op('Where', [e.op('Less', [a, e.scalar(2)]), e.scalar(0.5), upper]);
  return e.op('Clip', [e.op('Mul', [e.op('Round', [e.op('Div', [x, step])]), step]), e.scalar(-6), e.scalar(6)]);
}

/** x ≈ s·(q − z). */
export function fromCodes(e: Emit, q: Quantized): string {
  return e.op('Mul', [q.zero ? e.op('Sub', [q.codes, q.zero]) : q.codes, q.scale]);
}

/** Adds the fake quantization of value `x` of type `dtype`; returns the result's name. */
export function fakeQuantize(e: Emit, x: string, dtype: DType, v: QuantizedValue): string {
  const { type } = v;
  if (type.levels) return onLevels(e, x, dtype, type.levels, type.mode);
  const cast = type.codes ? undefined : type.format.name;
  if (cast === 'float16' || cast === 'bfloat16') return e.cast(e.cast(x, cast), dtype);
  const wide = dtype === 'float32' ? x : e.cast(x, 'float32');
  const back = (y: string) => (dtype === 'float32' ? y : e.cast(y, dtype));
  if (type.mode === 'static') return back(fromCodes(e, toCodes(e, wide, type, staticScale(e, v))));
  if (type.grain.per !== 'group') return back(fromCodes(e, toCodes(e, wide, type, dynamicScale(e, wide, type, scaleAxes(v)))));
  const rows = e.op('Reshape', [wide, e.list([-1, type.grain.group])]);
  const y = fromCodes(e, toCodes(e, rows, type, blockScale(e, rows, type)));
  return back(e.op('Reshape', [y, e.op('Shape', [wide])]));
}

/** Scales of groups along the last axis: plain ones, powers of two (MX), or e4m3 under a scale of the tensor (NV). */
function blockScale(e: Emit, rows: string, type: QType): { scale: string; zero?: string } {
  if (type.scaleType === 'model') return dynamicScale(e, rows, type, [-1]);
  const most = e.reduce('ReduceMax', e.op('Abs', [rows]), [-1]);
  if (type.scaleType === 'e8m0') {
    // floor(log2 m), corrected where the quotient of logarithms is off by one.
    const safe = e.op('Max', [most, e.scalar(TINY)]);
    const guess = e.op('Floor', [e.op('Div', [e.op('Log', [safe]), e.scalar(Math.LN2)])]);
    const power = e.op('Pow', [e.scalar(2), guess]);
    const up = e.cast(e.op('GreaterOrEqual', [safe, e.op('Mul', [power, e.scalar(2)])]), 'float32');
    const down = e.cast(e.op('Less', [safe, power]), 'float32');
    const exponent = e.op('Sub', [e.op('Add', [guess, up]), down]);
    return {
      scale: e.op('Pow', [e.scalar(2), e.op('Sub', [exponent, e.scalar(type.codes?.kind === 'float' ? topExponent[type.codes.name] : 0)])]),
    };
  }
  const top = topCode(type);
  const all = e.op('Max', [e.op('Div', [e.reduce('ReduceMax', most), e.scalar(top * 448)]), e.scalar(TINY)]);
  const block = toMini(e, e.op('Div', [most, e.op('Mul', [all, e.scalar(top)])]), 'e4m3');
  return { scale: e.op('Max', [e.op('Mul', [block, all]), e.scalar(TINY)]) };
}

/** Exponent of the largest binade of each small float. */
const topExponent = { e4m3: 8, e5m2: 15, e2m1: 2 } as const;
