/** Equal Constant nodes become one: exporters write the same shape arithmetic hundreds of times. */
import type { Graph, Node } from '../graph/types.ts';
import { freeNames, subgraphs } from '../graph/walk.ts';

/** Largest constant that is compared, in bytes. */
const LIMIT = 64;

/** What a Constant node holds, as text; undefined for large ones and for kinds that are seldom. */
function contentOf(n: Node): string | undefined {
  if (n.op !== 'Constant' || n.domain !== '' || n.attrs.size !== 1) return undefined;
  const a = n.attrs.get('value');
  if (a?.type !== 'tensor' || a.value.source.kind !== 'bytes' || a.value.unknown) return undefined;
  const { bytes } = a.value.source;
  return bytes.length > LIMIT ? undefined : `${a.value.dtype}[${a.value.shape.join(',')}]${bytes.join()}`;
}

/** Merges the equal constants of a graph, in place; those that subgraphs or the graph's outputs name stay. */
export function mergeConstants(g: Graph): void {
  const named = new Set(g.outputs.map((v) => v.name));
  for (const n of g.nodes) for (const s of subgraphs(n)) for (const v of freeNames(s.graph)) named.add(v);
  const first = new Map<string, string>();
  const same = new Map<string, string>();
  g.nodes = g.nodes.filter((n) => {
    const out = n.outputs[0] ?? '';
    const content = named.has(out) ? undefined : contentOf(n);
    if (content === undefined) return true;
    const kept = first.get(content);
    if (kept === undefined) first.set(content, out);
    else same.set(out, kept);
    return kept === undefined;
  });
  for (const n of g.nodes) n.inputs = n.inputs.map((v) => same.get(v) ?? v);
}
