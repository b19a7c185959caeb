/** A node of one operator of qc.v1 with inputs that fit it: for tests of every operator, for measurements, and to be broken on purpose. */
import type { Func, Model, Tensor } from '../../../compiler/graph/types.ts';
import { type AttrValue, node, numbers } from '../../../compiler/lower/make.ts';
import { floats } from '../../targets/build.ts';

/** What a case is made at: some elements, or what a model of a billion parameters has. */
export type Size = 'small' | 'usual';

export interface Case {
  /** The operator's inputs in order, by the names of its body. The first is fed, the others are constants. */
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
  readonly outputs?: number;
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

function shell(first: [string, Tensor], constants: [string, Tensor][], outputs: readonly string[]): Model {
  return {
    irVersion: 8,
    opsets: new Map([
      ['', OPSET],
      ['com.microsoft', 1],
    ]),
    producer: 'test',
    producerVersion: '',
    domain: '',
    modelVersion: 0,
    doc: '',
    metadata: new Map(),
    functions: [],
    graph: {
      name: 'g',
      nodes: [],
      inputs: [{ name: first[0], dtype: first[1].dtype, shape: first[1].shape }],
      outputs: outputs.map((name) => ({ name })),
      initializers: new Map(constants),
      values: new Map(),
    },
  };
}

/** A model of one node of the operator, with its body: the first input is fed. */
export function modelOfCase(name: string, c: Case): Model {
  const [first, ...rest] = Object.entries(c.inputs);
  const m = shell(first!, rest, c.outputs);
  m.opsets.set('qc.v1', 1);
  m.functions.push(c.body(OPSET));
  m.graph.nodes.push({ ...node(name, Object.keys(c.inputs), [...c.outputs], c.attrs), domain: 'qc.v1' });
  return m;
}

/** A model of one node of the stock operator. */
export function modelOfStock(c: Case): Model {
  const s = c.stock!;
  const [first] = Object.entries(c.inputs);
  const m = shell([first![0], s.first ?? first![1]], Object.entries(s.inputs), ['y']);
  const outputs = ['y', ...Array.from({ length: (s.outputs ?? 1) - 1 }, (_, i) => `o${i}`)];
  const named = [first![0], ...Object.keys(s.inputs).map((n) => (n.startsWith('-') ? '' : n))];
  for (const n of Object.keys(s.inputs)) if (n.startsWith('-')) m.graph.initializers.delete(n);
  m.graph.nodes.push({ ...node(s.op, named, outputs, s.attrs ?? {}), domain: s.domain ?? '' });
  return m;
}
