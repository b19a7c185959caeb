/** Formatting: the canonical text of `qc fmt`, as the smallest edit. A text with mistakes of syntax stays as it is. */
import type { TextEdit } from 'vscode-languageserver-types';
import { parse } from '../../../grammar/parser.ts';
import { print } from '../../../grammar/printer.ts';
import type { Document } from '../workspace.ts';

export function formatting(d: Document): TextEdit[] {
  const { ast, diagnostics } = parse(d.text, d.path);
  if (diagnostics.some((x) => x.severity === 'error')) return [];
  const text = print(ast);
  if (text === d.text) return [];
  let start = 0;
  while (start < text.length && text[start] === d.text[start]) start++;
  let end = 0;
  const most = Math.min(text.length, d.text.length) - start;
  while (end < most && text.at(-1 - end) === d.text.at(-1 - end)) end++;
  return [{ range: d.range(start, d.text.length - end), newText: text.slice(start, text.length - end) }];
}
