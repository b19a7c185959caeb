/** Raw tensor bytes as numbers and back. Sub-byte types are unpacked low bits first, as ONNX packs them. */
import { bitsOf, elements } from './dtype.ts';
import type { DType, Tensor } from './types.ts';

const halfPowers = Array.from({ length: 31 }, (_, exponent) => 2 ** (exponent - 25));

/** IEEE half → number. */
export function fromHalf(h: number): number {
  const sign = h & 0x8000 ? -1 : 1;
  const exponent = (h >> 10) & 31;
  const fraction = h & 1023;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 31) return fraction ? Number.NaN : sign * Number.POSITIVE_INFINITY;
  return sign * (1024 + fraction) * halfPowers[exponent]!;
}

const f32 = new Float32Array(1);
const u32 = new Uint32Array(f32.buffer);

/** Number → IEEE half, to nearest even, overflow to infinity. */
export function toHalf(x: number): number {
  if (Number.isNaN(x)) return 0x7e00;
  const sign = x < 0 || Object.is(x, -0) ? 0x8000 : 0;
  const a = Math.abs(x);
  if (a >= 65520) return sign | 0x7c00;
  // the step of the binade; below the normal range it is 2^-24
  const exponent = Math.max(-14, Math.floor(Math.log2(a || 1e-30)));
  const e = 2 ** exponent > a && exponent > -14 ? exponent - 1 : exponent;
  const scaled = roundEven(a / 2 ** (e - 10));
  // a carry into the next binade comes out right since the fields are adjacent
  return sign | (e === -14 && scaled < 1024 ? scaled : (e + 14) * 1024 + scaled);
}

function roundEven(x: number): number {
  const r = Math.round(x);
  return Math.abs(x - Math.trunc(x)) === 0.5 && r % 2 !== 0 ? r - 1 : r;
}

/** bfloat16 → number. */
export function fromBfloat16(h: number): number {
  u32[0] = h << 16;
  return f32[0]!;
}

/** Number → bfloat16, to nearest even. */
export function toBfloat16(x: number): number {
  f32[0] = x;
  const bits = u32[0]!;
  if (Number.isNaN(x)) return 0x7fc0;
  return ((bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16) & 0xffff;
}

/** Floats by their fields: sign, `exponent` bits, `fraction` bits. `special`: which patterns are not finite numbers. */
function smallFloat(code: number, exponent: number, fraction: number, special: 'fn' | 'fnuz' | 'ieee' | 'none', bias: number): number {
  const e = (code >> fraction) & ((1 << exponent) - 1);
  const f = code & ((1 << fraction) - 1);
  const negative = ((code >> (exponent + fraction)) & 1) === 1;
  const top = e === (1 << exponent) - 1;
  if (special === 'fnuz' && negative && e === 0 && f === 0) return Number.NaN;
  if (special === 'fn' && top && f === (1 << fraction) - 1) return Number.NaN;
  if (special === 'ieee' && top) return f === 0 ? (negative ? -Infinity : Infinity) : Number.NaN;
  const size = e === 0 ? f * 2 ** (1 - bias - fraction) : (1 + f / (1 << fraction)) * 2 ** (e - bias);
  return negative ? -size : size;
}

type Get = (v: DataView, i: number) => number;
const getters: Partial<Record<DType, Get>> = {
  float32: (v, i) => v.getFloat32(i * 4, true),
  float64: (v, i) => v.getFloat64(i * 8, true),
  float16: (v, i) => fromHalf(v.getUint16(i * 2, true)),
  bfloat16: (v, i) => fromBfloat16(v.getUint16(i * 2, true)),
  int64: (v, i) => Number(v.getBigInt64(i * 8, true)),
  uint64: (v, i) => Number(v.getBigUint64(i * 8, true)),
  int32: (v, i) => v.getInt32(i * 4, true),
  uint32: (v, i) => v.getUint32(i * 4, true),
  int16: (v, i) => v.getInt16(i * 2, true),
  uint16: (v, i) => v.getUint16(i * 2, true),
  int8: (v, i) => v.getInt8(i),
  uint8: (v, i) => v.getUint8(i),
  bool: (v, i) => (v.getUint8(i) === 0 ? 0 : 1),
  int4: (v, i) => (((v.getUint8(i >> 1) >> ((i & 1) * 4)) & 15) ^ 8) - 8,
  uint4: (v, i) => (v.getUint8(i >> 1) >> ((i & 1) * 4)) & 15,
  int2: (v, i) => (((v.getUint8(i >> 2) >> ((i & 3) * 2)) & 3) ^ 2) - 2,
  uint2: (v, i) => (v.getUint8(i >> 2) >> ((i & 3) * 2)) & 3,
  float4e2m1: (v, i) => smallFloat((v.getUint8(i >> 1) >> ((i & 1) * 4)) & 15, 2, 1, 'none', 1),
  float8e4m3fn: (v, i) => smallFloat(v.getUint8(i), 4, 3, 'fn', 7),
  float8e4m3fnuz: (v, i) => smallFloat(v.getUint8(i), 4, 3, 'fnuz', 8),
  float8e5m2: (v, i) => smallFloat(v.getUint8(i), 5, 2, 'ieee', 15),
  float8e5m2fnuz: (v, i) => smallFloat(v.getUint8(i), 5, 2, 'fnuz', 16),
  float8e8m0: (v, i) => (v.getUint8(i) === 255 ? Number.NaN : 2 ** (v.getUint8(i) - 127)),
};

function getter(dtype: DType): Get {
  const get = getters[dtype];
  if (get === undefined) throw new Error(`${dtype} has no numbers`);
  return get;
}

/** The first `count` elements as float64 (64-bit integers are rounded to it). */
export function toFloat64(dtype: DType, bytes: Uint8Array, count = elementCount(dtype, bytes)): Float64Array {
  if (dtype === 'float32') return new Float64Array(toFloat32(dtype, bytes, count));
  const get = getter(dtype);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const out = new Float64Array(count);
  for (let i = 0; i < count; i++) out[i] = get(view, i);
  return out;
}

/** The elements as float32; float32 bytes that lie aligned are not copied. */
export function toFloat32(dtype: DType, bytes: Uint8Array, count = elementCount(dtype, bytes)): Float32Array {
  if (dtype === 'float32') {
    return bytes.byteOffset % 4 === 0
      ? new Float32Array(bytes.buffer, bytes.byteOffset, count)
      : new Float32Array(bytes.slice().buffer, 0, count);
  }
  return Float32Array.from(toFloat64(dtype, bytes, count));
}

const elementCount = (dtype: DType, bytes: Uint8Array): number => Math.floor((bytes.length * 8) / bitsOf(dtype));

/** Float32 numbers as raw bytes of a float type. */
export function fromFloat32(dtype: 'float32' | 'float16' | 'bfloat16' | 'float64', values: Float32Array | Float64Array): Uint8Array {
  if (dtype === 'float64') return new Uint8Array(new Float64Array(values).buffer);
  if (dtype === 'float32') return new Uint8Array(new Float32Array(values).buffer);
  return new Uint8Array(Uint16Array.from(values, dtype === 'float16' ? toHalf : toBfloat16).buffer);
}

/** The elements of a tensor in memory with at most `limit` of them; undefined otherwise. */
export function smallValues(t: Tensor, limit: number): number[] | undefined {
  const count = elements(t.shape);
  if (t.source.kind !== 'bytes' || count > limit || getters[t.dtype] === undefined) return undefined;
  return [...toFloat64(t.dtype, t.source.bytes, count)];
}
