/** Typed views of values: what observers and metrics compute on. */
import { fail } from '../../grammar/diagnostics.ts';
import { elements } from '../graph/dtype.ts';
import { toFloat32, toHalf } from '../graph/numeric.ts';
import type { DType } from '../graph/types.ts';
import type { Value } from '../host.ts';

type View =
  | Float32Array
  | Float64Array
  | Int8Array
  | Int16Array
  | Int32Array
  | Uint8Array
  | Uint16Array
  | Uint32Array
  | BigInt64Array
  | BigUint64Array;
const views: Partial<Record<DType, { new (b: ArrayBufferLike, at: number, n: number): View; readonly BYTES_PER_ELEMENT: number }>> = {
  float32: Float32Array,
  float64: Float64Array,
  float16: Uint16Array,
  bfloat16: Uint16Array,
  int8: Int8Array,
  int16: Int16Array,
  int32: Int32Array,
  int64: BigInt64Array,
  uint8: Uint8Array,
  uint16: Uint16Array,
  uint32: Uint32Array,
  uint64: BigUint64Array,
  bool: Uint8Array,
};

const arrayOf = (dtype: DType) => views[dtype] ?? fail('value-type', `values of type ${dtype} cannot be computed with here`);

/** The value's elements as they are stored (float16 and bfloat16 as their bits), without a copy where the alignment allows. */
export function view(value: Value): View {
  const make = arrayOf(value.dtype);
  const { bytes } = value;
  const aligned = bytes.byteOffset % make.BYTES_PER_ELEMENT === 0 ? bytes : bytes.slice();
  return new make(aligned.buffer, aligned.byteOffset, elements(value.shape));
}

/** The value as float32: a view where it is float32 and aligned, else converted. */
export function floats(value: Value): Float32Array {
  arrayOf(value.dtype);
  return toFloat32(value.dtype, value.bytes, elements(value.shape));
}

/** Numbers → a value of a type that feeds have. */
export function valueFrom(dtype: DType, shape: readonly number[], data: ArrayLike<number>): Value {
  const make = views[dtype];
  if (!make || dtype === 'bfloat16') return fail('value-type', `a feed of type ${dtype} cannot be made`);
  const out = new make(new ArrayBuffer(data.length * make.BYTES_PER_ELEMENT), 0, data.length);
  for (let i = 0; i < data.length; i++) {
    if (out instanceof BigInt64Array || out instanceof BigUint64Array) out[i] = BigInt(data[i]!);
    else out[i] = dtype === 'float16' ? toHalf(data[i]!) : data[i]!;
  }
  return { dtype, shape, bytes: new Uint8Array(out.buffer) };
}

/** float32 numbers as a value over the same memory. */
export const ofFloats = (shape: readonly number[], data: Float32Array): Value => ({
  dtype: 'float32',
  shape,
  bytes: new Uint8Array(data.buffer, data.byteOffset, data.byteLength),
});

/** The rows of the first axis at `places`, copied. */
export function rowsAt(value: Value, places: readonly number[]): Value {
  const [first = 1, ...rest] = value.shape;
  const size = value.bytes.length / Math.max(1, first);
  const bytes = new Uint8Array(places.length * size);
  places.forEach((row, i) => {
    bytes.set(value.bytes.subarray(row * size, (row + 1) * size), i * size);
  });
  return { dtype: value.dtype, shape: [places.length, ...rest], bytes };
}

/** Rows [from, to) of the first axis, without a copy. */
export function rows(value: Value, from: number, to: number): Value {
  const [first = 1, ...rest] = value.shape;
  const size = value.bytes.length / Math.max(1, first);
  return { dtype: value.dtype, shape: [to - from, ...rest], bytes: value.bytes.subarray(from * size, to * size) };
}
