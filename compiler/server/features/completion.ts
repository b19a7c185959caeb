/** Completion: what may stand at the cursor, from what stands before it; real names of the model where one is bound. */
import type { CompletionItem, CompletionItemKind, Range } from 'vscode-languageserver-types';
import { units } from '../../../grammar/literals.ts';
import { verbs } from '../../../grammar/tokens.ts';
import { type Entry, kinds, namesOf, portNames, roles, selectors } from '../../catalog/index.ts';
import type { Param, Schema } from '../../schema.ts';
import { choices, docOf, paramDoc } from '../builtin.ts';
import { rolesOf, stringsFor } from '../real.ts';
import { type Scan, scan } from '../scan.ts';
import { paramsOf, recipeOf, surface, usedFile, written } from '../symbols.ts';
import { type Callee, kindsFor, takes, type Want } from '../want.ts';
import type { Bound, Document, Workspace } from '../workspace.ts';

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

interface Place {
  readonly ws: Workspace;
  readonly d: Document;
  readonly before: Scan;
  readonly bound: Bound | undefined;
  /** Nothing but spaces stands before it on its line. */
  readonly fresh: boolean;
}
type Item = Omit<CompletionItem, 'kind'> & { readonly kind: CompletionItemKind };
const item = (label: string, k: Kind, detail?: string, doc?: string, insert?: string): Item => ({
  label,
  kind: kind[k],
  ...(detail ? { detail } : {}),
  ...(doc ? { documentation: { kind: 'markdown', value: doc } } : {}),
  ...(insert ? { insertText: insert } : {}),
});

/** Everything that may stand at an offset. The editor narrows it down by what is typed. */
export function completion(ws: Workspace, d: Document, offset: number): CompletionItem[] {
  const open = openText(d.text, offset);
  const unit = open === undefined ? /(?<![\w.])(\d+(?:\.\d+)?)([A-Za-z%]*)$/.exec(d.text.slice(Math.max(0, offset - 32), offset)) : null;
  const typed = open === undefined ? (unit?.[0] ?? /[A-Za-z_]?\w*$/.exec(d.text.slice(Math.max(0, offset - 64), offset))?.[0] ?? '') : '';
  if (open === undefined && inComment(d.text, offset)) return [];
  const start = open ?? offset - typed.length;
  const place: Place = {
    ws,
    d,
    before: scanBefore(d, start),
    bound: ws.bound(d),
    fresh: /(?:^|\n)[ \t]*$/.test(d.text.slice(0, start)),
  };
  const want = place.before.next;
  const items = open !== undefined ? texts(place, want) : unit ? unitsFor(want, unit[1] ?? '') : list(place, want);
  const range: Range = d.range(open === undefined ? start : open + 1, offset);
  return unique(items).map((x, i) => {
    const { insertText, ...rest } = x;
    return { ...rest, sortText: String(i).padStart(4, '0'), textEdit: { range, newText: insertText ?? x.label } };
  });
}

/** What stands before an offset. A recipe begins anew, so that only its own words are read. */
function scanBefore(d: Document, end: number): Scan {
  const from = d.scan.statements.findLast((s) => s.verb === 'recipe' && s.token.startOffset < end && s.token.startColumn === 1);
  if (!from?.token || from.token.startOffset >= end) return scan(d.text.slice(0, end));
  const found = scan(d.text.slice(from.token.startOffset, end));
  const before = d.scan.statements.filter((s) => s.verb === 'recipe' && s.token.startOffset < from.token.startOffset).length;
  return found.inRecipe === undefined ? found : { ...found, inRecipe: found.inRecipe + before };
}

function unique(items: readonly Item[]): Item[] {
  const seen = new Set<string>();
  return items.filter((x) => !seen.has(x.label) && seen.add(x.label));
}
/** Where the text begins that is open at an offset. */
function openText(text: string, offset: number): number | undefined {
  const from = text.lastIndexOf('\n', offset - 1) + 1;
  let open: number | undefined;
  for (let i = from; i < offset; i++) {
    if (text[i] === '\\' && open !== undefined) i++;
    else if (text[i] === '"') open = open === undefined ? i : undefined;
    else if (text[i] === '#' && open === undefined) return undefined;
  }
  return open;
}
const inComment = (text: string, offset: number): boolean =>
  text
    .slice(text.lastIndexOf('\n', offset - 1) + 1, offset)
    .replace(/"(?:[^"\\]|\\.)*"/g, '')
    .includes('#');

const words = (all: readonly string[], detail?: string): Item[] => all.map((w) => item(w, 'keyword', detail));

