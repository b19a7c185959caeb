/** The reference, from the same values that check recipes: a page for each kind of name, for the language and for each code. */
import { QcError } from '../../grammar/diagnostics.ts';
import { type Entry, find, type Kind, kinds, namesOf, plannedNames, roles, selectors, statements } from '../catalog/index.ts';
import { type CodePage, codes } from './codes.ts';
import { nearest } from './context.ts';
import { cell, entryPage, fileOf, rolePage, table, text } from './entry-page.ts';

export interface Page {
  /** Below docs/reference/. */
  readonly path: string;
  readonly text: string;
}

const titles: readonly (readonly [Kind, string, string])[] = [
  ['scheme', 'Schemes', 'What weights and activations become, by the names of the field: `quantize linear as W4A16 { group: 32 }`.'],
  ['format', 'Formats', 'Numbers: `quantize weight of linear as int4 { group: 32 }`.'],
  ['law', 'Scale laws', 'How the step of a quantizer is chosen: `{ scale: mse(80) }`.'],
  ['transform', 'Transforms', 'Rewrites that keep the function: `transform smooth on norm -> linear`.'],
  ['solver', 'Solvers', 'Integers that are better than rounding: `solve gptq on linear`.'],
  ['metric', 'Metrics', 'How far two models are apart: `require sqnr(output("logits")) >= 25dB`.'],
  ['objective', 'Objectives', 'What searches lower, beside the metrics.'],
  ['function', 'Functions', 'What expressions ask of the compiled model: `require size <= 0.30x`.'],
  ['search', 'Search methods', 'How variables are bound: `search bits { method: ilp }`.'],
  ['target', 'Targets', 'Where the model is to run: `target portable`.'],
  ['source', 'Sources', 'Where data comes from: `calibrate data("calib")`.'],
  ['sampler', 'Samplers', 'Samplers of a schedule.'],
  ['matrix', 'Matrices', 'Matrices of `rotate`.'],
  ['domain', 'Domains', 'Named domains of variables.'],
  ['allocation', 'Allocations', 'How density is shared out by `prune`.'],
  ['evaluation', 'Evaluations', 'What `evaluate` runs.'],
];
const verbs = ['quantize', 'transform', 'solve', 'prune', 'search', 'calibrate', 'schedule', 'evaluate'] as const;
const isVerb = (word: string): word is (typeof verbs)[number] => (verbs as readonly string[]).includes(word);
const phases = {
  language: 'the text of a recipe',
  plan: 'a recipe on a model',
  model: 'a model file',
  data: 'data',
  machine: 'files and this machine',
} as const;

/** All pages of docs/reference, in a fixed order. */
export function docsPages(): Page[] {
  const names = titles
    .filter(([k]) => namesOf(k).length)
    .map(([k, title, intro]): Page => ({ path: fileOf(k), text: kindPage(k, title, intro) }));
  const pages = [...names, rolesPage(), selectionsPage(), statementsPage(), plannedPage()];
  const index = pages.map((p) => `- [${/^# (.*)$/m.exec(p.text)?.[1]}](${p.path})`).join('\n');
  const front = text('# Reference', 'Generated from the definitions of the compiler.', `${index}\n- [Diagnostics](codes/README.md)`);
  return [{ path: 'README.md', text: front }, ...pages, codeIndex(), ...codes.map(codePage)];
}

