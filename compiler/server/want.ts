/** What may stand at a place of a recipe, known from what stands before it alone: so it works in a text that is half written. */
import { type Entry, find, kindsOf, selectorOf, statements } from '../catalog/index.ts';
import { either, expression, type NameKind, type Param, ref, type Schema, selection } from '../schema.ts';

/** What takes arguments or fields. */
export type Callee =
  | { readonly kind: 'known'; readonly name: string; readonly params: Schema; readonly positional: readonly string[] }
  /** A recipe of this file, or of the file that is used as `of`. */
  | { readonly kind: 'recipe'; readonly name: string; readonly of?: string };

export type Want =
  | { readonly at: 'item' | 'statement' | 'declare' | 'recipe' | 'variable' | 'nothing' }
  /** The name behind `transform`, `solve`, `target`. */
  | { readonly at: 'name'; readonly of: NameKind }
  /** A key of a record. */
  | { readonly at: 'key'; readonly callee: Callee; readonly given: readonly string[] }
  /** The start of an argument: its name, or its value. */
  | { readonly at: 'arg'; readonly callee: Callee; readonly given: readonly string[]; readonly param: Param<unknown> }
  | { readonly at: 'value'; readonly param: Param<unknown>; readonly ports?: boolean; readonly key?: string }
  /** Behind a dot. */
  | { readonly at: 'member'; readonly of: string; readonly recipe: boolean }
  /** An operand is complete: these words or marks may follow, and operators. */
  | { readonly at: 'after'; readonly words: readonly string[] };

export const anything = expression({ doc: '' });
export const sites = selection({ doc: '' });
const number = either<unknown>([ref('format', { doc: '' }), ref('scheme', { doc: '' })], { doc: '' });
const format = ref('format', { doc: '' });
const value = (param: Param<unknown>, ports = false): Want => ({ at: 'value', param, ...(ports ? { ports } : {}) });

/** How statements read: what stands first, what each connective asks for, and what may follow a complete operand. */
interface Shape {
  readonly first: Want;
  readonly after?: Readonly<Record<string, Want>>;
  /** Fields that its record may have beside those of the name that it speaks of. */
  readonly fields?: Schema;
}
const declare: Want = { at: 'declare' };
const named = (of: NameKind): Want => ({ at: 'name', of });
export const shapes: Readonly<Record<string, Shape>> = {
  use: { first: { at: 'nothing' }, after: { as: declare } },
  recipe: { first: declare, after: { version: { at: 'nothing' } } },
  param: { first: declare, after: { '=': value(anything), in: value(anything) } },
  let: { first: declare, after: { '=': value(anything), in: value(anything), each: value(sites) } },
  doc: { first: { at: 'nothing' } },
  schedule: { first: declare, fields: statements.schedule },
  calibrate: { first: value(ref('source', { doc: '' })), fields: statements.calibrate },
  transform: { first: named('transform'), after: { on: value(sites) }, fields: statements.transform },
  quantize: { first: value(sites, true), after: { of: value(sites), as: value(number) }, fields: statements.quantize },
  prune: { first: value(sites), after: { as: value(format) }, fields: statements.prune },
  solve: { first: named('solver'), after: { on: value(sites) }, fields: statements.solve },
  search: { first: { at: 'variable' }, fields: statements.search },
  keep: { first: value(sites), after: { at: value(format) } },
  apply: { first: { at: 'recipe' }, after: { to: value(sites) } },
  target: { first: named('target'), fields: {} },
  evaluate: { first: value(anything), fields: statements.evaluate },
  require: { first: value(anything) },
};

/** Kinds of names that a parameter takes; empty where any may stand. */
export function kindsFor(p: Param<unknown>): readonly NameKind[] {
  if (p.is.kind === 'ref') return [p.is.of];
  return p.is.kind === 'either' ? p.is.of.flatMap(kindsFor) : [];
}
/** Does the parameter take something of this kind? */
export const takes = (p: Param<unknown>, kind: Param<unknown>['is']['kind']): boolean =>
  p.is.kind === kind || (p.is.kind === 'either' && p.is.of.some((x) => takes(x, kind)));

/** The parameter that a key means, by its name or another spelling. */
export const paramOf = (schema: Schema, key: string): Param<unknown> | undefined =>
  Object.hasOwn(schema, key) ? schema[key] : Object.values(schema).find((p) => p.aliases?.includes(key));

/** The catalogued thing that a word means where a parameter stands. */
export function entryFor(name: string, p: Param<unknown>): Entry | undefined {
  for (const k of kindsFor(p)) {
    const e = find(k, name);
    if (e) return e;
  }
  if (!takes(p, 'expression')) return undefined;
  const known = kindsOf(name);
  const kind = (['function', 'metric', 'objective'] as const).find((k) => known.includes(k)) ?? known[0];
  return kind && find(kind, name);
}

/** What a name in front of a parenthesis takes. */
export function calleeFor(name: string, p: Param<unknown>): Callee | undefined {
  const entry = entryFor(name, p);
  if (entry) return { kind: 'known', name, params: entry.params, positional: entry.positional ?? [] };
  const selector = takes(p, 'selection') || takes(p, 'expression') ? selectorOf.get(name) : undefined;
  return selector && { kind: 'known', name, params: selector.params, positional: selector.positional };
}
