/** Finds every site of a model: runs the roles over each graph, then names, groups and connects what they found. */
import type { Role } from '../define.ts';
import type { Model, Node } from '../graph/types.ts';
import { roles as allRoles } from '../roles/index.ts';
import type { Miss, Site, Sites } from '../sites.ts';
import { findBlocks } from './blocks.ts';
import type { Draft, Known, Tag } from './draft.ts';
import { findEdges } from './edges.ts';
import { nameDrafts } from './paths.ts';
import { tiedGroups } from './tied.ts';
import { allViews, type View } from './view.ts';

/** A draft with the graph that it was found in and the memberships that it got. */
export interface Placed {
  readonly draft: Draft;
  readonly view: View;
  readonly members: readonly string[];
}

/** Roles in an order in which each comes after those it builds on. */
function inOrder(roles: readonly Role[]): Role[] {
  const out: Role[] = [];
  const visit = (r: Role) => {
    if (out.includes(r)) return;
    for (const name of r.after ?? []) {
      const before = roles.find((x) => x.name === name);
      if (before) visit(before);
    }
    out.push(r);
  };
  for (const r of roles) visit(r);
  return out;
}

/** A weight of no elements has nothing to quantize. */
function withoutEmpty(found: ReturnType<Role['match']>): ReturnType<Role['match']> {
  const empty = found.drafts.filter((d) => d.ports['weight'] !== undefined && d.size === 0);
  if (!empty.length) return found;
  const misses = empty.map((d) => ({ role: d.role, node: d.nodes[0]!.name, why: 'its weight has no elements' }));
  return { ...found, drafts: found.drafts.filter((d) => !empty.includes(d)), misses: [...found.misses, ...misses] };
}

function matchView(v: View, roles: readonly Role[]): { drafts: Draft[]; misses: Miss[]; tags: Tag[] } {
  const drafts: Draft[] = [];
  const misses: Miss[] = [];
  const tags: Tag[] = [];
  const byRole = new Map<string, readonly Draft[]>();
  const byOutput = new Map<string, Draft>();
  const holders = new Map<string, Map<Node, Draft>>();
  const known: Known = {
    of: (role) => byRole.get(role) ?? [],
    yielding: (value) => byOutput.get(value),
    holding: (role, n) => holders.get(role)?.get(n),
  };
  for (const role of roles) {
    const found = withoutEmpty(role.match(v, known));
    byRole.set(role.name, found.drafts);
    holders.set(role.name, new Map(found.drafts.flatMap((d) => d.nodes.map((n) => [n, d] as const))));
    for (const d of found.drafts) {
      const output = d.nodes.at(-1)?.outputs[0];
      if (output && !byOutput.has(output)) byOutput.set(output, d);
    }
    drafts.push(...found.drafts);
    misses.push(...found.misses);
    tags.push(...(found.tags ?? []));
  }
  return { drafts, misses, tags };
}

/** Weights used by several sites, such as an embedding and the head that shares its table. */
function sharedWeights(placed: readonly Placed[]): Map<string, Placed[]> {
  const users = new Map<string, Placed[]>();
  for (const p of placed) {
    const w = p.draft.ports['weight'];
    if (w) users.set(w.value, [...(users.get(w.value) ?? []), p]);
  }
  return users;
}

/** All sites of a model whose values have been inferred (`Graph.values`). Linear in the size of the graph. */
export function findSites(model: Model, roles: readonly Role[] = allRoles): Sites {
  const ordered = inOrder(roles);
  const misses: Miss[] = [];
  const placed: Placed[] = [];
  const views = allViews(model);
  for (const view of views) {
    const found = matchView(view, ordered);
    misses.push(...found.misses);
    const members = new Map<Draft, string[]>();
    for (const t of found.tags) members.set(t.on, [...new Set([...(members.get(t.on) ?? []), t.member])]);
    const last = (d: Draft) => view.order(d.nodes.at(-1)!);
    const sorted = found.drafts.toSorted((a, b) => last(a) - last(b));
    for (const draft of sorted) placed.push({ draft, view, members: members.get(draft) ?? [] });
  }
  const shared = sharedWeights(placed);
  const { paths, blockOf } = nameDrafts(placed, shared);
  const id = (p: Placed) => `${p.draft.role}:${paths.get(p)!}`;
  const tied = tiedGroups(placed, (p) => paths.get(p)!);
  const sites = placed.map((p): Site => {
    const others = (shared.get(p.draft.ports['weight']?.value ?? '') ?? []).filter((q) => q !== p);
    const block = blockOf.get(p);
    const { role, ports, nodes, form, bias, facts, size } = p.draft;
    return {
      id: id(p),
      path: paths.get(p)!,
      role,
      members: p.members,
      graph: p.view.path,
      ports,
      nodes,
      form,
      ...(bias === undefined ? {} : { bias }),
      facts: others.length ? { ...facts, tied_weight: id(others[0]!) } : facts,
      tied: tied.get(p) ?? id(p),
      ...(block === undefined ? {} : { block }),
      size,
    };
  });
  const streams = sites.filter((s) => s.role === 'residual').map((s) => [s.ports['input']!.value, ...s.nodes.map((n) => n.outputs[0]!)]);
  return { sites, edges: views.flatMap((v) => findEdges(v, sites)), misses, streams, blocks: findBlocks(views[0]!, sites) };
}
