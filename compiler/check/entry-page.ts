/** One name of the language as Markdown: doc, formula, parameters, source. */
import { type Entry, type Kind, namesOf, roles } from '../catalog/index.ts';
import type { Param, Schema } from '../schema.ts';

/** Paragraphs with empty lines between them. */
export const text = (...parts: string[]): string => `${parts.filter((p) => p !== '').join('\n\n')}\n`;
export const cell = (s: string): string => s.replaceAll('|', '\\|').replaceAll('\n', ' ');
/** The page of a kind, below docs/reference/. */
export const fileOf = (k: Kind): string => (k === 'search' ? 'searches.md' : k === 'matrix' ? 'matrices.md' : `${k}s.md`);

export function entryPage(e: Entry): string {
  const spelt = namesOf(e.kind)
    .filter((x) => x.spelling?.of === e.name)
    .map((x) => `\`${x.name}\``);
  return text(
    `## ${e.name}`,
    e.doc,
    e.formula ? `Formula: \`${e.formula}\`` : '',
    e.units?.length ? `Measured in ${e.units.join(', ')}.` : '',
    spelt.length ? `Also written ${spelt.join(', ')}.` : '',
    table(e.params, e.positional),
    e.cite ? `Source: ${e.cite}` : '',
  ).trimEnd();
}

export function rolePage(name: string): string {
  const r = roles.get(name);
  if (!r) return '';
  const code = (all: readonly string[]): string => all.map((x) => `\`${x}\``).join(', ');
  const members = Object.keys(r.members).map((m) => `${name}.${m}`);
  return text(
    `## ${name}`,
    `${r.doc}${r.planned ? ' *Planned.*' : ''}`,
    `Ports: ${code(r.ports)}`,
    members.length ? `Members: ${code(members)}` : '',
  ).trimEnd();
}

/** A table of parameters; the number behind a name is its place where it is given by position. */
export function table(schema: Schema, positional: readonly string[] = []): string {
  const rows = Object.entries(schema).map(([name, p]) => {
    const also = p.aliases?.length ? ` Also \`${p.aliases.join('`, `')}\`.` : '';
    const place = positional.indexOf(name);
    const given = p.default === undefined ? (p.optional ? '' : 'must be given') : `\`${shownValue(p.default)}\``;
    return `| \`${name}\`${place < 0 ? '' : ` (${place + 1})`} | ${cell(typeOf(p))} | ${given} | ${cell(p.doc)}${also} |`;
  });
  return rows.length ? ['| parameter | type | default | |', '|---|---|---|---|', ...rows].join('\n') : '';
}

function shownValue(v: unknown): string {
  if (typeof v === 'boolean') return v ? 'yes' : 'no';
  if (typeof v === 'object' && v !== null && 'name' in v) return String(v.name);
  return typeof v === 'string' ? v : JSON.stringify(v);
}

/** Type, unit and range in words. */
function typeOf({ is }: Param<unknown>): string {
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
      return `a [${is.of}](${fileOf(is.of)})`;
    case 'list':
      return `[ ${typeOf(is.of)} ]`;
    case 'either':
      return is.of.map(typeOf).join(' or ');
    default:
      return is.kind;
  }
}
