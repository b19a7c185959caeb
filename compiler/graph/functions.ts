/** Inlining of model-local functions, so that roles see one flat graph. */
import { mapGraphs } from './edit.ts';
import type { Attr, Func, Graph, Model, Node } from './types.ts';

const MAX_DEPTH = 64;

/**
 * The model with every call of a model-local function replaced by its body. A function that was written for another version of an
 * operator set than the model's is left as a call. Names: `call/inner`. The source is untouched.
 */
export function inlineFunctions(model: Model): Model {
  if (model.functions.length === 0) return model;
  const opsets = new Map(model.opsets);
  const table = new Map<string, Func>();
  for (const f of model.functions) {
    const fits = [...f.opsets].every(([domain, version]) => (opsets.get(domain) ?? version) === version);
    if (!fits) continue;
    for (const [domain, version] of f.opsets) opsets.set(domain, version);
    table.set(key(f.domain, f.name, f.overload), f);
  }
  const graph = inGraph(model.graph, table, 0);
  const left = model.functions.filter((f) => !table.has(key(f.domain, f.name, f.overload)));
  return { ...model, opsets, graph, functions: left };
}

const key = (domain: string, name: string, overload = ''): string => `${domain}::${name}::${overload}`;

const inGraph = (g: Graph, table: ReadonlyMap<string, Func>, depth: number): Graph => ({ ...g, nodes: inNodes(g.nodes, table, depth) });

function inNodes(nodes: readonly Node[], table: ReadonlyMap<string, Func>, depth: number): Node[] {
  return nodes.flatMap((n) => {
    const f = depth < MAX_DEPTH ? table.get(key(n.domain, n.op, n.overload)) : undefined;
    if (f !== undefined) return inNodes(body(f, n), table, depth + 1);
    if (![...n.attrs.values()].some((a) => a.type === 'graph' || a.type === 'graphs')) return [n];
    return [
      { ...n, attrs: new Map([...n.attrs].map(([name, a]): [string, Attr] => [name, mapGraphs(a, (g) => inGraph(g, table, depth))])) },
    ];
  });
}

/** The nodes of one call, with the call's values and attributes in place of the function's. */
function body(f: Func, call: Node): Node[] {
  const prefix = call.name || call.outputs.find((o) => o !== '') || f.name;
  const outside = new Map<string, string>(f.inputs.map((name, i) => [name, call.inputs[i] ?? '']));
  const passed: Node[] = [];
  f.outputs.forEach((name, i) => {
    const target = call.outputs[i] ?? '';
    if (target === '') return;
    // an output that is an input, or that is given twice, is copied
    if (!outside.has(name)) outside.set(name, target);
    else
      passed.push({
        name: `${prefix}/${name}`,
        op: 'Identity',
        domain: '',
        inputs: [outside.get(name)!],
        outputs: [target],
        attrs: new Map(),
      });
  });
  const rename = (name: string): string => (name === '' ? '' : (outside.get(name) ?? `${prefix}/${name}`));
  const bind = (attrs: ReadonlyMap<string, Attr>): Map<string, Attr> =>
    new Map(
      [...attrs].flatMap(([name, a]): [string, Attr][] => {
        const value = a.type === 'ref' ? (call.attrs.get(a.ref) ?? f.defaults.get(a.ref)) : mapGraphs(a, graph);
        return value === undefined ? [] : [[name, value]];
      }),
    );
  const node = (n: Node): Node => ({
    ...n,
    name: `${prefix}/${n.name || n.op}`,
    inputs: n.inputs.map(rename),
    outputs: n.outputs.map(rename),
    attrs: bind(n.attrs),
  });
  const graph = (g: Graph): Graph => ({
    ...g,
    nodes: g.nodes.map(node),
    inputs: g.inputs.map((v) => ({ ...v, name: rename(v.name) })),
    outputs: g.outputs.map((v) => ({ ...v, name: rename(v.name) })),
    initializers: new Map([...g.initializers].map(([name, t]) => [rename(name), t])),
    values: new Map(),
  });
  return [...f.nodes.map(node), ...passed];
}
