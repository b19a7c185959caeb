/** Expressions that no parameter's type guides: objectives, budgets, conditions, domains. */
import type * as Ast from '../../grammar/ast.ts';
import { type Entry, find, kinds, namesOf, plannedRecipes } from '../catalog/index.ts';
import type { Expr, Fields } from '../recipe.ts';
import type { Unit } from '../schema.ts';
import { type Context, type Local, lookup, nearest, nounOf, report, suggest, wrong } from './context.ts';
import { call, truthOf } from './param.ts';
import { entryOf, tellRenamed } from './renamed.ts';
import { importedLet, isSelection } from './selection.ts';

const comparisons = new Set(['<=', '>=', '==', '<', '>']);
/** A word without a context: what can be measured comes first. */
const measured: readonly Entry['kind'][] = ['function', 'metric', 'objective'];

/** The catalogued thing that a word means where nothing says of which kind it must be. */
function anyKind(ctx: Context, name: string): Entry | undefined {
  for (const k of [...measured, ...kinds().filter((x) => !measured.includes(x) && x !== 'role')]) {
    const e = entryOf(ctx, k, name);
    if (e) return e;
  }
  return undefined;
}

/** Reads an expression; every name in it must mean something. */
export function checkExpression(ctx: Context, e: Ast.Expr): Expr {
  const { span } = e;
  if (e.kind !== 'name' && isSelection(ctx, e)) return { kind: 'selection', selection: ctx.read.selection(ctx, e), span };
  switch (e.kind) {
    case 'broken':
      return wrong(span);
    case 'number':
      return { kind: 'number', value: e.value, ...(e.unit ? { unit: e.unit as Unit } : {}), span };
    case 'string':
      return { kind: 'string', value: e.value, span };
    case 'ratio':
      return { kind: 'ratio', n: e.n, of: e.of, span };
    case 'range':
      return {
        kind: 'range',
        from: checkExpression(ctx, e.from),
        to: checkExpression(ctx, e.to),
        ...(e.by ? { by: checkExpression(ctx, e.by) } : {}),
        span,
      };
    case 'list':
      return { kind: 'list', items: e.items.map((x) => checkExpression(ctx, x)), span };
    case 'record':
      return { kind: 'record', fields: Object.fromEntries(e.fields.map((f) => [f.key.name, checkExpression(ctx, f.value)])), span };
    case 'name':
      return name(ctx, e);
    case 'call':
      return called(ctx, e);
    case 'member':
      return member(ctx, e);
    case 'unary': {
      const of = checkExpression(ctx, e.of);
      if (e.op === 'not' && !isCondition(e.of) && e.of.kind !== 'name') report(ctx, 'not-a-condition', e.of.span, '`not`');
      return e.op === 'not' ? { kind: 'not', of, span } : { kind: 'neg', of, span };
    }
    case 'binary':
      return binary(ctx, e);
  }
}

/** Does it say yes or no, as far as its form tells? Names and calls may. */
export const isCondition = (e: Ast.Expr): boolean =>
  e.kind === 'binary'
    ? comparisons.has(e.op) || e.op === 'and' || e.op === 'or'
    : e.kind === 'unary'
      ? e.op === 'not'
      : e.kind === 'name' && truthOf(e.name) !== undefined;

/** Reads a condition: a comparison, or what `and`, `or`, `not` make of them. `where` names the place. */
export function checkCondition(ctx: Context, e: Ast.Expr, where: string): Expr {
  const local = e.kind === 'name' ? lookup(ctx, e.name) : undefined;
  if (!isCondition(e) && e.kind !== 'broken' && local === undefined) report(ctx, 'not-a-condition', e.span, where);
  return checkExpression(ctx, e);
}

function name(ctx: Context, e: Ast.Name): Expr {
  const local = lookup(ctx, e.name);
  if (local) {
    if (local.kind === 'let' && isSelection(ctx, e)) return { kind: 'selection', selection: ctx.read.selection(ctx, e), span: e.span };
    return { kind: 'var', name: e.name, span: e.span };
  }
  const value = truthOf(e.name);
  if (value !== undefined) return { kind: 'bool', value, span: e.span };
  const entry = anyKind(ctx, e.name);
  if (entry) return catalogued(ctx, e, e, entry);
  if (isSelection(ctx, e)) return { kind: 'selection', selection: ctx.read.selection(ctx, e), span: e.span };
  unknown(ctx, e);
  return wrong(e.span);
}

