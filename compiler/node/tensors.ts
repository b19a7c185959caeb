import { Tensor } from 'onnxruntime-node';
import { fail } from '../../grammar/diagnostics.ts';
import type { DType } from '../graph/types.ts';
import type { Value } from '../host.ts';

type Numeric = Exclude<Tensor.Type, 'string'>;
type Constructor = { new (b: ArrayBufferLike, at: number, n: number): ArrayBufferView; readonly BYTES_PER_ELEMENT: number };

/** Newer Nodes have Float16Array, and onnxruntime-common then insists on it. */
const float16: Constructor = (globalThis as { Float16Array?: Constructor }).Float16Array ?? Uint16Array;
const arrays: Readonly<Record<Numeric, Constructor>> = {
  float32: Float32Array,
  float64: Float64Array,
  float16,
  int8: Int8Array,
  int16: Int16Array,
  int32: Int32Array,
  int64: BigInt64Array,
  uint8: Uint8Array,
  uint16: Uint16Array,
  uint32: Uint32Array,
  uint64: BigUint64Array,
  bool: Uint8Array,
  int4: Uint8Array,
  uint4: Uint8Array,
};
const isNumeric = (t: string): t is Numeric => t in arrays;

/** Bytes → an ONNX Runtime tensor, without a copy where the alignment allows. `name` is for messages. */
export function toTensor(name: string, value: Value): Tensor {
  const type = value.dtype;
  if (!isNumeric(type)) return fail('io-type', `input "${name}": ONNX Runtime for Node takes no ${type} tensors`);
  const make = arrays[type];
  const { bytes } = value;
  const aligned = bytes.byteOffset % make.BYTES_PER_ELEMENT === 0 ? bytes : bytes.slice();
  const data = new make(aligned.buffer, aligned.byteOffset, aligned.byteLength / make.BYTES_PER_ELEMENT);
  return new Tensor(type, data as Tensor.DataTypeMap[Numeric], [...value.shape]);
}

/** An ONNX Runtime tensor → bytes over the same memory. */
export function fromTensor(name: string, tensor: Tensor): Value {
  if (tensor.type === 'string') return fail('io-type', `output "${name}" holds strings`);
  const data = tensor.data as ArrayBufferView;
  return { dtype: tensor.type as DType, shape: tensor.dims, bytes: new Uint8Array(data.buffer, data.byteOffset, data.byteLength) };
}
