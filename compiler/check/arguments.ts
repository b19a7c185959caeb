/** Arguments of calls and fields of records against a schema. */
import type * as Ast from '../../grammar/ast.ts';
import type { Span } from '../../grammar/diagnostics.ts';
import type { Expr, Fields } from '../recipe.ts';
import type { Param, Schema } from '../schema.ts';
import { type Context, nearest, report, suggest } from './context.ts';
import { tellAlias } from './renamed.ts';

/** What takes arguments. */
export interface Callable {
  readonly params: Schema;
  readonly positional?: readonly string[];
}

/** The parameter that a key means, under its canonical name. */
function resolve(schema: Schema, key: string): { name: string; param: Param<unknown> } | undefined {
  const own = schema[key];
  if (own) return { name: key, param: own };
  const alias = Object.entries(schema).find(([, p]) => p.aliases?.includes(key));
  return alias ? { name: alias[0], param: alias[1] } : undefined;
}

/** Arguments of a call by parameter name; positional ones resolved. `what` names the callee in messages. */
export function argsOf(ctx: Context, args: readonly Ast.Arg[], callee: Callable, what: string, span: Span): Fields {
  const out: Record<string, Expr> = {};
  const positional = callee.positional ?? [];
  let next = 0;
  for (const a of args) {
    if (a.name === undefined) {
      const name = positional[next++];
      const param = name === undefined ? undefined : callee.params[name];
      if (name === undefined || param === undefined) {
        report(ctx, 'too-many-arguments', a.span, what, positional.length);
        break;
      }
      put(ctx, out, name, a.value, param, what, a.span);
    } else keyed(ctx, out, a.name, a.value, callee.params, what);
  }
  missing(ctx, out, callee.params, what, span, 'missing-argument');
  return out;
}

/** Fields of a record by parameter name. `required: false` where another place may give what is missing. */
export function fieldsOf(ctx: Context, record: Ast.RecordExpr | undefined, schema: Schema, what: string, span: Span): Fields {
  const out: Record<string, Expr> = {};
  for (const f of record?.fields ?? []) keyed(ctx, out, f.key, f.value, schema, what);
  missing(ctx, out, schema, what, record?.span ?? span, 'missing-field');
  return out;
}

function keyed(ctx: Context, out: Record<string, Expr>, key: Ast.Name, value: Ast.Expr, schema: Schema, what: string): void {
  const found = resolve(schema, key.name);
  if (found) {
    if (key.name !== found.name) tellAlias(ctx, key, found.name, found.param);
    put(ctx, out, found.name, value, found.param, what, key.span);
    return;
  }
  const known = Object.keys(schema);
  const near = nearest(key.name, [...known, ...Object.values(schema).flatMap((p) => p.aliases ?? [])]);
  suggest(ctx, 'unknown-key', key.span, near, what, key.name, near, known);
}

function put(
  ctx: Context,
  out: Record<string, Expr>,
  name: string,
  value: Ast.Expr,
  param: Param<unknown>,
  what: string,
  span: Span,
): void {
  if (name in out) report(ctx, 'duplicate-field', span, name);
  else out[name] = ctx.read.param(ctx, value, param, `\`${name}\` of ${what}`);
}

function missing(ctx: Context, out: Fields, schema: Schema, what: string, span: Span, code: 'missing-argument' | 'missing-field'): void {
  for (const name in schema) if (!schema[name]!.optional && !(name in out)) report(ctx, code, span, what, name, schema[name]!.doc);
}
