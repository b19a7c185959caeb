/** Walking nodes and the graphs inside their attributes. */
import type { Graph, Node } from './types.ts';

/** The graphs in a node's attributes (branches of If, bodies of Loop and Scan), with the attribute's name. */
export function* subgraphs(node: Node): Generator<{ attr: string; graph: Graph }> {
  for (const [attr, a] of node.attrs) {
    if (a.type === 'graph') yield { attr, graph: a.value };
    else if (a.type === 'graphs') for (const graph of a.value) yield { attr, graph };
  }
}

/** Every node of a graph and of the graphs below it, outer first; `path` is '' at the top, then `/node.attr`. */
export function* allNodes(graph: Graph, path = ''): Generator<{ node: Node; graph: Graph; path: string }> {
  for (const node of graph.nodes) {
    yield { node, graph, path };
    for (const s of subgraphs(node)) yield* allNodes(s.graph, `${path}/${node.name || node.outputs[0]}.${s.attr}`);
  }
}

/** The graph and every graph below it. */
export function* allGraphs(graph: Graph): Generator<Graph> {
  yield graph;
  for (const node of graph.nodes) for (const s of subgraphs(node)) yield* allGraphs(s.graph);
}

/** Names that a graph takes from outside: used in it or below it, defined by neither. */
export function freeNames(graph: Graph): Set<string> {
  const defined = new Set<string>([...graph.inputs.map((v) => v.name), ...graph.initializers.keys()]);
  const free = new Set<string>();
  for (const node of graph.nodes) for (const o of node.outputs) defined.add(o);
  const use = (name: string): void => {
    if (name !== '' && !defined.has(name)) free.add(name);
  };
  for (const node of graph.nodes) for (const name of uses(node)) use(name);
  for (const o of graph.outputs) use(o.name);
  return free;
}

/** What a node reads: its inputs, and what its subgraphs take from outside. */
export function uses(node: Node): readonly string[] {
  const names = node.inputs.filter((n) => n !== '');
  for (const s of subgraphs(node)) names.push(...freeNames(s.graph));
  return names;
}
