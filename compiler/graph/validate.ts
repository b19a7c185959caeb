/** The law of every graph that comes in: each value is defined once, before its uses; nothing depends on itself. */
import { fail } from '../../grammar/diagnostics.ts';
import { nodeLabel } from './decode.ts';
import { SPARSE_INITIALIZER } from './proto.ts';
import { topological } from './sort.ts';
import type { Graph, Model, Node } from './types.ts';
import { subgraphs, uses } from './walk.ts';
import { decode, fieldsOf } from './wire.ts';

const label = (n: Node): string => nodeLabel(n.op, n.name, n.outputs);

/**
 * Checks a loaded model and puts its nodes into topological order where they were not. Changes `model` in place and returns it.
 * @throws QcError `duplicate-value`, `undefined-value`, `cyclic-graph`, `old-opset`
 */
export function validate(model: Model): Model {
  if (!model.opsets.has('') && model.graph.nodes.some((n) => n.domain === '')) {
    fail('old-opset', 'the model does not say which opset it uses', 'the file is very old or damaged; export the model again');
  }
  checkGraph(model.graph, new Set(), 'the graph');
  for (const f of model.functions) {
    const where = `function "${f.name}"`;
    f.nodes = checkNodes(f.nodes, new Set(f.inputs), new Set(), f.outputs, where);
  }
  return model;
}

function checkGraph(graph: Graph, outer: ReadonlySet<string>, where: string): void {
  const own = new Set<string>();
  for (const input of graph.inputs) {
    if (own.has(input.name)) duplicate(input.name, `an input of ${where}`, `an input of ${where}`);
    own.add(input.name);
  }
  // a name may be both input and initializer: the initializer is the default
  for (const name of [...graph.initializers.keys(), ...sparseNames(graph)]) own.add(name);
  const outputs = graph.outputs.map((o) => o.name);
  graph.nodes = checkNodes(graph.nodes, own, outer, outputs, where);
}

function checkNodes(nodes: Node[], own: Set<string>, outer: ReadonlySet<string>, outputs: readonly string[], where: string): Node[] {
  const makers = new Map<string, Node>();
  for (const node of nodes) {
    for (const name of node.outputs) {
      if (name === '') continue;
      const other = makers.get(name);
      if (other !== undefined) duplicate(name, label(other), label(node));
      if (own.has(name)) duplicate(name, `an input or initializer of ${where}`, label(node));
      makers.set(name, node);
    }
  }
  const known = (name: string): boolean => own.has(name) || makers.has(name) || outer.has(name);
  for (const node of nodes) {
    for (const name of node.inputs) if (name !== '' && !known(name)) undefinedValue(name, `${label(node)} reads`);
  }
  for (const name of outputs) if (!known(name)) undefinedValue(name, `${where} has the output`);
  const scope = new Set([...outer, ...own, ...makers.keys()]);
  for (const node of nodes) for (const s of subgraphs(node)) checkGraph(s.graph, scope, `"${s.attr}" of ${label(node)}`);
  return inOrder(nodes, makers, where);
}

/** The same array where it is in order already, which is nearly always. */
function inOrder(nodes: Node[], makers: ReadonlyMap<string, Node>, where: string): Node[] {
  const seen = new Set<Node>();
  const sorted = nodes.every((n) => {
    const ready = uses(n).every((name) => !makers.has(name) || seen.has(makers.get(name)!));
    seen.add(n);
    return ready;
  });
  if (sorted) return nodes;
  const result = topological(nodes);
  if ('order' in result) return result.order;
  const names = result.cycle.slice(0, 8).map(label);
  const more = result.cycle.length > 8 ? `, and ${result.cycle.length - 8} more` : '';
  return fail(
    'cyclic-graph',
    `${where} has a cycle: ${names.join(' ← ')}${more} ← ${names[0]}`,
    'an ONNX graph has no cycles; export the model again',
  );
}

function duplicate(name: string, first: string, second: string): never {
  return fail(
    'duplicate-value',
    `the value "${name}" is defined twice: by ${first} and by ${second}`,
    'an ONNX graph defines every value once; export the model again',
  );
}

function undefinedValue(name: string, who: string): never {
  return fail(
    'undefined-value',
    `${who} "${name}", which nothing defines`,
    'the file is damaged or was cut out of a larger graph; export the model again',
  );
}

/** Names that sparse initializers define. */
function sparseNames(graph: Graph): string[] {
  return fieldsOf(graph.unknown, SPARSE_INITIALIZER).map((bytes) => decode('SparseTensor', bytes).values?.name ?? '');
}