function kindPage(kind: Kind, title: string, intro: string): string {
  const all = namesOf(kind).filter((e) => !e.spelling);
  const planned = all.filter((e) => e.planned).map((e) => entryPage(e).replace(/^##/, '###'));
  const tail = planned.length ? ['## Planned', 'Known to the language, not built in this version.', ...planned] : [];
  return text(`# ${title}`, intro, ...all.filter((e) => !e.planned).map(entryPage), ...tail);
}

function rolesPage(): Page {
  const intro = 'Parts of a model, found by the structure of its graph. `qc inspect model.onnx` lists what was found.';
  return { path: 'roles.md', text: text('# Roles', intro, ...[...roles.keys()].map(rolePage)) };
}

const selectionIntro =
  'Selections are roles and the functions below, joined with `and`, `or`, `not`; `a -> b` selects edges, `a <-> b` tied pairs, `size >= 1M` weights by their number of parameters. One that matches nothing is an error.';
function selectionsPage(): Page {
  const rows = selectors.map((s) => text(`## ${s.name}`, s.doc, table(s.params, s.positional)).trimEnd());
  return { path: 'selections.md', text: text('# Selections', selectionIntro, ...rows) };
}

function statementsPage(): Page {
  const intro = 'What the record of each statement may hold, beside the parameters of the name that it speaks of.';
  const rows = verbs.map((v) => text(`## ${v}`, table(statements[v])).trimEnd());
  return { path: 'statements.md', text: text('# Statements', intro, ...rows) };
}

function plannedPage(): Page {
  const intro =
    'Known to the language, so recipes that use them are checked; using one is the error `planned`. The list is generated and shrinks.';
  const rows = plannedNames().map((p) => `| ${p.kind} | \`${p.name}\` | ${cell(p.doc)} |`);
  return { path: 'planned.md', text: text('# Planned names', intro, ['| kind | name | |', '|---|---|---|', ...rows].join('\n')) };
}

const codePage = (c: CodePage): Page => ({ path: `codes/${c.code}.md`, text: text(`# ${c.code}`, c.doc, `Found in ${phases[c.phase]}.`) });
function codeIndex(): Page {
  const groups = Object.entries(phases).map(([phase, what]) => {
    const rows = codes.filter((c) => c.phase === phase).map((c) => `- [${c.code}](${c.code}.md): ${c.doc}`);
    return text(`## In ${what}`, rows.join('\n')).trimEnd();
  });
  return { path: 'codes/README.md', text: text('# Diagnostics', ...groups) };
}

/** What `qc docs` prints: everything of that name, or all names by kind. Error `unknown-name`. */
export function reference(name?: string): { readonly name?: string; readonly text: string } {
  if (name === undefined) return { text: everyName() };
  const heading = (page: string, what: string): string => page.replace(/^## .*$/m, `## ${name} (${what})`);
  const entries = kinds().flatMap((k) => (k === 'role' ? [] : [find(k, name)].filter((e) => e !== undefined)));
  const selector = selectors.find((s) => s.name === name);
  const code = codes.find((c) => c.code === name);
  const parts = [
    ...entries.map((e) => heading(entryPage(e), e.planned ? `${e.kind}, planned` : e.kind)),
    ...(roles.has(name) ? [heading(rolePage(name), 'role')] : []),
    ...(selector ? [text(`## ${name} (selection)`, selector.doc, table(selector.params, selector.positional)).trimEnd()] : []),
    ...(isVerb(name) ? [text(`## ${name} (statement)`, table(statements[name])).trimEnd()] : []),
    ...(code ? [text(`## ${name} (diagnostic)`, code.doc).trimEnd()] : []),
  ];
  if (parts.length) return { name, text: text(...parts) };
  const all = [...kinds().flatMap((k) => namesOf(k)), ...selectors].map((e) => e.name);
  const near = nearest(name, [...all, ...roles.keys(), ...verbs, ...codes.map((c) => c.code)]);
  const hint = near ? `Did you mean \`${near}\`?` : '`qc docs` lists all names.';
  throw new QcError([{ code: 'unknown-name', severity: 'error', message: `\`${name}\` is not a name of the language`, hint }]);
}

function everyName(): string {
  const star = (e: Pick<Entry, 'name' | 'planned'>): string => (e.planned ? `${e.name}*` : e.name);
  const rows = titles.filter(([k]) => namesOf(k).length).map(([k, title]) => `${title}: ${namesOf(k).map(star).join(', ')}`);
  const found = [...roles.values()].map((r) => (r.planned ? `${r.name}*` : r.name)).join(', ');
  const selects = selectors.map((s) => s.name).join(', ');
  return text(`Roles: ${found}`, `Selections: ${selects}`, ...rows, '* planned: checked, not built yet. `qc docs NAME` says more.');
}
