/** The public surface of a recipe package: names, parameters, defaults, domains; and what a change of it means for those who use it. */
import semver from 'semver';
import type { File, ParamDecl, RecipeDecl } from '../grammar/ast.ts';
import { parse } from '../grammar/parser.ts';
import { printNode } from '../grammar/printer.ts';
import type { Deprecation } from './catalog/deprecations.ts';

export interface ApiParam {
  readonly name: string;
  readonly default: string;
  /** Kind of the default: a number stays a number. */
  readonly kind: string;
  readonly domain?: string;
  /** The values of a domain that is a list. */
  readonly values?: readonly string[];
}
export interface ApiRecipe {
  readonly name: string;
  readonly title?: string;
  readonly version: string;
  readonly doc: readonly string[];
  readonly params: readonly ApiParam[];
  /** Its statements, canonical, without comments and docs. */
  readonly body: readonly string[];
}
export interface Api {
  readonly recipes: readonly ApiRecipe[];
  /** Names of values and selections that other files may use. */
  readonly lets: Readonly<Record<string, string>>;
  readonly deprecations: readonly Deprecation[];
  /** What the entry's recipes are also made of: the other files of the package, without comments. */
  readonly rest: string;
}

/** The surface of a package: `own` are the texts of its entry and of the files that it uses as `*`, in order; `rest` those of its other files. */
export function apiOf(own: readonly string[], path: string, deprecations: readonly Deprecation[] = [], rest: readonly string[] = []): Api {
  const files = own.map((t) => parse(t, path).ast);
  const items = files.flatMap((f) => f.items);
  const others = rest.map((t) => parse(t, path).ast);
  return {
    recipes: items.flatMap((i) => (i.kind === 'recipe' ? [recipeOf(i)] : [])),
    lets: Object.fromEntries(items.flatMap((i) => (i.kind === 'let' ? [[i.name.name, printNode(i)]] : []))),
    deprecations,
    rest: [...files.map(usesOf), ...others.map((a) => `${usesOf(a)}\n${bodies(a)}`)].filter((t) => t !== '').join('\n'),
  };
}
/** What a file uses under a name; where its own surface lies is no part of it. */
const usesOf = (f: File): string =>
  f.uses
    .filter((u) => u.alias.name !== '*')
    .map((u) => `use ${u.source.value} as ${u.alias.name}`)
    .join('\n');
const bodies = (f: File): string =>
  f.items.map((i) => (i.kind === 'recipe' ? JSON.stringify({ ...recipeOf(i), doc: [], version: '' }) : printNode(i))).join('\n');

const recipeOf = (r: RecipeDecl): ApiRecipe => ({
  name: r.name.name,
  ...(r.title ? { title: r.title.value } : {}),
  version: r.version.value,
  doc: r.body.flatMap((s) => (s.kind === 'doc' ? [s.text.value] : [])),
  params: r.params.map(paramOf),
  body: r.body.flatMap((s) => (s.kind === 'doc' ? [] : [printNode(s)])),
});
const paramOf = (p: ParamDecl): ApiParam => ({
  name: p.name.name,
  default: printNode(p.value),
  kind: p.value.kind === 'unary' ? 'number' : p.value.kind === 'call' ? 'name' : p.value.kind,
  ...(p.domain ? { domain: printNode(p.domain) } : {}),
  ...(p.domain?.kind === 'list' ? { values: p.domain.items.map((x) => printNode(x)) } : {}),
});

/** `breaks`: who uses it as it is must change something; `output`: the same text makes other numbers; `adds`; `none`. */
export type Weight = 'breaks' | 'output' | 'adds' | 'none';
export interface Change {
  readonly weight: Weight;
  readonly text: string;
}

