/** The part of a model that computes some values from others. */
import type { Attr, Graph, Model, Node, ValueInfo } from './types.ts';

/** Graphs inside a node: bodies of If, Loop, Scan. */
const bodies = (node: Node): readonly Graph[] =>
  [...node.attrs.values()].flatMap((a: Attr) => (a.type === 'graph' ? [a.value] : a.type === 'graphs' ? a.value : []));

/** Every name that a node reads, with those that its bodies take from outside (and, harmlessly, their own). */
function reads(node: Node): string[] {
  const inner = bodies(node).flatMap((g) => [...g.nodes.flatMap(reads), ...g.outputs.map((o) => o.name)]);
  return [...node.inputs, ...inner];
}

/**
 * The model that computes `outputs` from `known` values and the graph's inputs: only the nodes and weights that are needed for that.
 * A known value becomes an input; an output that is known or an input itself is left out. Inputs that nothing reads are dropped.
 */
export function cut(model: Model, known: ReadonlyMap<string, ValueInfo>, outputs: readonly string[]): Model {
  const { graph } = model;
  const given = new Set([...graph.inputs.map((i) => i.name), ...known.keys()]);
  const wanted = outputs.filter((o) => !given.has(o));
  const needed = new Set(wanted);
  const nodes: Node[] = [];
  for (const node of [...graph.nodes].reverse()) {
    if (!node.outputs.some((o) => needed.has(o) && !known.has(o))) continue;
    nodes.unshift(node);
    for (const r of reads(node)) needed.add(r);
  }
  const made = new Set(nodes.flatMap((n) => n.outputs));
  const infos = new Map([...graph.values, ...graph.outputs.map((o) => [o.name, o] as const)]);
  const values = new Map([...graph.values].filter(([name]) => made.has(name) && !known.has(name) && !wanted.includes(name)));
  const inputs = [
    ...graph.inputs.filter((i) => needed.has(i.name) && !known.has(i.name)),
    ...[...known].filter(([n]) => needed.has(n)).map(([, v]) => v),
  ];
  const cutGraph: Graph = {
    ...graph,
    nodes: nodes.map((n) => ({ ...n, outputs: n.outputs.map((o) => (known.has(o) ? `${o}/recomputed` : o)) })),
    inputs,
    outputs: wanted.map((name) => infos.get(name) ?? { name }),
    initializers: new Map([...graph.initializers].filter(([name]) => needed.has(name) && !known.has(name))),
    values,
  };
  return { ...model, graph: cutGraph };
}
