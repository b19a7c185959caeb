/** The names that a model really has: for completion, and for what a dead selection may have meant. */
import { distance } from 'fastest-levenshtein';
import type { Bound } from './workspace.ts';

/** Blocks of one kind as one pattern: `layers.3.mlp.up` is `layers.*.mlp.up`. */
export const collapsed = (path: string): string => path.replace(/(^|\.)\d+(?=\.|$)/g, '$1*');

/** Patterns and paths with the number of sites that they match: repeated blocks first, then every path. */
export function paths(b: Bound): ReadonlyMap<string, number> {
  const out = new Map<string, number>();
  const add = (p: string): void => void out.set(p, (out.get(p) ?? 0) + 1);
  for (const s of b.sites.sites) add(collapsed(s.path));
  for (const s of b.sites.sites) if (collapsed(s.path) !== s.path) add(s.path);
  return out;
}
/** Roles and memberships with the number of sites. */
export function rolesOf(b: Bound): ReadonlyMap<string, number> {
  const out = new Map<string, number>();
  for (const s of b.sites.sites)
    for (const r of new Set([s.role, ...s.members, ...s.members.map((m) => m.split('.')[0] ?? m)])) out.set(r, (out.get(r) ?? 0) + 1);
  return out;
}
/** Operator types with the number of sites. */
export function opsOf(b: Bound): ReadonlyMap<string, number> {
  const out = new Map<string, number>();
  for (const s of b.sites.sites) for (const op of new Set(s.nodes.map((n) => n.op))) out.set(op, (out.get(op) ?? 0) + 1);
  return out;
}
export const inputsOf = (b: Bound): ReadonlyMap<string, number> => new Map(b.model.graph.inputs.map((i) => [i.name, 1]));
export const outputsOf = (b: Bound): ReadonlyMap<string, number> => new Map(b.model.graph.outputs.map((i) => [i.name, 1]));

/** The strings that a selector of this name can be given. */
export function stringsFor(b: Bound, selector: string): ReadonlyMap<string, number> {
  if (selector === 'path') return paths(b);
  if (selector === 'op') return opsOf(b);
  if (selector === 'input') return inputsOf(b);
  return selector === 'output' ? outputsOf(b) : new Map();
}

/** The nearest few of what is there, for what is not. A path is compared from its end too, since leading names differ between exporters. */
export function nearestOf(wanted: string, there: Iterable<string>, few = 3): string[] {
  const leaf = (p: string): string => p.slice(p.lastIndexOf('.') + 1);
  const cost = (p: string): number => distance(p, wanted) + 3 * distance(leaf(p), leaf(wanted));
  return [...there]
    .map((p) => [p, cost(p)] as const)
    .filter(([p, c]) => c <= 2 * Math.max(wanted.length, p.length))
    .sort((a, b) => a[1] - b[1])
    .slice(0, few)
    .map(([p]) => p);
}
