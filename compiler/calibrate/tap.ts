/** Taps: a copy of the model whose outputs are the values to be observed. ONNX Runtime then computes only what they need. */
import { fail } from '../../grammar/diagnostics.ts';
import { bitsOf } from '../graph/dtype.ts';
import type { Attr, Dim, Graph, Model, Node, ValueInfo } from '../graph/types.ts';
import type { Value } from '../host.ts';

/**
 * The model with `values` as its only outputs. Graph inputs need no tap (they are the feeds).
 * Errors: tap-unknown (no such value), tap-subgraph (made inside an If, Loop or Scan body), tap-constant (an initializer).
 */
export function tapped(model: Model, values: readonly string[]): Model {
  const { graph } = model;
  const nodes = graph.nodes.map((n) => tapScan(n, values));
  const made = new Set(nodes.flatMap((n) => n.outputs));
  const known = new Map(graph.outputs.map((o) => [o.name, o]));
  const outputs = values.map((name): ValueInfo => {
    if (!made.has(name) && !known.has(name)) refuse(graph, name);
    return known.get(name) ?? graph.values.get(name) ?? { name };
  });
  return { ...model, graph: { ...graph, nodes, outputs } };
}

/** A Scan that also yields, stacked over its steps, the values of its body that are asked for. */
function tapScan(n: Node, values: readonly string[]): Node {
  const attr = n.attrs.get('body');
  if (n.op !== 'Scan' || attr?.type !== 'graph') return n;
  const body = attr.value;
  const asked = values.filter((v) => body.nodes.some((k) => k.outputs.includes(v)));
  if (asked.length === 0) return n;
  // the stacked value takes the name, so the value of one step has another
  const rename = (v: string) => (asked.includes(v) ? `${v}/step` : v);
  const inner: Graph = {
    ...body,
    nodes: body.nodes.map((k) => ({ ...k, inputs: k.inputs.map(rename), outputs: k.outputs.map(rename) })),
    outputs: [...body.outputs.map((o) => ({ ...o, name: rename(o.name) }))],
  };
  for (const v of asked) {
    const out = `${v}/each`;
    inner.nodes.push({ name: out, op: 'Identity', domain: '', inputs: [rename(v)], outputs: [out], attrs: new Map() });
    inner.outputs.push({ name: out, dtype: body.values.get(v)?.dtype ?? body.outputs.find((o) => o.name === v)?.dtype ?? 'float32' });
  }
  const attrs = new Map(n.attrs).set('body', { ...attr, value: inner });
  for (const name of ['scan_output_directions', 'scan_output_axes']) {
    const list = attrs.get(name);
    if (list?.type === 'ints') attrs.set(name, { ...list, value: [...list.value, ...asked.map(() => 0)] });
  }
  return { ...n, outputs: [...n.outputs, ...asked], attrs };
}

function refuse(graph: Graph, name: string): never {
  if (graph.initializers.has(name)) fail('tap-constant', `"${name}" is a constant, there is nothing to observe`);
  const owner = graph.nodes.find((n) => bodies(n).some((g) => makes(g, name)));
  if (owner)
    fail(
      'tap-subgraph',
      `"${name}" is computed inside the body of ${owner.op} "${owner.name}", it cannot be observed from outside`,
      'keep that part in float, or use a dynamic type there',
    );
  return fail('tap-unknown', `the graph has no value "${name}"`);
}

const bodies = (node: Node): readonly Graph[] =>
  [...node.attrs.values()].flatMap((a: Attr) => (a.type === 'graph' ? [a.value] : a.type === 'graphs' ? a.value : []));
const makes = (graph: Graph, name: string): boolean =>
  graph.inputs.some((i) => i.name === name) || graph.nodes.some((n) => n.outputs.includes(name) || bodies(n).some((g) => makes(g, name)));

/**
 * Cuts the values into passes, in graph order, so that the bytes of one pass's taps for one batch stay below `limit` where they can.
 * Sizes are estimates: symbols get the sizes that the first batch gives them, unknown ones the largest of these. The shapes come from `graph.values`.
 */
export function passes(graph: Graph, values: readonly string[], feeds: Readonly<Record<string, Value>>, limit: number): string[][] {
  const symbols = new Map<string, number>();
  for (const input of graph.inputs)
    input.shape?.forEach((dim, axis) => {
      const size = feeds[input.name]?.shape[axis];
      if (typeof dim === 'string' && size !== undefined) symbols.set(dim, size);
    });
  const largest = Math.max(1, ...symbols.values());
  const steps = graph.nodes.filter((n) => n.op === 'Scan').flatMap(bodies);
  const stacked = steps
    .flatMap((g) => [...g.values.values(), ...g.outputs])
    .map((v) => ({ ...v, ...(v.shape ? { shape: ['steps', ...v.shape] } : {}) }));
  const infos = new Map([...stacked, ...graph.values.values(), ...graph.outputs].map((v) => [v.name, v]));
  const bytes = (name: string): number => {
    const info = infos.get(name);
    const sizes = (info?.shape ?? []).map((d) => estimate(d, symbols, largest));
    return (sizes.reduce((a, b) => a * b, 1) * bitsOf(info?.dtype ?? 'float32')) / 8;
  };
  const order = new Map(graph.nodes.flatMap((n) => n.outputs).map((name, i) => [name, i]));
  const sorted = [...values].sort((a, b) => (order.get(a) ?? -1) - (order.get(b) ?? -1));
  const out: string[][] = [];
  let room = 0;
  for (const name of sorted) {
    const size = bytes(name);
    if (out.length === 0 || size > room) {
      out.push([]);
      room = limit;
    }
    out.at(-1)!.push(name);
    room -= size;
  }
  return out;
}

/** The size of a dimension: a number, a symbol, or a sum of products of these (differences are taken as sums, which is enough for a limit). */
function estimate(dim: Dim, symbols: ReadonlyMap<string, number>, unknown: number): number {
  if (typeof dim === 'number') return dim;
  const factor = (f: string): number => (/^\d+$/.test(f) ? Number(f) : (symbols.get(f) ?? unknown));
  const product = (term: string): number =>
    symbols.get(term) ??
    term
      .split('*')
      .map(factor)
      .reduce((a, b) => a * b, 1);
  return symbols.get(dim) ?? dim.split(/ [+-] /).reduce((sum, term) => sum + product(term), 0);
}
