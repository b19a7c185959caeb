/**
 * A model without its weights and names: weights are inputs, names are numbers. Parts of one structure, like the blocks of a transformer, have equal
 * generic models, and one session runs them all.
 */
import type { Attr, Dim, Graph, Model, Node, Tensor, ValueInfo } from './types.ts';
import { subgraphs } from './walk.ts';

export interface Generic {
  /** Equal for models that compute the same from inputs and weights. */
  readonly key: string;
  /** The model, with what `change` makes of it while its weights are still constants. */
  model(change: (m: Model) => Model): Model;
  /** What is fed beside the inputs, by the model's names. */
  readonly weights: ReadonlyMap<string, Tensor>;
  /** The model's names of inputs and outputs, by their own. */
  readonly names: ReadonlyMap<string, string>;
}

/** Where ONNX Runtime computes alike with a weight that is an input: operator, and the places of its weights. */
const FED: Readonly<Record<string, readonly number[]>> = {
  MatMul: [0, 1],
  Gemm: [1, 2],
  Add: [0, 1],
  Mul: [0, 1],
  Gather: [0],
  Transpose: [0],
  LayerNormalization: [1, 2],
};
/** Elements of the smallest weight: scalars and axes are part of the structure. */
const LEAST = 16;
/** Bytes of constants that a key spells out. */
const MOST = 4096;

/** Undefined where the model has what this does not see through: subgraphs, functions, constants that are nothing to compare. */
export function generic(part: Model): Generic | undefined {
  const { graph } = part;
  if (part.functions.length > 0 || graph.nodes.some((n) => !subgraphs(n).next().done)) return undefined;
  const weights = fedOf(graph);
  const values = numbered('v');
  const dims = numbered('d');
  const shapeOf = (shape: readonly Dim[]): Dim[] => shape.map((d) => (typeof d === 'string' ? dims(d) : d));
  const info = ({ name, dtype, shape }: ValueInfo): ValueInfo => ({
    name: values(name),
    ...(dtype ? { dtype } : {}),
    ...(shape ? { shape: shapeOf(shape) } : {}),
  });
  const inputs = graph.inputs.map(info);
  const nodes = graph.nodes.map(
    (n, i): Node => ({
      name: `n${i}`,
      op: n.op,
      domain: n.domain,
      inputs: n.inputs.map((v) => v && values(v)),
      outputs: n.outputs.map((v) => v && values(v)),
      attrs: n.attrs,
    }),
  );
  const constants = [...graph.initializers].filter(([name]) => !weights.has(name)).map(([name, t]) => [values(name), t] as const);
  const fed = [...weights].map(([name, t]) => [values(name), t] as const);
  const outputs = graph.outputs.map(info);
  const described = [
    [...part.opsets],
    nodes.map((n) => [n.op, n.domain, n.inputs, n.outputs, [...n.attrs].map(([name, a]) => [name, attrOf(a)])]),
    inputs,
    fed.map(([name, t]) => [name, t.dtype, t.shape]),
    outputs,
    constants.map(([name, t]) => [name, contentOf(t)]),
  ];
  if (!told(described)) return undefined;
  return {
    key: JSON.stringify(described, (_, x) => (typeof x === 'bigint' ? `${x}n` : x)),
    model(change) {
      const known = new Map([...graph.values.values()].map(info).map((v) => [v.name, v]));
      const whole: Graph = { name: 'part', nodes, inputs, outputs, initializers: new Map([...constants, ...fed]), values: known };
      const changed = change({ ...part, metadata: new Map(), graph: whole });
      const left = new Map([...changed.graph.initializers].filter(([name]) => !fed.some(([f]) => f === name)));
      const added = fed.map(([name, { dtype, shape }]): ValueInfo => ({ name, dtype, shape }));
      return { ...changed, graph: { ...changed.graph, inputs: [...inputs, ...added], initializers: left, values: new Map() } };
    },
    weights: new Map(fed),
    names: new Map([...graph.inputs, ...graph.outputs].map((v) => [v.name, values(v.name)])),
  };
}

/** Initializers that become inputs. */
function fedOf(graph: Graph): Map<string, Tensor> {
  const no = new Set([...graph.inputs, ...graph.outputs].map((v) => v.name));
  for (const n of graph.nodes) for (const [i, v] of n.inputs.entries()) if (n.domain !== '' || !FED[n.op]?.includes(i)) no.add(v);
  const large = (t: Tensor) => t.dtype === 'float32' && t.source.kind !== 'strings' && t.shape.reduce((a, b) => a * b, 1) >= LEAST;
  return new Map([...graph.initializers].filter(([name, t]) => !no.has(name) && large(t)));
}

/** Names in the order in which they are first asked for. */
function numbered(prefix: string): (name: string) => string {
  const known = new Map<string, string>();
  return (name) => {
    const number = known.get(name) ?? `${prefix}${known.size}`;
    known.set(name, number);
    return number;
  };
}

/** Stands for what cannot be told. */
const UNTOLD = null;
const told = (x: unknown): boolean => (Array.isArray(x) ? x.every(told) : x !== UNTOLD);

function attrOf(a: Attr): unknown {
  if (a.unknown || a.type === 'opaque' || a.type === 'graph' || a.type === 'graphs') return UNTOLD;
  return a.type === 'tensor' ? contentOf(a.value) : a.type === 'ref' ? [a.type, a.ref] : [a.type, a.value];
}

function contentOf({ dtype, shape, source, unknown }: Tensor): unknown {
  if (unknown) return UNTOLD;
  switch (source.kind) {
    case 'bytes':
      return source.bytes.length > MOST ? UNTOLD : [dtype, shape, source.bytes.join()];
    case 'file':
      return [dtype, shape, source.dir ?? '', source.file, source.at, source.len];
    // what it is may not be known yet
    case 'lazy':
    case 'strings':
      return UNTOLD;
  }
}
