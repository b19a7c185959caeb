/** Hover: what a name is, with formula, paper and defaults; for a selection and a statement, what they mean in the bound model. */
import type { Hover } from 'vscode-languageserver-types';
import { statements } from '../../catalog/index.ts';
import { text } from '../../check/entry-page.ts';
import type { Schema } from '../../schema.ts';
import type { Analysis } from '../analysis.ts';
import { builtinOf, docOf, parameters } from '../builtin.ts';
import { decided, matched, selectionAt } from '../matched.ts';
import { type Named, symbolOf, textOf, wordAt, written } from '../symbols.ts';
import { endOf } from '../token-kinds.ts';
import type { Word } from '../words.ts';
import type { Document, Workspace } from '../workspace.ts';

/** `analysis`: asked for only where the place needs it. */
export function hover(ws: Workspace, d: Document, offset: number, analysis: () => Analysis): Hover | undefined {
  const w = wordAt(d, offset);
  if (!w || w.role === 'number') return undefined;
  const parts = [documented(ws, d, w), ws.bound(d) ? meant(d, w, offset, analysis()) : undefined].filter((x) => x !== undefined);
  if (parts.length === 0) return undefined;
  return { contents: { kind: 'markdown', value: parts.join('\n\n---\n\n') }, range: d.range(w.token.startOffset, endOf(w.token)) };
}

function documented(ws: Workspace, d: Document, w: Word): string | undefined {
  if (w.role === 'verb') return verbDoc(w.token.image);
  const s = symbolOf(ws, d, w);
  if (s) return declared(ws, s);
  const b = builtinOf(w);
  return b && docOf(b);
}

function verbDoc(verb: string): string {
  const fields = (statements as unknown as Readonly<Record<string, Schema | undefined>>)[verb];
  return text(`**${verb}** (statement): \`${forms[verb] ?? verb}\``, fields ? parameters(fields) : '');
}
/** How each statement reads. */
const forms: Readonly<Record<string, string>> = {
  use: 'use "@scope/package@^1" as name',
  recipe: 'recipe name "title" version "1.0.0" (parameter = default in domain) { … }',
  let: 'let name = value, let name in domain each selection',
  doc: 'doc "text"',
  schedule: 'schedule name { … }',
  calibrate: 'calibrate data("name") { samples: 128 }',
  transform: 'transform name on selection { … }',
  quantize: 'quantize port, port of selection as type { … }',
  prune: 'prune selection as sparsity { … }',
  solve: 'solve name on selection { … }',
  search: 'search variable { objective: …, budget: …, method: … }',
  keep: 'keep selection at type',
  apply: 'apply recipe(parameter: value) to selection',
  target: 'target name { … }',
  evaluate: 'evaluate measure { … }',
  require: 'require condition',
};

const nouns: Readonly<Record<Named['declaration']['kind'], string>> = {
  use: 'file',
  recipe: 'recipe',
  param: 'parameter',
  let: 'name',
  variable: 'variable',
  schedule: 'schedule',
};
function declared(ws: Workspace, s: Named): string {
  const { document, declaration: x } = s;
  const head =
    x.kind === 'recipe'
      ? (document.text.slice(x.from, x.to).split('{')[0] ?? '')
      : x.kind === 'param'
        ? written(s)
        : document.text.slice(x.from, x.to);
  const short = head.trim().replace(/\s+/g, ' ');
  const docs = document.scan.words
    .filter((w, i, all) => x.kind === 'recipe' && w.recipe === x.recipe && w.role === 'text' && all[i - 1]?.token.image === 'doc')
    .map((w) => textOf(w.token.image));
  const file = x.kind === 'use' && x.source ? ws.use(textOf(x.source.image), document.path) : undefined;
  const from = file
    ? 'error' in file
      ? file.error
      : `Read from ${file.path}.`
    : `Declared in ${document.path}:${document.positionAt(x.token.startOffset).line + 1}.`;
  return text(`**${x.token.image}** (${nouns[x.kind]})`, `\`\`\`qrecipe\n${short}\n\`\`\``, ...docs, from).trimEnd();
}

/** What the model says of a place: a selection there, or the statement whose verb it is. */
function meant(d: Document, w: Word, offset: number, a: Analysis): string | undefined {
  if (!a.bound) return undefined;
  const [at, start] = [a.moved.old(offset), a.moved.old(w.token.startOffset)];
  if (at === undefined || start === undefined) return undefined;
  const recipes = a.program?.recipes.filter((r) => r.file === d.path && r.span.start <= at && at <= r.span.end) ?? [];
  const recipe = recipes[0];
  if (!recipe) return undefined;
  const plan = a.made(recipe.name).plan;
  if (w.role === 'verb') {
    const statement = recipe.statements.find((s) => s.span.start === start);
    return statement && plan && decided(statement.span, a.bound, plan);
  }
  const s = selectionAt(recipe, d.path, at);
  return s && matched(s, a.bound, plan);
}
