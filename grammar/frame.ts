/** Diagnostics as text: the message, the lines it is about with carets under them, and the hint. */
import type { Diagnostic, Span } from './diagnostics.ts';

/** How to colour parts of a frame; identity functions give plain text. */
export interface Colors {
  readonly error: (s: string) => string;
  readonly warning: (s: string) => string;
  readonly info: (s: string) => string;
  readonly dim: (s: string) => string;
  readonly bold: (s: string) => string;
}
const same = (s: string): string => s;
export const plain: Colors = { error: same, warning: same, info: same, dim: same, bold: same };

/**
 * Renders one diagnostic.
 * @param source gives the text of a file, undefined where it is not at hand (then only the place is named)
 */
export function frame(d: Diagnostic, source: (file: string) => string | undefined, colors: Colors = plain): string {
  const paint = colors[d.severity];
  const lines = [`${paint(d.severity)}${colors.dim(`[${d.code}]`)} ${colors.bold(d.message)}`];
  if (d.span) lines.push(...excerpt(d.span, source, colors, paint));
  for (const r of d.related ?? []) lines.push(`  ${colors.dim('note:')} ${r.message}`, ...excerpt(r.span, source, colors, colors.info));
  if (d.hint) lines.push(`  ${colors.dim('hint:')} ${d.hint}`);
  return lines.join('\n');
}

/** Renders many, with an empty line between them. */
export const frames = (all: readonly Diagnostic[], source: (file: string) => string | undefined, colors: Colors = plain): string =>
  all.map((d) => frame(d, source, colors)).join('\n\n');

function excerpt(span: Span, source: (file: string) => string | undefined, colors: Colors, paint: (s: string) => string): string[] {
  const text = source(span.file);
  const place = `  ${colors.dim('-->')} ${span.file}:${span.line}:${span.column}`;
  if (text === undefined) return [place];
  const from = text.lastIndexOf('\n', span.start - 1) + 1;
  const end = text.indexOf('\n', span.start);
  const content = text.slice(from, end < 0 ? text.length : end).replace(/\r$/, '');
  const gutter = String(span.line).length;
  const bar = (label: string): string => colors.dim(`  ${label.padStart(gutter)} |`);
  // Long lines are cut around the place; tabs count as one column, as they do in the caret line.
  const column = span.start - from;
  const cut = column > 100 ? column - 60 : 0;
  const shown = content.slice(cut, cut + 160).replace(/\t/g, ' ');
  const caret = Math.max(1, Math.min(span.end - span.start, shown.length - (column - cut)));
  const pad = ' '.repeat(column - cut);
  return [place, bar(''), `${bar(String(span.line))} ${shown}`, `${bar('')} ${pad}${paint('^'.repeat(caret))}`];
}
