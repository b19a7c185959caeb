/** Small constants as numbers: what a matcher may know of a tensor's content without reading files. */
import { elements } from '../graph/dtype.ts';
import type { DType, Tensor } from '../graph/types.ts';

/** IEEE half to number. */
export function fromHalf(h: number): number {
  const sign = h & 0x8000 ? -1 : 1;
  const exponent = (h >> 10) & 31;
  const fraction = h & 1023;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 31) return fraction ? Number.NaN : sign * Number.POSITIVE_INFINITY;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

const fromBfloat = (h: number): number => {
  const v = new DataView(new ArrayBuffer(4));
  v.setUint32(0, h << 16);
  return v.getFloat32(0);
};

const readers: Partial<Record<DType, readonly [number, (v: DataView, at: number) => number]>> = {
  float32: [4, (v, at) => v.getFloat32(at, true)],
  float64: [8, (v, at) => v.getFloat64(at, true)],
  float16: [2, (v, at) => fromHalf(v.getUint16(at, true))],
  bfloat16: [2, (v, at) => fromBfloat(v.getUint16(at, true))],
  int64: [8, (v, at) => Number(v.getBigInt64(at, true))],
  uint64: [8, (v, at) => Number(v.getBigUint64(at, true))],
  int32: [4, (v, at) => v.getInt32(at, true)],
  uint32: [4, (v, at) => v.getUint32(at, true)],
  int16: [2, (v, at) => v.getInt16(at, true)],
  uint16: [2, (v, at) => v.getUint16(at, true)],
  int8: [1, (v, at) => v.getInt8(at)],
  uint8: [1, (v, at) => v.getUint8(at)],
  bool: [1, (v, at) => v.getUint8(at)],
};

/** The elements of a tensor that is in memory and has at most `limit` of them; undefined otherwise. */
export function values(t: Tensor, limit: number): number[] | undefined {
  const count = elements(t.shape);
  const reader = readers[t.dtype];
  if (t.source.kind !== 'bytes' || !reader || count > limit || t.source.bytes.byteLength < count * reader[0]) return undefined;
  const { bytes } = t.source;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return Array.from({ length: count }, (_, i) => reader[1](view, i * reader[0]));
}
