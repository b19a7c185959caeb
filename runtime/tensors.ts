/** Tensors of onnxruntime-common as what the addon takes, and back. */
import type { Tensor } from 'onnxruntime-node';

export type Ort = typeof import('onnxruntime-node');
type View = { readonly buffer: ArrayBufferLike; readonly byteOffset: number; readonly byteLength: number };

/** ONNX's number of each element type that passes, and its bits. */
const elements: Readonly<Record<string, readonly [number: number, bits: number]>> = {
  float32: [1, 32],
  uint8: [2, 8],
  int8: [3, 8],
  uint16: [4, 16],
  int16: [5, 16],
  int32: [6, 32],
  int64: [7, 64],
  bool: [9, 8],
  float16: [10, 16],
  float64: [11, 64],
  uint32: [12, 32],
  uint64: [13, 64],
  uint4: [21, 4],
  int4: [22, 4],
};
const types = new Map(Object.entries(elements).map(([name, [number]]) => [number, name]));

/** Type by ONNX's number; undefined for one that does not pass. */
export const typeOf = (element: number): string | undefined => types.get(element);
/** ONNX's number of a type. Throws for one that does not pass. */
export function elementOf(type: string): number {
  const found = elements[type];
  if (!found) throw new Error(`sessions with qc.v1 take no ${type} tensors`);
  return found[0];
}
/** Bytes of a tensor. */
export const bytesOf = (type: string, dims: readonly number[]): number =>
  Math.ceil((dims.reduce((a, b) => a * b, 1) * (elements[type]?.[1] ?? 0)) / 8);

export const bytesIn = (tensor: Tensor): Uint8Array => {
  const { buffer, byteOffset, byteLength } = tensor.data as unknown as View;
  return new Uint8Array(buffer, byteOffset, byteLength);
};

type Numbers = { new (b: ArrayBufferLike, at: number, n: number): Float32Array; BYTES_PER_ELEMENT: number };
/** Types whose tensors are not made from lists. */
const unlisted: Readonly<Record<string, Numbers>> = {
  float16: ((globalThis as { Float16Array?: unknown }).Float16Array ?? Uint16Array) as unknown as Numbers,
  uint4: Uint8Array as unknown as Numbers,
  int4: Uint8Array as unknown as Numbers,
};

/** A tensor over bytes that begin a buffer of their own. */
export function tensorOver(ort: Ort, type: string, bytes: Uint8Array, dims: readonly number[]): Tensor {
  const name = type as 'float32';
  const make = unlisted[type] ?? (new ort.Tensor(name, [] as never, [0]).data.constructor as unknown as Numbers);
  return new ort.Tensor(name, new make(bytes.buffer, bytes.byteOffset, bytes.byteLength / make.BYTES_PER_ELEMENT), [...dims]);
}
