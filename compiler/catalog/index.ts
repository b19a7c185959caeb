/** Every name that the language knows, by kind: built, or planned. A built name makes a planned one of its kind dead. */
import { built } from './built.ts';
import type { Entry, Kind } from './entry.ts';
import * as schedules from './planned/schedules.ts';
import * as solvers from './planned/solvers.ts';
import { transforms } from './planned/transforms.ts';
import * as types from './planned/types.ts';
import { plannedRecipes } from './planned/recipes.ts';
import { roles } from './roles.ts';

export type { Entry, Kind } from './entry.ts';
export { plannedRecipes } from './planned/recipes.ts';
export { portNames, type RoleFacts, roles } from './roles.ts';
export { type Selector, selectorOf, selectors } from './selectors.ts';
export * as statements from './statements.ts';

const plans: readonly Entry[] = [
  ...transforms,
  ...types.formats,
  ...types.laws,
  ...types.matrices,
  ...solvers.solvers,
  ...solvers.objectives,
  ...solvers.searches,
  ...solvers.allocations,
  ...solvers.evaluations,
  ...schedules.samplers,
  ...schedules.sources,
  ...schedules.domains,
  ...schedules.functions,
];

const byKind = new Map<Kind, Map<string, Entry>>();
for (const e of [...plans, ...built]) byKind.set(e.kind, (byKind.get(e.kind) ?? new Map()).set(e.name, e));

/** A name of one kind; undefined where the catalogue has none. */
export const find = (kind: Kind, name: string): Entry | undefined => byKind.get(kind)?.get(name);
/** All names of a kind, in the order of the catalogue. */
export const namesOf = (kind: Kind): readonly Entry[] => [...(byKind.get(kind)?.values() ?? [])];
export const kinds = (): readonly Kind[] => [...byKind.keys()];
/** Kinds that a word names, for messages and for words without a context. */
export const kindsOf = (name: string): readonly Kind[] => kinds().filter((k) => k !== 'role' && find(k, name) !== undefined);

/** Planned entries whose name has been built since: to be deleted. */
export const deadPlans = (): readonly Entry[] => plans.filter((p) => built.some((b) => b.kind === p.kind && b.name === p.name));

/** What the language knows and this version does not build, sorted. */
export function plannedNames(): readonly { readonly kind: Kind | 'recipe'; readonly name: string; readonly doc: string }[] {
  const open = [...byKind.values()].flatMap((m) => [...m.values()].filter((e) => e.planned));
  const absent = [...roles.values()].filter((r) => r.planned).map((r) => ({ kind: 'role' as const, name: r.name, doc: r.doc }));
  const recipes = Object.entries(plannedRecipes).map(([name, doc]) => ({ kind: 'recipe' as const, name: `std.${name}`, doc }));
  return [...open.map(({ kind, name, doc }) => ({ kind, name, doc })), ...absent, ...recipes].sort(
    (a, b) => a.kind.localeCompare(b.kind, 'en') || a.name.localeCompare(b.name, 'en'),
  );
}