function unknown(ctx: Context, e: Ast.Name): void {
  if (ctx.file.doubtful.has(e.name)) return;
  const measures = measured.flatMap((k) => namesOf(k)).map((x) => x.name);
  const near = nearest(e.name, [
    ...ctx.locals.keys(),
    ...ctx.file.lets.keys(),
    ...measures,
    ...kinds().flatMap((k) => namesOf(k).map((x) => x.name)),
  ]);
  suggest(ctx, 'unknown-name', e.span, near, 'name of the language or of this recipe', e.name, near, [
    ...ctx.locals.keys(),
    ...new Set(measures),
  ]);
}

function catalogued(ctx: Context, callee: Ast.Name, e: Ast.Expr, entry: Entry): Expr {
  tellRenamed(ctx, entry.kind, callee.name, callee.span);
  if (entry.planned) report(ctx, 'planned', callee.span, entry.kind, entry.name);
  return call(ctx, e, entry);
}

function called(ctx: Context, e: Extract<Ast.Expr, { kind: 'call' }>): Expr {
  if (e.callee.kind === 'member') {
    const recipe = recipeName(ctx, e.callee);
    if (recipe) return { kind: 'call', of: 'recipe', name: recipe, args: looseArgs(ctx, e.args), span: e.span };
  }
  if (e.callee.kind !== 'name') {
    report(ctx, 'wrong-type', e.callee.span, 'A call', 'a name', nounOf(e.callee));
    return wrong(e.span);
  }
  const entry = lookup(ctx, e.callee.name) ? undefined : anyKind(ctx, e.callee.name);
  if (entry) return catalogued(ctx, e.callee, e, entry);
  unknown(ctx, e.callee);
  return wrong(e.span);
}
const looseArgs = (ctx: Context, args: readonly Ast.Arg[]): Fields =>
  Object.fromEntries(args.map((a, i) => [a.name?.name ?? String(i), checkExpression(ctx, a.value)]));

/** `std.qoq`: the recipe's name with its package, or undefined where the word before the dot is no package. */
export function recipeName(ctx: Context, e: Extract<Ast.Expr, { kind: 'member' }>): string | undefined {
  if (e.of.kind !== 'name' || lookup(ctx, e.of.name)) return undefined;
  const alias = e.of.name;
  const used = ctx.file.packages.get(alias);
  const full = `${alias}.${e.name.name}`;
  if (used?.recipes.has(e.name.name)) return full;
  if ((used !== undefined || !ctx.file.packages.has(alias)) && alias === 'std' && Object.hasOwn(plannedRecipes, e.name.name)) {
    report(ctx, 'planned', e.span, 'recipe', full);
    return full;
  }
  if (ctx.file.packages.has(alias)) {
    if (used) {
      const near = nearest(e.name.name, used.recipes.keys());
      suggest(ctx, 'unknown-recipe', e.name.span, near, e.name.name, `\`${alias}\``, near, [...used.recipes.keys()]);
    }
    return full;
  }
  return undefined;
}

function member(ctx: Context, e: Extract<Ast.Expr, { kind: 'member' }>): Expr {
  if (e.of.kind === 'name') {
    const local = lookup(ctx, e.of.name);
    if (local?.kind === 'schedule') {
      if (e.name.name !== 'step' && e.name.name !== 'range') {
        const known = ['step', 'range'];
        const near = nearest(e.name.name, known);
        suggest(ctx, 'unknown-member', e.name.span, near, e.of.name, e.name.name, near, known);
      }
      return { kind: 'member', of: { kind: 'var', name: e.of.name, span: e.of.span }, name: e.name.name, span: e.span };
    }
    const imported = importedLet(ctx, e);
    if (imported?.value) return checkExpression({ ...imported.in, report: () => undefined }, imported.value);
    const recipe = recipeName(ctx, e);
    if (recipe) return { kind: 'call', of: 'recipe', name: recipe, args: {}, span: e.span };
    if (!local && !ctx.file.doubtful.has(e.of.name)) report(ctx, 'unknown-package', e.of.span, e.of.name);
    else if (local) suggest(ctx, 'unknown-member', e.name.span, undefined, e.of.name, e.name.name, undefined, []);
    return wrong(e.span);
  }
  report(ctx, 'wrong-type', e.of.span, 'A member', 'a name before the dot', nounOf(e.of));
  return wrong(e.span);
}

