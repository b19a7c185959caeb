/** The transforms of a plan in the order in which they run, each on the edges or sites that its statement selects. */
import type { Transform } from '../define.ts';
import type { Statement } from '../recipe.ts';
import type { Site, Sites } from '../sites.ts';
import { deciderOf, type Scoped } from './apply.ts';
import { dataOf, failAt, mapFields, truth } from './bind.ts';
import { withDefaults } from './resolve.ts';
import { type Ground, select } from './select.ts';
import type { PlannedTransform } from './types.ts';

type Of = Scoped<Extract<Statement, { verb: 'transform' }>>;

/** The sites with the roles that transforms give them: `migrated`, `lowrank.residual`. */
export function marked(sites: Sites, planned: readonly PlannedTransform[], transforms: readonly Transform[]): Sites {
  const roles = new Map<string, string[]>();
  for (const t of planned) {
    const role = transforms.find((d) => d.name === t.kind)?.marks;
    if (role)
      for (const s of new Set([...t.edges.map((e) => e.to.id), ...t.sites.map((x) => x.id)])) roles.set(s, [...(roles.get(s) ?? []), role]);
  }
  if (roles.size === 0) return sites;
  return {
    ...sites,
    sites: sites.sites.map((s) => (roles.has(s.id) ? { ...s, members: [...new Set([...s.members, ...roles.get(s.id)!])] } : s)),
  };
}

/** Kinds that are one and the same map: two of them on one edge are an error. */
const kin = (kind: string): string => (kind === 'smooth' || kind === 'dilate' ? 'scale' : kind);

/**
 * Plans the transforms. They run by stage (rule 1), those of one stage in the order of the recipe; `after: kind` puts one behind all of that kind.
 * Errors: `planned` (a kind that is not built), `two-transforms`, `cut-transform`, `dead-selection`.
 */
export function planTransforms(statements: readonly Of[], ground: Ground, transforms: readonly Transform[]): PlannedTransform[] {
  const sites = new Map(ground.sites.sites.map((s) => [s.id, s]));
  const found = statements.flatMap((s) => {
    const { statement, scope, within } = s;
    const def = transforms.find((t) => t.name === statement.kind);
    if (!def) return failAt('planned', `\`transform ${statement.kind}\` is not built yet.`, statement.span);
    const later = def.later?.find((k) => statement.fields[k]);
    if (later) failAt('planned', `\`${later}\` of \`transform ${statement.kind}\` is not built yet.`, statement.fields[later]!.span);
    if (statement.when && !truth(statement.when, scope)) return [];
    const picked = select(statement.on, ground, within);
    // An optional selection that matches nothing.
    if (picked.sites.length === 0) return [];
    const inside = new Set(picked.sites);
    const edges = picked.edges.map((e) => ({ from: sites.get(e.from)!, to: sites.get(e.to)!, tied: e.tied === true }));
    for (const e of edges)
      if (!inside.has(e.from) || !inside.has(e.to))
        failAt(
          'cut-transform',
          `The sites that the recipe is applied to cut ${e.from.path} -> ${e.to.path} in two.`,
          statement.span,
          'Apply it to both ends, or to neither.',
        );
    const { after, ...fields } = Object.fromEntries(Object.entries(mapFields(statement.fields, scope)).map(([k, v]) => [k, dataOf(v)]));
    const args = withDefaults(def.params, fields);
    const behind = after === undefined ? undefined : typeof after === 'string' ? after : (after as { name: string }).name;
    const planned: PlannedTransform = { kind: statement.kind, args, by: deciderOf(s), edges, sites: edges.length ? [] : picked.sites };
    return [{ planned, stage: def.stage({ edges: edges.length }), behind }];
  });
  onceEach(found.map((f) => f.planned));
  const stageOf = (f: (typeof found)[number]): number => {
    const kinds = found.filter((g) => g !== f && g.planned.kind === f.behind);
    return kinds.length ? Math.max(...kinds.map((g) => g.stage)) + 0.5 : f.stage;
  };
  return found
    .map((f, i) => ({ f, i, stage: stageOf(f) }))
    .sort((a, b) => a.stage - b.stage || a.i - b.i)
    .map(({ f }) => f.planned);
}

function onceEach(list: readonly PlannedTransform[]): void {
  const taken = new Map<string, PlannedTransform>();
  for (const t of list)
    for (const e of t.edges) {
      const key = `${kin(t.kind)}\n${edgeName(e)}`;
      const other = taken.get(key);
      if (other && other !== t)
        failAt('two-transforms', `Two transforms of one kind on ${edgeName(e)}.`, t.by.span, 'Narrow one of the selections.', {
          related: [{ message: 'the other', span: other.by.span }],
        });
      taken.set(key, t);
    }
}
const edgeName = (e: { readonly from: Site; readonly to: Site }): string => `${e.from.path} -> ${e.to.path}`;
