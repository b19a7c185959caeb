/** Completion: what may stand at the cursor, from what stands before it; real names of the model where one is bound. */
import type { CompletionItem, Range } from 'vscode-languageserver-types';
import { units } from '../../../grammar/literals.ts';
import { verbs } from '../../../grammar/tokens.ts';
import type { Param } from '../../schema.ts';
import { entries, type Item, item, keys, locals, members, type Place, ports, recipes, values, words } from '../offers.ts';
import { stringsFor } from '../real.ts';
import { scan } from '../scan.ts';
import { takes, type Want } from '../want.ts';
import type { Scan } from '../words.ts';
import type { Document, Workspace } from '../workspace.ts';

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
