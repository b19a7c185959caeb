/** An indexed, read-only view of one graph (main graph or the body of an If, Loop, Scan): what matchers ask, in constant time. */
import { isFloat } from '../graph/dtype.ts';
import { smallValues } from '../graph/numeric.ts';
import type { Dim, DType, Graph, Model, Node, Tensor, ValueInfo } from '../graph/types.ts';
import { subgraphs, uses } from '../graph/walk.ts';

/** A constant as a node sees it: an initializer behind Identity, Cast and Transpose nodes. */
export interface Constant {
  /** The initializer's name; the value's own name for a Constant node. */
  readonly name: string;
  readonly tensor: Tensor;
  /** Axis i of the value is axis perm[i] of the initializer; undefined when they are the same. */
  readonly perm?: readonly number[];
  /** The nodes between, initializer first. */
  readonly via: readonly Node[];
}

export interface View {
  /** '' for the main graph, else the path of the subgraph as `allNodes` gives it: `/Scan_12.body`. */
  readonly path: string;
  readonly model: Model;
  readonly graph: Graph;
  readonly parent?: View;
  /** Place of a node in topological order. */
  order(n: Node): number;
  /** Nodes of these types, in order; types of other domains as `com.microsoft::Attention`. */
  nodes(...types: readonly string[]): readonly Node[];
  producer(value: string): Node | undefined;
  /** Nodes that read the value, also those whose subgraphs read it. */
  consumers(value: string): readonly Node[];
  isOutput(value: string): boolean;
  /** A graph input that is not a constant. */
  isInput(value: string): boolean;
  /** The initializer behind a value, searched through outer scopes too. */
  constant(value: string): Constant | undefined;
  /** The numbers of a small constant (up to 4096 elements, held in memory); undefined otherwise. */
  numbers(value: string): readonly number[] | undefined;
  /** The number of a constant that has one element. */
  scalar(value: string): number | undefined;
  info(value: string): ValueInfo | undefined;
  shape(value: string): readonly Dim[] | undefined;
  dtype(value: string): DType | undefined;
  /** The value that this one is a copy of, through Identity, Dropout, float casts and a Concat of one. */
  origin(value: string): string;
}

/** The type under which `nodes` lists a node. */
export const typeOf = (n: Node): string => (n.domain === '' || n.domain === 'ai.onnx' ? n.op : `${n.domain}::${n.op}`);

export const attrInt = (n: Node, name: string, fallback: number): number => {
  const a = n.attrs.get(name);
  return a?.type === 'int' ? Number(a.value) : fallback;
};
export const attrFloat = (n: Node, name: string, fallback: number): number => {
  const a = n.attrs.get(name);
  return a?.type === 'float' ? a.value : fallback;
};
export const attrInts = (n: Node, name: string): readonly number[] | undefined => {
  const a = n.attrs.get(name);
  return a?.type === 'ints' ? a.value.map(Number) : undefined;
};
export const attrString = (n: Node, name: string): string | undefined => {
  const a = n.attrs.get(name);
  return a?.type === 'string' ? a.value : undefined;
};

const floatCodes = new Set([1, 10, 11, 16]);
const compose = (inner: readonly number[] | undefined, perm: readonly number[]) => (inner ? perm.map((p) => inner[p]!) : perm);

