/** Small constructors of nodes, attributes and constant tensors. */
import { toBfloat16, toHalf } from '../graph/numeric.ts';
import type { Attr, DType, Node, Tensor } from '../graph/types.ts';

export type AttrValue = number | string | readonly number[] | { readonly float: number } | { readonly floats: readonly number[] };

/** A plain number is an int attribute, a list of numbers an ints attribute; floats are said to be so. */
const attr = (v: AttrValue): Attr => {
  if (typeof v === 'number') return { type: 'int', value: v };
  if (typeof v === 'string') return { type: 'string', value: v };
  if ('float' in v) return { type: 'float', value: v.float };
  if ('floats' in v) return { type: 'floats', value: v.floats };
  return { type: 'ints', value: v };
};

/** A node. `op` may carry its domain: `com.microsoft.MatMulNBits`. */
export function node(
  op: string,
  inputs: readonly string[],
  outputs: readonly string[],
  attrs: Readonly<Record<string, AttrValue | undefined>> = {},
): Node {
  const dot = op.lastIndexOf('.');
  const given = Object.entries(attrs).filter((e): e is [string, AttrValue] => e[1] !== undefined);
  return {
    name: outputs[0] ?? '',
    op: op.slice(dot + 1),
    domain: op.slice(0, Math.max(dot, 0)),
    inputs: [...inputs],
    outputs: [...outputs],
    attrs: new Map(given.map(([k, v]) => [k, attr(v)])),
  };
}

const bytesOf = (a: ArrayBufferView): Uint8Array => new Uint8Array(a.buffer, a.byteOffset, a.byteLength);

/** A tensor held in memory. */
export const held = (dtype: DType, shape: readonly number[], bytes: Uint8Array): Tensor => ({
  dtype,
  shape,
  source: { kind: 'bytes', bytes },
});

export const int64s = (values: readonly number[], shape: readonly number[] = [values.length]): Tensor =>
  held('int64', shape, bytesOf(BigInt64Array.from(values, BigInt)));

export const float32s = (values: ArrayLike<number>, shape: readonly number[]): Tensor =>
  held('float32', shape, bytesOf(Float32Array.from(values)));

const writers: Partial<Record<DType, (values: ArrayLike<number>) => ArrayBufferView>> = {
  float32: (v) => Float32Array.from(v),
  float64: (v) => Float64Array.from(v),
  float16: (v) => Uint16Array.from(Array.from(v, toHalf)),
  bfloat16: (v) => Uint16Array.from(Array.from(v, toBfloat16)),
  int8: (v) => Int8Array.from(v),
  uint8: (v) => Uint8Array.from(v),
  int16: (v) => Int16Array.from(v),
  uint16: (v) => Uint16Array.from(v),
  int32: (v) => Int32Array.from(v),
  uint32: (v) => Uint32Array.from(v),
  int64: (v) => BigInt64Array.from(Array.from(v, BigInt)),
  int4: (v) => pack(v, 4),
  uint4: (v) => pack(v, 4),
  int2: (v) => pack(v, 2),
  uint2: (v) => pack(v, 2),
};

/** Codes of 2 or 4 bits packed flat, low bits first, as ONNX stores them. */
export function pack(values: ArrayLike<number>, bits: 2 | 4): Uint8Array {
  const per = 8 / bits;
  const out = new Uint8Array(Math.ceil(values.length / per));
  const mask = 2 ** bits - 1;
  for (let i = 0; i < values.length; i++) {
    const at = Math.floor(i / per);
    out[at] = (out[at] ?? 0) | (((values[i] ?? 0) & mask) << ((i % per) * bits));
  }
  return out;
}

/** A constant of any numeric type from numbers; the types that a quantizer's scales and zero points have. */
export function numbers(dtype: DType, shape: readonly number[], values: ArrayLike<number>): Tensor {
  const write = writers[dtype];
  if (!write) throw new Error(`constants of type ${dtype} are not made from numbers`);
  return held(dtype, shape, bytesOf(write(values)));
}
