/** Quick fixes: every did-you-mean, and for a selection that matches nothing the nearest real names of the model. */
import type { CodeAction, Range, TextEdit } from 'vscode-languageserver-types';
import type { Diagnostic, Span } from '../../../grammar/diagnostics.ts';
import { nearest } from '../../check/context.ts';
import { type Analysis, around } from '../analysis.ts';
import { nearestOf, rolesOf, stringsFor } from '../real.ts';
import type { Document, Workspace } from '../workspace.ts';
import { diagnosticOf } from './diagnostics.ts';

/** The fixes of the mistakes that touch a range. */
export function actions(ws: Workspace, d: Document, a: Analysis, range: Range): CodeAction[] {
  const [from, to] = [d.offsetAt(range.start), d.offsetAt(range.end)];
  const all = around(a, from);
  const here = all.filter((x) => x.span?.file === d.path && x.span.start <= to && from <= x.span.end);
  const fixes = here.flatMap((x) => [...meant(ws, d, x), ...alive(ws, d, a, x)]);
  const clear = all.flatMap((x) => (x.fix?.span.file === d.path ? [x.fix] : []));
  if (clear.length < 2 || !here.some((x) => x.fix)) return fixes;
  const edits = clear.map((f) => ({ range: d.rangeOf(f.span), newText: f.text }));
  return [...fixes, { title: `Fix all ${clear.length} that have one meaning`, kind: 'quickfix', edit: { changes: { [d.uri]: edits } } }];
}

function meant(ws: Workspace, d: Document, x: Diagnostic): CodeAction[] {
  if (x.fix?.span.file !== d.path) return [];
  return [fix(ws, d, x, `Change to \`${x.fix.text}\``, [{ range: d.rangeOf(x.fix.span), newText: x.fix.text }], true)];
}

/** A dead selection: another name, or `optional(…)` where it may match nothing. */
function alive(ws: Workspace, d: Document, a: Analysis, x: Diagnostic): CodeAction[] {
  if (x.code !== 'dead-selection' || !x.span || !a.bound) return [];
  const span = x.span;
  const text = d.text.slice(span.start, span.end);
  const replace = (newText: string, preferred = false): CodeAction =>
    fix(ws, d, x, `Change to \`${newText}\``, [{ range: d.rangeOf(span), newText }], preferred);
  const called = /^(path|op|input|output)\(\s*"([^"]*)"\s*\)$/.exec(text);
  const near = called
    ? nearestOf(called[2] ?? '', stringsFor(a.bound, called[1] ?? '').keys()).map((n) => `${called[1]}("${n}")`)
    : /^[\w.]+$/.test(text)
      ? [nearest(text, rolesOf(a.bound).keys()) ?? []].flat()
      : [];
  const optional = fix(ws, d, x, `Let it match nothing: \`optional(${text})\``, [{ range: d.rangeOf(span), newText: `optional(${text})` }]);
  return [...near.map((n, i) => replace(n, i === 0)), ...(inPart(d, span) ? [] : [optional])];
}
/** `optional` stands for the whole selection of a statement, not for a part of it. */
function inPart(d: Document, span: Span): boolean {
  const before = d.text.slice(Math.max(0, span.start - 8), span.start);
  const after = d.text.slice(span.end, span.end + 8);
  return /(?:\b(?:and|or|not)\s+|->\s*)$/.test(before) || /^\s*(?:and|or)\b|^\s*<?->/.test(after);
}

function fix(ws: Workspace, d: Document, x: Diagnostic, title: string, edits: TextEdit[], preferred = false): CodeAction {
  return {
    title,
    kind: 'quickfix',
    diagnostics: [diagnosticOf(ws, d, x)],
    edit: { changes: { [d.uri]: edits } },
    ...(preferred ? { isPreferred: true } : {}),
  };
}
