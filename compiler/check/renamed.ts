/** Old spellings of names: what they mean now, and how that is told. */

import type { Name } from '../../grammar/ast.ts';
import type { Span } from '../../grammar/diagnostics.ts';
import type { Deprecation } from '../catalog/deprecations.ts';
import { type Entry, find } from '../catalog/index.ts';
import type { Param } from '../schema.ts';
import { type Context, diagnostic } from './context.ts';

type Kind = Deprecation['kind'];

export const deprecationOf = (all: readonly Deprecation[], kind: Kind, name: string): Deprecation | undefined =>
  all.find((d) => d.kind === kind && d.name === name);

/** The name that a word means: itself, or what replaced it. A name that exists is never replaced. */
export const canonical = (ctx: Context, kind: Kind, name: string): string => deprecationOf(ctx.file.deprecations, kind, name)?.to ?? name;

/** `find` that also knows old names. */
export const entryOf = (ctx: Context, kind: Entry['kind'], name: string): Entry | undefined =>
  find(kind, name) ?? find(kind, canonical(ctx, kind, name));

/** Warns of an old name, with its replacement. Recipes of packages are not the reader's to change. */
export function tellDeprecated(ctx: Context, d: Deprecation, span: Span): void {
  if (ctx.file.package !== undefined) return;
  const said = diagnostic('deprecated', span, d.kind, d.name, d.to, d.since, d.note);
  ctx.report({ ...said, severity: 'warning', fix: { span, text: d.to } });
}
export function tellRenamed(ctx: Context, kind: Entry['kind'] | 'role', name: string, span: Span): void {
  if (kind !== 'role' && find(kind, name) !== undefined) return;
  const d = deprecationOf(ctx.file.deprecations, kind, name);
  if (d) tellDeprecated(ctx, d, span);
}

/** A key that was found by an alias. */
export function tellAlias(ctx: Context, key: Name, to: string, param: Param<unknown>): void {
  const own = param.renamed && Object.hasOwn(param.renamed, key.name) ? param.renamed[key.name] : undefined;
  const old = deprecationOf(ctx.file.deprecations, 'key', key.name);
  if (own) tellDeprecated(ctx, { kind: 'parameter', name: key.name, to, ...own }, key.span);
  else if (old?.to === to) tellDeprecated(ctx, old, key.span);
  else tellSpelling(ctx, key.name, to, key.span);
}

/** A spelling that is read and not the canonical one: told only where it is asked for (`qc upgrade`, editors). */
export function tellSpelling(ctx: Context, name: string, to: string, span: Span): void {
  if (ctx.file.package !== undefined || !ctx.file.spellings) return;
  ctx.report({ ...diagnostic('other-spelling', span, name, to), severity: 'info', fix: { span, text: to } });
}
