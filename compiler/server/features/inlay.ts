/** Inlay hints: the defaults that a call, a record or a bare name leaves unsaid, as they are resolved. */
import type { InlayHint, Range } from 'vscode-languageserver-types';
import type { Schema } from '../../schema.ts';
import type { Analysis } from '../analysis.ts';
import { builtinOf, shown } from '../builtin.ts';
import { resolved } from '../matched.ts';
import { defaultOf, paramsOf, recipeOf, symbolOf } from '../symbols.ts';
import { endOf } from '../token-kinds.ts';
import type { Callee } from '../want.ts';
import type { Call, Word } from '../words.ts';
import type { Document, Workspace } from '../workspace.ts';

/** Hints of the calls and names that begin in a range. */
export function inlay(ws: Workspace, d: Document, range: Range, analysis: () => Analysis): InlayHint[] {
  const [from, to] = [d.offsetAt(range.start), d.offsetAt(range.end)];
  const here = (offset: number): boolean => from <= offset && offset <= to;
  const hint = (offset: number, label: string): InlayHint => ({
    position: d.positionAt(offset),
    label,
    paddingLeft: label.startsWith('{'),
  });
  const called = new Set(d.scan.calls.map((c) => c.name.startOffset));
  const calls = d.scan.calls.flatMap((c): InlayHint[] => {
    if (!here(c.name.startOffset) || !c.close || (c.form === 'record' && !named(d, c))) return [];
    const left = defaults(ws, d, c.callee, c.given);
    return left ? [hint(trimmed(d.text, c.close.startOffset), `${c.given.length ? ', ' : ''}${left}`)] : [];
  });
  const bare = d.scan.words.flatMap((w): InlayHint[] => {
    if (!here(w.token.startOffset) || called.has(w.token.startOffset)) return [];
    const callee = bareCallee(ws, d, w);
    const left = callee && defaults(ws, d, callee, []);
    return left ? [hint(endOf(w.token), w.want.at === 'name' ? `{ ${left} }` : `(${left})`)] : [];
  });
  return [...calls, ...bare, ...(ws.bound(d) ? types(d, analysis(), from, to) : []).filter((h) => here(d.offsetAt(h.position)))].sort(
    (a, b) => a.position.line - b.position.line || a.position.character - b.position.character,
  );
}
/** Behind each `quantize`, the types that the plan gives to the sites that it decides. */
function types(d: Document, a: Analysis, from: number, to: number): InlayHint[] {
  const { moved } = a;
  return (a.program?.recipes ?? []).flatMap((r) => {
    const [start, end] = [moved.now(r.span.start) ?? 0, moved.now(r.span.end) ?? d.text.length];
    const plan = r.file === d.path && start <= to && from <= end ? a.made(r.name).plan : undefined;
    return r.statements.flatMap((s): InlayHint[] => {
      const label = plan && s.verb === 'quantize' ? resolved(s.span, plan) : undefined;
      const at = label === undefined ? undefined : moved.now(s.span.end);
      return at === undefined ? [] : [{ position: d.positionAt(at), label: `→ ${label}`, paddingLeft: true }];
    });
  });
}
const trimmed = (text: string, offset: number): number =>
  offset - (/\s*$/.exec(text.slice(Math.max(0, offset - 200), offset))?.[0].length ?? 0);

/** Is the record that of a named algorithm, whose defaults are worth saying? */
const named = (d: Document, c: Call): boolean => d.scan.words.some((w) => w.token === c.name && w.want.at === 'name');

function bareCallee(ws: Workspace, d: Document, w: Word): Callee | undefined {
  if (w.role === 'name' && w.want.at === 'recipe' && symbolOf(ws, d, w)?.declaration.kind === 'recipe')
    return { kind: 'recipe', name: w.token.image };
  if (w.role === 'member' && w.want.at === 'member' && w.want.recipe) return { kind: 'recipe', name: w.token.image, of: w.want.of };
  if (w.role !== 'name' || symbolOf(ws, d, w)) return undefined;
  const b = builtinOf(w);
  const telling = b?.kind === 'entry' && ['scheme', 'format', 'law', 'transform', 'solver', 'search', 'matrix'].includes(b.entry.kind);
  return telling ? { kind: 'known', name: b.entry.name, params: b.entry.params, positional: b.entry.positional ?? [] } : undefined;
}

/** `group: 128, scale: mse`: parameters that were not given and have a default. */
function defaults(ws: Workspace, d: Document, callee: Callee, given: readonly string[]): string {
  if (callee.kind === 'known') return ofSchema(callee.params, given);
  const recipe = recipeOf(ws, d, callee);
  const params = recipe ? paramsOf(recipe) : [];
  const positional = given.filter((g) => /^\d+$/.test(g)).length;
  return params
    .filter((p, i) => i >= positional && !given.includes(p.declaration.token.image))
    .map((p) => `${p.declaration.token.image}: ${defaultOf(p)}`)
    .join(', ');
}
const ofSchema = (params: Schema, given: readonly string[]): string =>
  Object.entries(params)
    .filter(([name, p]) => p.default !== undefined && !given.includes(name) && !p.aliases?.some((a) => given.includes(a)))
    .map(([name, p]) => `${name}: ${shown(p.default)}`)
    .join(', ');
