/** Domains of variables and what `each` ranges over. */
import type * as Ast from '../../grammar/ast.ts';
import { find } from '../catalog/index.ts';
import type { Expr } from '../recipe.ts';
import { ref } from '../schema.ts';
import { type Context, lookup, nounOf, report } from './context.ts';
import { checkExpression, word } from './expression.ts';
import { hasEdge, isSelection } from './selection.ts';

/** A number that is written out, with its sign; undefined where it is computed. */
export function constant(e: Ast.Expr): number | undefined {
  if (e.kind === 'number') return e.value * (e.unit === '%' ? 0.01 : e.unit === 'M' ? 1e6 : 1);
  if (e.kind !== 'unary' || e.op !== '-') return undefined;
  const of = constant(e.of);
  return of === undefined ? undefined : -of;
}

/** A list, a range or a named domain. */
export function checkDomain(ctx: Context, e: Ast.Expr): Expr {
  if (e.kind === 'list') {
    if (e.items.length === 0) report(ctx, 'bad-domain', e.span, 'A domain without values', 'List at least one value.');
    return { kind: 'list', items: e.items.map((x) => word(ctx, x)), span: e.span };
  }
  if (e.kind === 'range') {
    const [from, to, by] = [constant(e.from), constant(e.to), e.by ? constant(e.by) : undefined];
    if (from !== undefined && to !== undefined && from > to)
      report(ctx, 'bad-domain', e.span, 'No value lies in this domain', 'Write the smaller end first.');
    if (by !== undefined && by <= 0)
      report(ctx, 'bad-domain', e.by?.span ?? e.span, 'A step must be larger than 0', 'Write `0..1 by 0.05`.');
    const real = [from, to].some((x) => x !== undefined && !Number.isInteger(x));
    if (real && !e.by) report(ctx, 'bad-domain', e.span, 'A range of real numbers has no end of values', 'Give a step: `0..1 by 0.05`.');
    return checkExpression(ctx, e);
  }
  if (e.kind === 'call' && e.callee.kind === 'name' && find('domain', e.callee.name))
    return ctx.read.param(ctx, e, ref('domain', { doc: 'A domain.' }), 'the domain');
  if (e.kind === 'name' && lookup(ctx, e.name)) return checkExpression(ctx, e);
  if (e.kind !== 'broken')
    report(ctx, 'bad-domain', e.span, `${nounOf(e)} is no domain`, 'A domain is a list or a range: `[4, 8]`, `0..1 by 0.05`.');
  return checkExpression({ ...ctx, report: () => undefined }, e);
}

/** `each s`, `each sched.step`, `each sched.step * s`. */
export function checkEach(ctx: Context, e: Ast.Expr): Expr {
  if (e.kind === 'binary' && e.op === '*')
    return { kind: 'op', op: '*', left: checkEach(ctx, e.left), right: checkEach(ctx, e.right), span: e.span };
  if (e.kind === 'member' && e.of.kind === 'name' && lookup(ctx, e.of.name)?.kind === 'schedule') return checkExpression(ctx, e);
  const selection = ctx.read.selection(ctx, e);
  if (hasEdge(selection)) report(ctx, 'edge-not-allowed', e.span, 'each');
  return { kind: 'selection', selection, span: e.span };
}

/** Is a default a value of its domain, as far as both are written out? */
export function defaultFits(ctx: Context, value: Ast.Expr, domain: Ast.Expr): boolean {
  const v = constant(value);
  if (domain.kind === 'range') {
    const [from, to] = [constant(domain.from), constant(domain.to)];
    return v === undefined || from === undefined || to === undefined || (v >= from && v <= to);
  }
  if (domain.kind !== 'list') return true;
  const items = domain.items.map((x) => (x.kind === 'name' ? x.name : constant(x)));
  const mine = value.kind === 'name' && !lookup(ctx, value.name) && !isSelection(ctx, value) ? value.name : v;
  return mine === undefined || items.some((x) => x === undefined) || items.includes(mine);
}
