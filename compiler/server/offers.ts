/** What completion offers: names of the language, of the recipe and its packages, and of the model where one is bound. */
import type { CompletionItem, CompletionItemKind } from 'vscode-languageserver-types';
import { type Entry, kinds, namesOf, portNames, roles, selectors } from '../catalog/index.ts';
import type { Param, Schema } from '../schema.ts';
import { choices, docOf, paramDoc } from './builtin.ts';
import { rolesOf } from './real.ts';
import { paramsOf, recipeOf, surface, usedFile, written } from './symbols.ts';
import { type Callee, kindsFor, takes, type Want } from './want.ts';
import type { Scan } from './words.ts';
import type { Bound, Document, Workspace } from './workspace.ts';

/** Numbers of the protocol; an enum would be code of a package that the browser does not need. */
const kind = {
  keyword: 14,
  function: 3,
  property: 10,
  value: 12,
  enum: 20,
  class: 7,
  variable: 6,
  module: 9,
  unit: 11,
  file: 17,
  type: 25,
} as const satisfies Record<string, CompletionItemKind>;
type Kind = keyof typeof kind;

export interface Place {
  readonly ws: Workspace;
  readonly d: Document;
  readonly before: Scan;
  readonly bound: Bound | undefined;
  /** Nothing but spaces stands before it on its line. */
  readonly fresh: boolean;
}
export type Item = Omit<CompletionItem, 'kind'> & { readonly kind: CompletionItemKind };
export const item = (label: string, k: Kind, detail?: string, doc?: string, insert?: string): Item => ({
  label,
  kind: kind[k],
  ...(detail ? { detail } : {}),
  ...(doc ? { documentation: { kind: 'markdown', value: doc } } : {}),
  ...(insert ? { insertText: insert } : {}),
});

export const words = (all: readonly string[], detail?: string): Item[] => all.map((w) => item(w, 'keyword', detail));

export const entries = (of: Entry['kind']): Item[] =>
  namesOf(of)
    .filter((e) => !e.planned)
    .map((e) =>
      item(
        e.name,
        of === 'format' || of === 'scheme' ? 'type' : 'function',
        `${of}: ${firstSentence(e.doc)}`,
        docOf({ kind: 'entry', entry: e }),
      ),
    );
const firstSentence = (doc: string): string => /^.*?(?:[.:](?=\s|$)|$)/.exec(doc)?.[0].replace(/[.:]$/, '') ?? doc;

export function keys(p: Place, callee: Callee, given: readonly string[]): Item[] {
  if (callee.kind === 'recipe') {
    const recipe = recipeOf(p.ws, p.d, callee);
    const open = recipe ? paramsOf(recipe).filter((x) => !given.includes(x.declaration.token.image)) : [];
    return open.map((x) => item(x.declaration.token.image, 'property', written(x), undefined, `${x.declaration.token.image}: `));
  }
  return schemaKeys(callee.params, callee.name, given);
}
const schemaKeys = (schema: Schema, of: string, given: readonly string[]): Item[] =>
  Object.entries(schema)
    .filter(([name, param]) => !given.includes(name) && !param.aliases?.some((a) => given.includes(a)))
    .map(([name, param]) => item(name, 'property', param.doc, paramDoc(name, of, param), `${name}: `));

/** Values of a parameter: its words, names of its kind, and the recipe's own names. */
export function values(p: Place, param: Param<unknown>): Item[] {
  const free = takes(param, 'expression');
  const own = locals(p, (x) => x.kind !== 'use' && x.kind !== 'recipe');
  const named = free ? [...entries('function'), ...entries('metric'), ...entries('objective')] : kindsFor(param).flatMap((k) => entries(k));
  const others = free
    ? kinds()
        .filter((k) => !['role', 'function', 'metric', 'objective'].includes(k))
        .flatMap(entries)
    : [];
  const picks = free || takes(param, 'selection') ? selections(p) : [];
  return [...choices(param).map((c) => item(c, 'enum', param.doc)), ...own, ...named, ...picks, ...others];
}

