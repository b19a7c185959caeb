/** Typed views of values: what observers and metrics compute on. */
import { fail } from '../../grammar/diagnostics.ts';
import { elements } from '../graph/dtype.ts';
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

/** The value's elements as they are stored (float16 and bfloat16 as their bits), without a copy where the alignment allows. */
export function view(value: Value): View {
  const make = views[value.dtype];
  if (!make) return fail('value-type', `values of type ${value.dtype} cannot be computed with here`);
  const { bytes } = value;
  const aligned = bytes.byteOffset % make.BYTES_PER_ELEMENT === 0 ? bytes : bytes.slice();
  return new make(aligned.buffer, aligned.byteOffset, elements(value.shape));
}

const powers = Array.from({ length: 31 }, (_, e) => 2 ** (e - 25));
/** The number that 16 bits stand for in IEEE half precision. */
function half(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 1023;
  if (exponent === 31) return fraction ? Number.NaN : sign * Number.POSITIVE_INFINITY;
  return sign * (exponent === 0 ? fraction * 2 ** -24 : (fraction + 1024) * powers[exponent]!);
}

/** The value as float32: a view where it is float32, else converted. */
export function floats(value: Value): Float32Array {
  const data = view(value);
  if (data instanceof Float32Array) return data;
  const out = new Float32Array(data.length);
  if (value.dtype === 'float16') for (let i = 0; i < out.length; i++) out[i] = half(Number(data[i]));
  else if (value.dtype === 'bfloat16') {
    const wide = new Uint32Array(out.buffer);
    for (let i = 0; i < out.length; i++) wide[i] = Number(data[i]) << 16;
  } else for (let i = 0; i < out.length; i++) out[i] = Number(data[i]);
  return out;
}

const float16Bits = (x: number): number => {
  if (Number.isNaN(x)) return 0x7e00;
  const sign = x < 0 || Object.is(x, -0) ? 0x8000 : 0;
  const a = Math.abs(x);
  if (a >= 65520) return sign | 0x7c00;
  const exponent = Math.max(-14, Math.floor(Math.log2(a)));
  const step = 2 ** (exponent - 10);
  const units = roundEven(a / step);
  return sign + (a < 2 ** -14 ? units : ((exponent + 15) << 10) + units - 1024);
};
const roundEven = (x: number): number => {
  const f = Math.floor(x);
  const d = x - f;
  return d > 0.5 || (d === 0.5 && f % 2 !== 0) ? f + 1 : f;
};

/** Numbers → a value of a type that feeds have. */
export function valueFrom(dtype: DType, shape: readonly number[], data: ArrayLike<number>): Value {
  const make = views[dtype];
  if (!make || dtype === 'bfloat16') return fail('value-type', `a feed of type ${dtype} cannot be made`);
  const out = new make(new ArrayBuffer(data.length * make.BYTES_PER_ELEMENT), 0, data.length);
  for (let i = 0; i < data.length; i++) {
    if (out instanceof BigInt64Array || out instanceof BigUint64Array) out[i] = BigInt(data[i]!);
    else out[i] = dtype === 'float16' ? float16Bits(data[i]!) : data[i]!;
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
