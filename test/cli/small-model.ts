/** Tiny models for the tests of wrong input: y = x · w, with one thing wrong at a time. */
import { encodeWith, type Placed } from '../../compiler/graph/encode.ts';
import type { Dim, Model, Node, Tensor } from '../../compiler/graph/types.ts';

export const node = (op: string, inputs: string[], outputs: string[]): Node => ({
  name: outputs[0]!,
  op,
  domain: '',
  inputs,
  outputs,
  attrs: new Map(),
});

export function floats(shape: readonly number[], at: (i: number) => number = (i) => Math.sin(i + 1)): Tensor {
  const values = Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, (_, i) => at(i));
  return { dtype: 'float32', shape, source: { kind: 'bytes', bytes: new Uint8Array(values.buffer) } };
}

export interface Small {
  readonly weight?: Tensor;
  readonly nodes?: Node[];
  readonly input?: readonly Dim[];
  readonly opset?: number;
  /** Where the weight lies, instead of inside the file. */
  readonly external?: Placed;
}

/** Bytes of a model file: x [n, 64] · w [64, 32] → y. */
export function small(o: Small = {}): Uint8Array {
  const weight = o.weight ?? floats([64, 32]);
  const model: Model = {
    irVersion: 10,
    opsets: new Map([['', o.opset ?? 21]]),
    producer: 'test',
    producerVersion: '',
    domain: '',
    modelVersion: 0,
    doc: '',
    metadata: new Map(),
    functions: [],
    graph: {
      name: 'small',
      nodes: o.nodes ?? [node('MatMul', ['x', 'w'], ['y'])],
      inputs: [{ name: 'x', dtype: 'float32', shape: o.input ?? ['n', 64] }],
      outputs: [{ name: 'y', dtype: 'float32', shape: ['n', 32] }],
      initializers: new Map([['w', weight]]),
      values: new Map(),
    },
  };
  return encodeWith(model, (t) => o.external ?? (t.source.kind === 'bytes' ? t.source.bytes : new Uint8Array()));
}