function selections(p: Place): Item[] {
  const real = p.bound && rolesOf(p.bound);
  const listed = real
    ? [...real].map(([name, n]) =>
        item(name, 'class', `${n} ${n === 1 ? 'site' : 'sites'}: ${roles.get(name.split('.')[0] ?? name)?.doc ?? ''}`),
      )
    : [...roles.values()].filter((r) => !r.planned).map((r) => item(r.name, 'class', r.doc, docOf({ kind: 'role', role: r })));
  const functions = selectors.map((s) => item(s.name, 'function', s.doc, docOf({ kind: 'selector', selector: s })));
  return [...listed, ...functions, ...imported(p, 'let'), ...words(['not', 'any'])];
}
export function ports(p: Place): Item[] {
  const real = p.bound && new Set(p.bound.sites.sites.flatMap((s) => Object.keys(s.ports)));
  return [...portNames].filter((n) => !real || real.has(n)).map((n) => item(n, 'property', 'port', docOf({ kind: 'port', name: n })));
}

const described: Readonly<Record<string, string>> = {
  param: 'parameter',
  let: 'let',
  variable: 'variable',
  schedule: 'schedule',
  use: 'package',
  recipe: 'recipe',
};
/** Names that this recipe and its file declare; those below the cursor too, since order does not matter. */
export function locals(p: Place, fits: (x: Scan['declarations'][number]) => boolean): Item[] {
  const here = p.before.inRecipe;
  return p.d.scan.declarations
    .filter((x) => fits(x) && (x.recipe === undefined || x.recipe === here))
    .map((x) => item(x.token.image, 'variable', described[x.kind]));
}
function imported(p: Place, what: 'let' | 'recipe'): Item[] {
  return p.d.scan.declarations.flatMap((u) => {
    const alias = u.token.image;
    const file = u.kind === 'use' ? usedFile(p.ws, p.d, alias) : undefined;
    return (file ? exported(p.ws, file) : [])
      .filter((x) => x.what === what)
      .map((x) => item(`${alias}.${x.name}`, what === 'let' ? 'variable' : 'function', x.detail));
  });
}
interface Exported {
  readonly name: string;
  readonly what: 'let' | 'recipe';
  readonly detail: string;
}
/** Names that a file gives to those who use it. */
function exported(ws: Workspace, file: Document): Exported[] {
  return surface(ws, file).flatMap((d) =>
    d.scan.declarations.flatMap((x): Exported[] => {
      const name = x.token.image;
      const title = /"((?:[^"\\]|\\.)*)"\s*version/.exec(d.text.slice(x.from, x.from + 400))?.[1];
      if (x.kind === 'recipe') return [{ name, what: 'recipe', detail: title ?? 'recipe' }];
      return x.recipe === undefined && (x.kind === 'let' || x.kind === 'variable') ? [{ name, what: 'let', detail: 'let' }] : [];
    }),
  );
}
export function recipes(p: Place): Item[] {
  const here = p.before.inRecipe;
  const own = surface(p.ws, p.d).flatMap((d) =>
    d.scan.declarations
      .filter((x) => x.kind === 'recipe' && (x.recipe !== here || d !== p.d))
      .map((x) => item(x.token.image, 'function', 'recipe')),
  );
  return [...own, ...imported(p, 'recipe'), ...locals(p, (x) => x.kind === 'use')];
}
export function members(p: Place, want: Extract<Want, { at: 'member' }>): Item[] {
  const file = usedFile(p.ws, p.d, want.of);
  if (file)
    return exported(p.ws, file)
      .filter((x) => x.what === 'recipe' || !want.recipe)
      .map((x) => item(x.name, x.what === 'let' ? 'variable' : 'function', x.detail));
  const role = roles.get(want.of);
  if (!role)
    return p.d.scan.declarations.some((x) => x.kind === 'schedule' && x.token.image === want.of)
      ? [item('step', 'property'), item('range', 'property')]
      : [];
  const real = p.bound && rolesOf(p.bound);
  return [...new Set([...Object.keys(role.members), ...role.ports])].map((m) => {
    const n = real?.get(`${role.name}.${m}`);
    return item(m, 'property', n ? `${n} ${n === 1 ? 'site' : 'sites'}` : `of ${role.name}`);
  });
}
