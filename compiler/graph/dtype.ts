/** Element types: their ONNX numbers and sizes. */
import type { DType } from './types.ts';

/** TensorProto.DataType numbers. */
export const dtypeNumbers: Readonly<Record<DType, number>> = {
  float32: 1,
  uint8: 2,
  int8: 3,
  uint16: 4,
  int16: 5,
  int32: 6,
  int64: 7,
  string: 8,
  bool: 9,
  float16: 10,
  float64: 11,
  uint32: 12,
  uint64: 13,
  complex64: 14,
  complex128: 15,
  bfloat16: 16,
  float8e4m3fn: 17,
  float8e4m3fnuz: 18,
  float8e5m2: 19,
  float8e5m2fnuz: 20,
  uint4: 21,
  int4: 22,
  float4e2m1: 23,
  float8e8m0: 24,
  uint2: 25,
  int2: 26,
};

const names = new Map(Object.entries(dtypeNumbers).map(([k, v]) => [v, k as DType]));

/** The type of a TensorProto.DataType number, undefined where we do not know it. */
export const dtypeOf = (n: number): DType | undefined => names.get(n);

const widths: Partial<Record<DType, number>> = {
  float64: 64,
  int64: 64,
  uint64: 64,
  complex64: 64,
  complex128: 128,
  float16: 16,
  bfloat16: 16,
  int16: 16,
  uint16: 16,
  float32: 32,
  int32: 32,
  uint32: 32,
  int4: 4,
  uint4: 4,
  float4e2m1: 4,
  int2: 2,
  uint2: 2,
  string: 0,
};

/** Bits of one element; 0 for strings, which have no fixed size. */
export const bitsOf = (t: DType): number => widths[t] ?? 8;

/** Number of elements of a shape. */
export const elements = (shape: readonly number[]): number => shape.reduce((a, b) => a * b, 1);

/** Bytes of a tensor in raw_data encoding: sub-byte types are packed flat, low bits first, the last byte padded. */
export const byteLength = (t: DType, shape: readonly number[]): number => {
  const n = elements(shape);
  const bits = bitsOf(t);
  return bits >= 8 ? n * (bits / 8) : Math.ceil((n * bits) / 8);
};

export const isFloat = (t: DType | undefined): boolean => t !== undefined && (t.startsWith('float') || t === 'bfloat16');