/** Indexes a graph. Time and memory are linear in its nodes. */
export function createView(model: Model, graph: Graph = model.graph, path = '', parent?: View): View {
  const producers = new Map<string, Node>();
  const readers = new Map<string, Node[]>();
  const byType = new Map<string, Node[]>();
  const order = new Map<Node, number>();
  const push = <K>(m: Map<K, Node[]>, k: K, n: Node) => {
    const list = m.get(k);
    if (!list) m.set(k, [n]);
    else if (list.at(-1) !== n) list.push(n);
  };
  graph.nodes.forEach((n, i) => {
    order.set(n, i);
    push(byType, typeOf(n), n);
    for (const v of n.outputs) if (v !== '') producers.set(v, n);
    for (const v of uses(n)) push(readers, v, n);
  });
  const inputs = new Map(graph.inputs.map((v) => [v.name, v]));
  const outputs = new Map(graph.outputs.map((v) => [v.name, v]));

  const constant = (value: string): Constant | undefined => {
    const held = graph.initializers.get(value);
    if (held) return { name: value, tensor: held, via: [] };
    const n = producers.get(value);
    if (!n) return inputs.has(value) ? undefined : parent?.constant(value);
    const type = typeOf(n);
    if (type === 'Constant') {
      const a = n.attrs.get('value');
      return a?.type === 'tensor' ? { name: value, tensor: a.value, via: [] } : undefined;
    }
    if (type !== 'Identity' && type !== 'Cast' && type !== 'Transpose') return undefined;
    const inner = constant(n.inputs[0] ?? '');
    if (!inner) return undefined;
    const via = [...inner.via, n];
    if (type !== 'Transpose') return { ...inner, via };
    const rank = inner.tensor.shape.length;
    const perm = attrInts(n, 'perm') ?? Array.from({ length: rank }, (_, i) => rank - 1 - i);
    return { ...inner, via, perm: compose(inner.perm, perm) };
  };
  const numbers = (value: string): readonly number[] | undefined => {
    const n = producers.get(value);
    if (n && typeOf(n) === 'Constant') {
      const scalar = n.attrs.get('value_float') ?? n.attrs.get('value_int');
      if (scalar?.type === 'float' || scalar?.type === 'int') return [Number(scalar.value)];
      const list = n.attrs.get('value_floats') ?? n.attrs.get('value_ints');
      if (list?.type === 'floats' || list?.type === 'ints') return list.value.map(Number);
    }
    const c = constant(value);
    return c && !c.perm ? smallValues(c.tensor, 4096) : undefined;
  };
  const info = (value: string): ValueInfo | undefined => {
    const known = inputs.get(value) ?? outputs.get(value);
    const t = graph.values.get(value);
    if (t?.shape || (t && !known)) return t;
    if (known) return known;
    const held = graph.initializers.get(value);
    if (held) return { name: value, dtype: held.dtype, shape: held.shape };
    return producers.has(value) ? undefined : parent?.info(value);
  };
  const origin = (value: string): string => {
    let at = value;
    for (let n = producers.get(at); n; n = producers.get(at)) {
      const type = typeOf(n);
      const from = n.inputs[0] ?? '';
      const copies =
        type === 'Identity' ||
        (type === 'Concat' && n.inputs.length === 1) ||
        (type === 'Dropout' && n.outputs[0] === at) ||
        (type === 'Cast' && floatCodes.has(attrInt(n, 'to', 0)) && (info(from)?.dtype === undefined || isFloat(info(from)?.dtype)));
      if (!copies) break;
      at = from;
    }
    return at;
  };
  return {
    path,
    model,
    graph,
    ...(parent ? { parent } : {}),
    order: (n) => order.get(n) ?? -1,
    nodes: (...types) => {
      if (types.length === 1) return byType.get(types[0]!) ?? [];
      return types.flatMap((t) => byType.get(t) ?? []).sort((a, b) => order.get(a)! - order.get(b)!);
    },
    producer: (value) => producers.get(value),
    consumers: (value) => readers.get(value) ?? [],
    isOutput: (value) => outputs.has(value),
    isInput: (value) => inputs.has(value) && !graph.initializers.has(value),
    constant,
    numbers,
    scalar: (value) => {
      const all = numbers(value);
      return all?.length === 1 ? all[0] : undefined;
    },
    info,
    shape: (value) => info(value)?.shape,
    dtype: (value) => info(value)?.dtype,
    origin,
  };
}

/** The view of the main graph and of every subgraph, outer before inner. */
export function allViews(model: Model): View[] {
  const out: View[] = [];
  const add = (v: View) => {
    out.push(v);
    for (const n of v.graph.nodes) {
      for (const s of subgraphs(n)) add(createView(model, s.graph, `${v.path}/${n.name || n.outputs[0]}.${s.attr}`, v));
    }
  };
  add(createView(model));
  return out;
}