/** What changed between two versions of a package. */
export function compareApi(before: Api, after: Api): Change[] {
  const out: Change[] = [];
  const put = (weight: Weight, text: string): void => void out.push({ weight, text });
  const renamed = (kind: Deprecation['kind'], name: string) => after.deprecations.find((d) => d.kind === kind && d.name === name);
  for (const old of before.recipes) {
    const now = after.recipes.find((r) => r.name === old.name);
    if (now === undefined) {
      const to = renamed('recipe', old.name);
      put(to ? 'adds' : 'breaks', to ? `${old.name} is deprecated: ${to.to}` : `${old.name} is gone`);
      continue;
    }
    params(old, now, (name) => renamed('parameter', `${old.name}.${name}`)?.to, put);
    if (JSON.stringify(old.body) !== JSON.stringify(now.body)) put('output', `${old.name} does something else`);
    if (JSON.stringify([old.title, old.doc]) !== JSON.stringify([now.title, now.doc])) put('none', `${old.name} has other docs`);
  }
  for (const r of after.recipes) if (!before.recipes.some((o) => o.name === r.name)) put('adds', `${r.name} is new`);
  for (const [name, text] of Object.entries(before.lets))
    if (!(name in after.lets)) put('breaks', `let ${name} is gone`);
    else if (after.lets[name] !== text) put('output', `let ${name} means something else`);
  for (const name of Object.keys(after.lets)) if (!(name in before.lets)) put('adds', `let ${name} is new`);
  if (before.rest !== after.rest) put('output', 'files that the recipes use have changed');
  return out;
}

function params(
  old: ApiRecipe,
  now: ApiRecipe,
  renamed: (name: string) => string | undefined,
  put: (w: Weight, text: string) => void,
): void {
  old.params.forEach((p, place) => {
    const said = `${old.name}(${p.name})`;
    const name = now.params.some((q) => q.name === p.name) ? p.name : renamed(p.name);
    const at = now.params.findIndex((q) => q.name === name);
    const q = now.params[at];
    if (q === undefined) {
      put('breaks', `${said} is gone`);
      return;
    }
    if (name !== p.name) put('adds', `${said} is deprecated: ${name}`);
    if (at !== place) put('breaks', `${said} has another place`);
    if (q.kind !== p.kind) put('breaks', `${said} was a ${p.kind}, is a ${q.kind}`);
    else if (q.default !== p.default) put('output', `${said} was ${p.default} by default, is ${q.default}`);
    if (q.domain !== p.domain) {
      const wider = p.values && q.values && p.values.every((v) => q.values!.includes(v));
      put(wider ? 'adds' : 'breaks', `${said} was in ${p.domain ?? 'anything'}, is in ${q.domain ?? 'anything'}`);
    }
  });
  for (const q of now.params)
    if (!old.params.some((p) => p.name === q.name || renamed(p.name) === q.name)) put('adds', `${now.name}(${q.name}) is new`);
}

const order = ['patch', 'minor', 'major'] as const;
export type Bump = (typeof order)[number];

/** The least bump that semver asks for. Before 1.0.0 a minor version may break, and must where the output changes. */
export function leastBump(changes: readonly Change[], from: string): Bump {
  const has = (w: Weight): boolean => changes.some((c) => c.weight === w);
  if (semver.major(from) === 0) return has('breaks') || has('output') ? 'minor' : 'patch';
  return has('breaks') ? 'major' : has('output') || has('adds') ? 'minor' : 'patch';
}
/** Is `to` at least that bump above `from`? */
export const bumpsEnough = (from: string, to: string, least: Bump): boolean => semver.gte(to, semver.inc(from, least) ?? from);

/** The surface as Markdown: one section a recipe. */
export function apiText(api: Api, title: string): string {
  const cell = (s: string): string => s.replaceAll('|', '\\|');
  const row = (p: ApiParam): string => `| \`${p.name}\` | \`${cell(p.default)}\` | ${p.domain ? `\`${cell(p.domain)}\`` : ''} |`;
  const sections = api.recipes.map((r) => {
    const head = `## ${r.name}\n\n${r.title ? `${r.title}. ` : ''}Version ${r.version}.${r.doc.map((d) => `\n\n${d}`).join('')}`;
    return r.params.length ? `${head}\n\n| parameter | default | domain |\n|---|---|---|\n${r.params.map(row).join('\n')}` : head;
  });
  const old = api.deprecations.map((d) => `- \`${d.name}\`: write \`${d.to}\` (since ${d.since})${d.note ? `. ${d.note}` : ''}`);
  return `${[`# ${title}`, ...sections, ...(old.length ? ['## Deprecated', old.join('\n')] : [])].join('\n\n')}\n`;
}
