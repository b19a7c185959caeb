/** The little that passes need to change a copy of a graph. Tensors are shared, never copied. */

import type { Attr, Graph, Model, Node, Tensor } from './types.ts';
import { freeNames, subgraphs, uses } from './walk.ts';

/** A copy whose nodes, lists and maps may be changed freely, subgraphs included. */
export const cloneModel = (m: Model): Model => ({
  ...m,
  opsets: new Map(m.opsets),
  metadata: new Map(m.metadata),
  graph: cloneGraph(m.graph),
  functions: m.functions.map((f) => ({ ...f, nodes: f.nodes.map(cloneNode), opsets: new Map(f.opsets), values: new Map(f.values) })),
});

export const cloneGraph = (g: Graph): Graph => ({
  ...g,
  nodes: g.nodes.map(cloneNode),
  inputs: g.inputs.map((v) => ({ ...v })),
  outputs: g.outputs.map((v) => ({ ...v })),
  initializers: new Map(g.initializers),
  values: new Map(g.values),
});

export function cloneNode(n: Node): Node {
  const attrs = new Map([...n.attrs].map(([name, a]): [string, Attr] => [name, mapGraphs(a, cloneGraph)]));
  return { ...n, inputs: [...n.inputs], outputs: [...n.outputs], attrs };
}

/** The attribute with its graphs, if it has any, replaced. */
export function mapGraphs(a: Attr, f: (g: Graph) => Graph): Attr {
  if (a.type === 'graph') return { ...a, value: f(a.value) };
  return a.type === 'graphs' ? { ...a, value: a.value.map(f) } : a;
}

/** Makes readers of each key read its value instead, in subgraphs too where they do not define the name themselves. Graph outputs keep their names. */
export function replaceUses(graph: Graph, names: ReadonlyMap<string, string>): void {
  const now = (name: string): string => names.get(name) ?? name;
  for (const n of graph.nodes) {
    n.inputs = n.inputs.map(now);
    for (const s of subgraphs(n)) {
      const inner = new Map([...freeNames(s.graph)].flatMap((name) => (names.has(name) ? [[name, names.get(name)!]] : [])));
      if (inner.size === 0) continue;
      replaceUses(s.graph, inner);
      // the output of a subgraph may be an outer value
      for (const o of s.graph.outputs) o.name = inner.get(o.name) ?? o.name;
    }
  }
}

/** The nodes that read each value, those included whose subgraphs do. */
export function consumers(graph: Graph): Map<string, Node[]> {
  const readers = new Map<string, Node[]>();
  for (const n of graph.nodes) {
    for (const name of new Set(uses(n))) {
      const list = readers.get(name);
      if (list === undefined) readers.set(name, [n]);
      else list.push(n);
    }
  }
  return readers;
}

/** The node that yields each value. */
export const producers = (graph: Graph): Map<string, Node> =>
  new Map(graph.nodes.flatMap((n) => n.outputs.filter((o) => o !== '').map((o): [string, Node] => [o, n])));

/** Gives names that no value of the model has, and remembers them. */
export function freshNames(model: Model): (base: string) => string {
  const used = new Set<string>();
  const collect = (g: Graph): void => {
    for (const v of [...g.inputs, ...g.outputs]) used.add(v.name);
    for (const name of g.initializers.keys()) used.add(name);
    for (const n of g.nodes) {
      for (const name of [...n.inputs, ...n.outputs]) used.add(name);
      for (const s of subgraphs(n)) collect(s.graph);
    }
  };
  collect(model.graph);
  return (base) => {
    let name = base;
    for (let i = 1; used.has(name); i++) name = `${base}_${i}`;
    used.add(name);
    return name;
  };
}

/** The tensor of an initializer or Constant node, also behind Identity; with the name that holds it. */
export function constantOf(graph: Graph, made: ReadonlyMap<string, Node>, value: string): { name: string; tensor: Tensor } | undefined {
  const tensor = graph.initializers.get(value);
  if (tensor !== undefined) return { name: value, tensor };
  const n = made.get(value);
  if (n?.domain !== '') return undefined;
  if (n.op === 'Identity') return constantOf(graph, made, n.inputs[0] ?? '');
  const a = n.op === 'Constant' ? n.attrs.get('value') : undefined;
  return a?.type === 'tensor' ? { name: value, tensor: a.value } : undefined;
}

/** Drops what no output needs: nodes, initializers that are not inputs, descriptions, functions that nobody calls. Changes the model in place. */
export function prune(model: Model): Model {
  pruneGraph(model.graph);
  const called = new Set<string>();
  const call = (nodes: readonly Node[]): void => {
    for (const n of nodes) {
      const id = `${n.domain}::${n.op}`;
      if (!called.has(id)) {
        called.add(id);
        for (const f of model.functions) if (`${f.domain}::${f.name}` === id) call(f.nodes);
      }
      for (const s of subgraphs(n)) call(s.graph.nodes);
    }
  };
  call(model.graph.nodes);
  model.functions = model.functions.filter((f) => called.has(`${f.domain}::${f.name}`));
  return model;
}

function pruneGraph(g: Graph): void {
  const live = new Set(g.outputs.map((v) => v.name));
  g.nodes = g.nodes
    .toReversed()
    .filter((n) => {
      if (n.outputs.length > 0 && !n.outputs.some((o) => live.has(o))) return false;
      for (const s of subgraphs(n)) pruneGraph(s.graph);
      for (const name of uses(n)) live.add(name);
      return true;
    })
    .toReversed();
  const kept = new Set([...g.inputs.map((v) => v.name), ...live]);
  for (const name of g.initializers.keys()) if (!kept.has(name)) g.initializers.delete(name);
  const made = new Set(g.nodes.flatMap((n) => n.outputs));
  for (const name of g.values.keys()) if (!made.has(name) && !kept.has(name)) g.values.delete(name);
}
