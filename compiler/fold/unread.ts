/** Drops what an application left without readers. */
import type { Model, Node } from '../graph/types.ts';
import { allNodes } from '../graph/walk.ts';
import type { Site, Sites } from '../sites.ts';

/** Drops originals that nobody reads any more. */
export function dropUnread(model: Model, names: ReadonlySet<string>): Model {
  const read = new Set([...allNodes(model.graph)].flatMap(({ node }) => node.inputs));
  for (const name of names) if (!read.has(name) && !model.graph.outputs.some((o) => o.name === name)) model.graph.initializers.delete(name);
  return model;
}

/** Drops what only the old nodes of regions computed, with its sites and weights. */
export function withoutDead(
  { model, sites }: { readonly model: Model; readonly sites: Sites },
  regions: readonly Site[],
  now: (n: Node) => Node,
): { readonly model: Model; readonly sites: Sites } {
  const { graph } = model;
  const candidates = new Set(regions.flatMap((r) => r.nodes.map(now)));
  const read = new Set(graph.outputs.map((o) => o.name));
  const own = new Set(graph.nodes);
  for (const { node: n } of allNodes(graph)) if (!own.has(n)) for (const i of n.inputs) read.add(i);
  const gone = new Set<Node>();
  for (const n of graph.nodes.toReversed()) {
    if (candidates.has(n) && !n.outputs.some((o) => read.has(o))) gone.add(n);
    else for (const i of n.inputs) read.add(i);
  }
  const initializers = new Map([...graph.initializers].filter(([name]) => read.has(name)));
  const region = new Set(regions.map((r) => r.id));
  const kept = sites.sites.flatMap((s) => {
    const nodes = s.nodes.filter((n) => !gone.has(n));
    if (region.has(s.id)) return [{ ...s, nodes }];
    return s.nodes.length > 0 && nodes.length < s.nodes.length ? [] : [s];
  });
  const ids = new Set(kept.map((s) => s.id));
  return {
    model: { ...model, graph: { ...graph, nodes: graph.nodes.filter((n) => !gone.has(n)), initializers } },
    sites: { ...sites, sites: kept, edges: sites.edges.filter((e) => ids.has(e.from) && ids.has(e.to)) },
  };
}