const items = ['use', 'let', 'recipe', 'evaluate', 'language'];
const statementVerbs = verbs.filter((v) => v !== 'use' && v !== 'recipe');

function list(p: Place, want: Want): Item[] {
  switch (want.at) {
    case 'item':
      return words(items);
    case 'statement':
      return words(statementVerbs);
    case 'name':
      return entries(want.of);
    case 'key':
      return keys(p, want.callee, want.given);
    case 'arg':
      // What a parameter of a recipe takes is not declared.
      if (want.callee.kind === 'recipe')
        return [...keys(p, want.callee, want.given), ...locals(p, (x) => x.kind !== 'use' && x.kind !== 'recipe')];
      return [...keys(p, want.callee, want.given), ...values(p, want.param)];
    case 'value':
      return [...(want.ports ? ports(p) : []), ...values(p, want.param)];
    case 'member':
      return members(p, want);
    case 'recipe':
      return recipes(p);
    case 'variable':
      return locals(p, (x) => x.kind === 'variable' || (x.kind === 'param' && / in /.test(p.d.text.slice(x.from, x.to))));
    case 'after':
      // On a line of its own a new statement may begin, too.
      if (p.fresh)
        return [...words(p.before.inRecipe === undefined ? items : statementVerbs), ...words(want.words.filter((w) => w !== '{'))];
      return words([...want.words, 'and', 'or'].filter((w) => w !== '{'));
    default:
      return [];
  }
}

const entries = (of: Entry['kind']): Item[] =>
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

function keys(p: Place, callee: Callee, given: readonly string[]): Item[] {
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
function values(p: Place, param: Param<unknown>): Item[] {
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
function ports(p: Place): Item[] {
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
function locals(p: Place, fits: (x: Scan['declarations'][number]) => boolean): Item[] {
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
function recipes(p: Place): Item[] {
  const here = p.before.inRecipe;
  const own = surface(p.ws, p.d).flatMap((d) =>
    d.scan.declarations
      .filter((x) => x.kind === 'recipe' && (x.recipe !== here || d !== p.d))
      .map((x) => item(x.token.image, 'function', 'recipe')),
  );
  return [...own, ...imported(p, 'recipe'), ...locals(p, (x) => x.kind === 'use')];
}
function members(p: Place, want: Extract<Want, { at: 'member' }>): Item[] {
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

/** Inside quotes: real names of the model, packages and files. */
function texts(p: Place, want: Want): Item[] {
  const last = p.before.statements.at(-1);
  if (last?.verb === 'use' && last.to >= p.before.words.at(-1)!.token.startOffset && p.before.words.at(-1)?.role === 'verb') {
    const files = p.ws
      .files()
      .filter((f) => f.path !== p.d.path)
      .map((f) => relative(p.d.path, f.path));
    return [
      ...p.ws
        .packages()
        .map((x) => item(`${x.name}@^${/^0\.\d+|^\d+/.exec(x.version)?.[0] ?? x.version}`, 'module', `version ${x.version}`)),
      ...files.filter((f) => f.startsWith('./')).map((f) => item(f, 'file')),
    ];
  }
  const key = want.at === 'value' ? want.key : undefined;
  const callee = want.at === 'arg' && want.callee.kind === 'known' && want.given.length === 0 ? want.callee.name : undefined;
  if (!p.bound || callee === undefined || key !== undefined) return [];
  return [...stringsFor(p.bound, callee)].map(([name, n]) => item(name, 'value', n > 1 ? `${n} sites` : undefined));
}
function relative(from: string, to: string): string {
  const folder = from.slice(0, from.lastIndexOf('/') + 1);
  return to.startsWith(folder) ? `./${to.slice(folder.length)}` : to;
}

/** Units behind a number, where its parameter or the comparison takes them. */
function unitsFor(want: Want, number: string): Item[] {
  const param = want.at === 'value' || want.at === 'arg' ? want.param : undefined;
  if (!param) return [];
  const known = takes(param, 'expression') ? units : takes(param, 'selection') ? (['M'] as const) : unitsOf(param);
  return known.map((u) => item(`${number}${u}`, 'unit', meaning[u]));
}
const unitsOf = (p: Param<unknown>): readonly string[] =>
  p.is.kind === 'number' ? (p.is.units ?? []) : p.is.kind === 'either' ? p.is.of.flatMap(unitsOf) : [];
const meaning: Readonly<Record<string, string>> = {
  dB: 'decibels',
  '%': 'per cent',
  x: 'times the float model',
  B: 'bytes',
  KB: 'thousand bytes',
  MB: 'million bytes',
  GB: 'billion bytes',
  ms: 'milliseconds',
  M: 'million',
};
