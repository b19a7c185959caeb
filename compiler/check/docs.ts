/** The reference as Markdown, from the same values that check recipes: a page for each kind of name, for the language and for each code. */
import type { CodePage } from '../check/codes.ts';
import type { Param, Schema } from '../schema.ts';
import { type Entry, type Kind, namesOf, plannedNames, roles, selectors, statements } from './index.ts';

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

/** All pages. `codes` come in from the checker. */
export function docsPages(codes: readonly CodePage[]): Page[] {
  const kinds = titles
    .filter(([k]) => namesOf(k).length)
    .map(([k, title, intro]): Page => ({ path: `${k}s.md`, text: kindPage(k, title, intro) }));
  const pages = [...kinds, rolesPage(), selectionsPage(), statementsPage(), plannedPage(), ...codes.map(codePage), codeIndex(codes)];
  const index = pages.filter((p) => !p.path.startsWith('codes/')).map((p) => `- [${/^# (.*)$/m.exec(p.text)?.[1]}](${p.path})`);
  return [
    {
      path: 'README.md',
      text: text('# Reference', 'Generated from the definitions of the compiler.', `${index.join('\n')}\n- [Diagnostics](codes/README.md)`),
    },
    ...pages,
  ];
}

const text = (...parts: string[]): string => `${parts.filter((p) => p !== '').join('\n\n')}\n`;
const cell = (s: string): string => s.replaceAll('|', '\\|').replaceAll('\n', ' ');

function kindPage(kind: Kind, title: string, intro: string): string {
  const all = namesOf(kind).filter((e) => !e.spelling);
  const [built, planned] = [all.filter((e) => !e.planned), all.filter((e) => e.planned)];
  return text(
    `# ${title}`,
    intro,
    ...built.map(entry),
    ...(planned.length
      ? ['## Planned', 'Known to the language, not built in this version.', ...planned.map((e) => entry(e).replace(/^##/, '###'))]
      : []),
  );
}

function entry(e: Entry): string {
  const other = namesOf(e.kind).filter((x) => x.spelling?.of === e.name);
  const spelt = other.map((x) => `\`${x.name}\``).join(', ');
  return text(
    `## ${e.name}`,
    e.doc,
    e.formula ? `Formula: \`${e.formula}\`` : '',
    e.units?.length ? `Measured in ${e.units.join(', ')}.` : '',
    spelt ? `Also written ${spelt}.` : '',
    table(e.params, e.positional),
    e.cite ? `Source: ${e.cite}` : '',
  ).trimEnd();
}

/** A table of parameters. */
export function table(schema: Schema, positional: readonly string[] = []): string {
  const rows = Object.entries(schema).map(([name, p]) => {
    const also = p.aliases?.length ? ` Also \`${p.aliases.join('`, `')}\`.` : '';
    const place = positional.indexOf(name);
    const given = p.default === undefined ? (p.optional ? '' : 'must be given') : `\`${value(p.default)}\``;
    return `| \`${name}\`${place < 0 ? '' : ` (${place + 1})`} | ${cell(typeOf(p))} | ${given} | ${cell(p.doc)}${also} |`;
  });
  return rows.length ? ['| parameter | type | default | |', '|---|---|---|---|', ...rows].join('\n') : '';
}

function value(v: unknown): string {
  if (v === true) return 'yes';
  if (v === false) return 'no';
  if (typeof v === 'object' && v !== null && 'name' in v) return String(v.name);
  return typeof v === 'string' ? v : JSON.stringify(v);
}

/** Type, unit and range in words. */
export function typeOf(p: Param<unknown>): string {
  const { is } = p;
  switch (is.kind) {
    case 'number': {
      const range = is.min === undefined && is.max === undefined ? '' : ` ${is.min ?? '…'}..${is.max ?? '…'}`;
      return `${is.int ? 'whole number' : 'number'}${range}${is.units ? ` in ${is.units.join(', ')}` : ''}`;
    }
    case 'bool':
      return 'yes, no';
    case 'string':
      return 'text';
    case 'choice':
      return is.of.join(', ');
    case 'ref':
      return `a [${is.of}](${is.of}s.md)`;
    case 'list':
      return `[ ${typeOf(is.of)} ]`;
    case 'either':
      return is.of.map(typeOf).join(' or ');
    default:
      return is.kind;
  }
}

function rolesPage(): Page {
  const rows = [...roles.values()].map((r) => {
    const members = Object.keys(r.members)
      .map((m) => `\`${r.name}.${m}\``)
      .join(', ');
    return text(
      `## ${r.name}`,
      `${r.doc}${r.planned ? ' *Planned.*' : ''}`,
      `Ports: ${r.ports.map((p) => `\`${p}\``).join(', ')}`,
      members ? `Members: ${members}` : '',
    ).trimEnd();
  });
  return {
    path: 'roles.md',
    text: text('# Roles', 'Parts of a model, found by the structure of its graph. `qc inspect model.onnx` lists what was found.', ...rows),
  };
}

function selectionsPage(): Page {
  const rows = selectors.map((s) => text(`## ${s.name}`, s.doc, table(s.params, s.positional)).trimEnd());
  const intro =
    'Selections are roles and the functions below, joined with `and`, `or`, `not`; `a -> b` selects edges, `a <-> b` tied pairs, `size >= 1M` weights by their number of parameters. One that matches nothing is an error.';
  return { path: 'selections.md', text: text('# Selections', intro, ...rows) };
}

function statementsPage(): Page {
  const verbs = ['quantize', 'transform', 'solve', 'prune', 'search', 'calibrate', 'schedule', 'evaluate'] as const;
  return {
    path: 'statements.md',
    text: text(
      '# Statements',
      'What the record of each statement may hold, beside the parameters of the name that it speaks of.',
      ...verbs.map((v) => text(`## ${v}`, table(statements[v])).trimEnd()),
    ),
  };
}

/** Names that the language knows and this version does not build. */
export function plannedPage(): Page {
  const rows = plannedNames().map((p) => `| ${p.kind} | \`${p.name}\` | ${cell(p.doc)} |`);
  return {
    path: 'planned.md',
    text: text(
      '# Planned names',
      'Known to the language, so recipes that use them are checked; using one is the error `planned`. The list is generated and shrinks.',
      ['| kind | name | |', '|---|---|---|', ...rows].join('\n'),
    ),
  };
}

const phases = {
  language: 'the text of a recipe',
  plan: 'a recipe on a model',
  model: 'a model file',
  data: 'data',
  machine: 'files and this machine',
} as const;
const codePage = (c: CodePage): Page => ({ path: `codes/${c.code}.md`, text: text(`# ${c.code}`, c.doc, `Found in ${phases[c.phase]}.`) });
function codeIndex(codes: readonly CodePage[]): Page {
  const groups = Object.entries(phases).map(([phase, what]) => {
    const rows = codes.filter((c) => c.phase === phase).map((c) => `- [${c.code}](${c.code}.md): ${c.doc}`);
    return text(`## In ${what}`, rows.join('\n')).trimEnd();
  });
  return { path: 'codes/README.md', text: text('# Diagnostics', ...groups) };
}