function binary(ctx: Context, e: Extract<Ast.Expr, { kind: 'binary' }>): Expr {
  const { op, span } = e;
  if (op === '->' || op === '<->') return { kind: 'selection', selection: ctx.read.selection(ctx, e), span };
  if (op === '==' && e.right.kind === 'name') {
    const word = domainWord(ctx, e.left, e.right);
    if (word) return { kind: 'op', op, left: checkExpression(ctx, e.left), right: word, span };
  }
  const tolerance = op === '==' && e.right.kind === 'binary' && e.right.op === '+-' ? e.right : undefined;
  if (op === '+-') report(ctx, 'bad-tolerance', span);
  const left = checkExpression(ctx, e.left);
  const right: Expr = tolerance
    ? {
        kind: 'op',
        op: '+-',
        left: checkExpression(ctx, tolerance.left),
        right: checkExpression(ctx, tolerance.right),
        span: tolerance.span,
      }
    : checkExpression(ctx, e.right);
  if (op === 'and' || op === 'or') {
    for (const side of [e.left, e.right])
      if (!isCondition(side) && side.kind !== 'name' && side.kind !== 'broken') report(ctx, 'not-a-condition', side.span, `\`${op}\``);
  } else {
    for (const side of [e.left, e.right]) if (isCondition(side) && op !== '==') report(ctx, 'not-a-number', side.span, `\`${op}\``);
    if (comparisons.has(op)) units(ctx, left, e.right);
  }
  return { kind: 'op', op, left, right, span };
}

/** The unit of a bound must be one that the measured thing has. */
function units(ctx: Context, left: Expr, right: Ast.Expr): void {
  const literal = right.kind === 'binary' && right.op === '+-' ? right.left : right;
  if (left.kind !== 'call' || literal.kind !== 'number' || !literal.unit) return;
  const entry = find(left.of as Entry['kind'], left.name);
  if (entry && !(entry.units ?? []).includes(literal.unit))
    report(ctx, 'wrong-unit', literal.span, `\`${left.name}\``, literal.unit, entry.units ?? []);
}

/** `form == table`: the right word is one of the domain of the left variable. */
function domainWord(ctx: Context, left: Ast.Expr, right: Ast.Name): Expr | undefined {
  const local = left.kind === 'name' ? lookup(ctx, left.name) : undefined;
  if (!local || lookup(ctx, right.name) || truthOf(right.name) !== undefined) return undefined;
  const words = wordsOf(local);
  if (words.length === 0) return undefined;
  const found = words.find((w) => w.name === right.name);
  if (!found) {
    const known = words.map((w) => w.name);
    const near = nearest(right.name, known);
    suggest(ctx, 'unknown-choice', right.span, near, `\`${local.name.name}\``, right.name, near, known);
  }
  return word(ctx, right);
}
const wordsOf = (l: Local): Ast.Name[] =>
  [l.value, ...(l.domain?.kind === 'list' ? l.domain.items : [])].filter(
    (x): x is Ast.Name => x?.kind === 'name' && truthOf(x.name) === undefined,
  );

/** A value of a domain or a default: a catalogued name, or a word of the recipe's own (`[table, solved]`). */
export function word(ctx: Context, e: Ast.Expr): Expr {
  if (e.kind === 'name' && !lookup(ctx, e.name) && truthOf(e.name) === undefined && !isSelection(ctx, e)) {
    const entry = valueKinds.map((k) => find(k, e.name)).find((x) => x !== undefined);
    if (!entry) return { kind: 'string', value: e.name, span: e.span };
    return catalogued(ctx, e, e, entry);
  }
  if (e.kind === 'call' && e.callee.kind === 'name' && !lookup(ctx, e.callee.name)) {
    const { name } = e.callee;
    const entry = valueKinds.map((k) => find(k, name)).find((x) => x !== undefined);
    if (entry) return catalogued(ctx, e.callee, e, entry);
  }
  return checkExpression(ctx, e);
}
const valueKinds = ['format', 'law', 'scheme', 'matrix', 'search'] as const;
