/** A node of one operator of qc.v1 with inputs that fit it: for tests of every operator, for measurements, and to be broken on purpose. */
import type { Func, Model, Tensor } from '../../../compiler/graph/types.ts';
import { type AttrValue, node, numbers } from '../../../compiler/lower/make.ts';
import { floats, modelAround } from '../../targets/build.ts';

/** What a case is made at: some elements, what a model of a billion parameters has, or a size that `sizesOf` lists beside. */
export type Size = string;

export interface Case {
  /** The operator's inputs in order, by the names of its body: what a model holds (weights, scales, tables, single numbers) is constant, the others are fed. */
  readonly inputs: Readonly<Record<string, Tensor>>;
  readonly attrs: Readonly<Record<string, AttrValue>>;
  readonly outputs: readonly string[];
  /** What it stands for in standard operators. */
  body(opset: number): Func;
  /** The nearest operator of stock ONNX Runtime, on the same first input; none: the body is. */
  readonly stock?: Stock;
}
export interface Stock {
  readonly op: string;
  readonly domain?: string;
  /** Constants behind the first input. */
  readonly inputs: Readonly<Record<string, Tensor>>;
  readonly attrs?: Readonly<Record<string, AttrValue>>;
  /** Of the node; those without a name are not asked for. Default: one. */
  readonly outputs?: readonly string[];
  /** The first input, where it is another. */
  readonly first?: Tensor;
}
/** The cases of a family: nothing where a name is none of its own. */
export type Family = (name: string, size: Size) => Case | undefined;

export const OPSET = 18;
export const filled = (dtype: 'int8' | 'uint8' | 'int32' | 'float32', shape: readonly number[], of: (i: number) => number): Tensor =>
  numbers(
    dtype,
    shape,
    Array.from({ length: shape.reduce((a, b) => a * b, 1) }, (_, i) => of(i)),
  );
/** Bytes that look drawn, from `lo` up to `lo + n`. */
export const bytes = (dtype: 'int8' | 'uint8', shape: readonly number[], n = 256, lo = dtype === 'int8' ? -128 : 0): Tensor =>
  filled(dtype, shape, (i) => lo + ((Math.imul(i + 1, 2654435761) >>> 24) % n));
export const positive = (shape: readonly number[], scale = 0.01): Tensor => filled('float32', shape, (i) => scale * (1 + (i % 7) / 7));
export const one = (x: number): Tensor => numbers('float32', [1], [x]);
export { floats };

/** What a model holds; behind the first input, which is always fed. */
const held = new Set(
  'codes scales zeros steps up gain bias left right weight weight_scale x_scale state_scale A D cos sin B b_scale'.split(' '),
);
const isConstant = ([name, t]: [string, Tensor], i: number) => i > 0 && (held.has(name) || t.shape.reduce((a, b) => a * b, 1) === 1);
/** The inputs that are fed. */
const fedOf = (inputs: Readonly<Record<string, Tensor>>): Record<string, Tensor> =>
  Object.fromEntries(Object.entries(inputs).filter((e, i) => !isConstant(e, i)));

/** A model and what it is fed. */
export interface Fed {
  readonly model: Model;
  readonly feeds: Readonly<Record<string, Tensor>>;
}

const shell = (inputs: Readonly<Record<string, Tensor>>, outputs: readonly string[]): Model =>
  modelAround(
    {
      nodes: [],
      inputs: Object.entries(fedOf(inputs)).map(([name, t]) => ({ name, dtype: t.dtype, shape: t.shape })),
      outputs: outputs.map((name) => ({ name })),
      initializers: new Map(Object.entries(inputs).filter(isConstant)),
    },
    { '': OPSET, 'com.microsoft': 1 },
  );

/** A model of one node of the operator, with its body. */
export function modelOfCase(name: string, c: Case): Fed {
  const model = shell(c.inputs, c.outputs);
  model.opsets.set('qc.v1', 1);
  model.functions.push(c.body(OPSET));
  model.graph.nodes.push({ ...node(name, Object.keys(c.inputs), [...c.outputs], c.attrs), domain: 'qc.v1' });
  return { model, feeds: fedOf(c.inputs) };
}

/** A model of one node of the stock operator. */
export function modelOfStock(c: Case): Fed {
  const s = c.stock!;
  const [[first, x]] = Object.entries(c.inputs) as [[string, Tensor]];
  const inputs = { [first]: s.first ?? x, ...s.inputs };
  const outputs = s.outputs ?? ['y'];
  const model = shell(
    inputs,
    outputs.filter((name) => name !== ''),
  );
  model.graph.nodes.push({ ...node(s.op, Object.keys(inputs), [...outputs], s.attrs ?? {}), domain: s.domain ?? '' });
  return { model, feeds: fedOf(inputs) };
}

const arrays = {
  float32: Float32Array,
  float16: Uint16Array,
  int8: Int8Array,
  uint8: Uint8Array,
  int32: Int32Array,
  int64: BigInt64Array,
};
/** The bytes of a tensor as ONNX Runtime takes them. */
export function dataOf(t: Tensor): Float32Array {
  const bytes = t.source.kind === 'bytes' ? t.source.bytes.slice() : new Uint8Array();
  return new arrays[t.dtype as 'float32'](bytes.buffer);
}
