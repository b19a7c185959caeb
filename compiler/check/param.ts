/** A value under the type of its parameter. */
import type * as Ast from '../../grammar/ast.ts';
import { type Entry, kindsOf, namesOf } from '../catalog/index.ts';
import type { Expr } from '../recipe.ts';
import { int, type NameKind, type Param, type ParamKind, type Schema, type Unit } from '../schema.ts';
import { argsOf, fieldsOf } from './arguments.ts';
import { type Context, type Local, lookup, nearest, nounOf, report, suggest, trial, wrong } from './context.ts';
import { entryOf, tellRenamed, tellSpelling } from './renamed.ts';
import { isSelection } from './selection.ts';

const truths: Readonly<Record<string, boolean>> = { yes: true, no: false, true: true, false: false };
export const truthOf = (name: string): boolean | undefined => (Object.hasOwn(truths, name) ? truths[name] : undefined);
type Kind<K extends ParamKind['kind']> = Extract<ParamKind, { kind: K }>;

/** Reads a value for a parameter. `key` names the parameter in messages. */
export function checkParam(ctx: Context, e: Ast.Expr, p: Param<unknown>, key: string): Expr {
  if (e.kind === 'broken') return wrong(e.span);
  if (e.kind === 'name') {
    const local = lookup(ctx, e.name);
    if (local) return localParam(ctx, e, local, p, key);
    if (ctx.file.doubtful.has(e.name)) return wrong(e.span);
  }
  const { is } = p;
  switch (is.kind) {
    case 'number':
      return number(ctx, e, is, key);
    case 'bool':
      return bool(ctx, e, key);
    case 'string':
      if (e.kind === 'string') return { kind: 'string', value: e.value, span: e.span };
      break;
    case 'choice':
      return choice(ctx, e, is, key);
    case 'ref':
      return ref(ctx, e, is.of, key);
    case 'selection':
      return { kind: 'selection', selection: ctx.read.selection(ctx, e), span: e.span };
    case 'expression':
      return ctx.read.expression(ctx, e);
    case 'range':
      if (e.kind === 'range') return ctx.read.expression(ctx, e);
      break;
    case 'list':
      if (e.kind === 'list')
        return { kind: 'list', items: e.items.map((x) => checkParam(ctx, x, is.of, `an item of ${key}`)), span: e.span };
      break;
    case 'record':
      if (e.kind !== 'record') break;
      return is.of ? { kind: 'record', fields: fieldsOf(ctx, e, is.of, key, e.span), span: e.span } : ctx.read.expression(ctx, e);
    case 'either': {
      const fits = is.of.find((x) => looksLike(ctx, e, x)) ?? is.of.find((x) => x.is.kind === 'selection' && e.kind === 'name');
      if (fits) return checkParam(ctx, e, fits, key);
    }
  }
  return mistyped(ctx, e, p, key);
}

function mistyped(ctx: Context, e: Ast.Expr, p: Param<unknown>, key: string): Expr {
  report(ctx, 'wrong-type', e.span, key, wantedOf(p), nounOf(e));
  return wrong(e.span);
}

/** A parameter's type in words. */
export function wantedOf(p: Param<unknown>): string {
  const { is } = p;
  switch (is.kind) {
    case 'number':
      return is.int ? 'a whole number' : is.units ? `a number (${is.units.join(', ')})` : 'a number';
    case 'bool':
      return 'yes or no';
    case 'string':
      return 'a text';
    case 'choice':
      return is.of.length === 1 ? `\`${is.of[0]}\`` : `one of ${is.of.join(', ')}`;
    case 'ref':
      return `a ${is.of}`;
    case 'selection':
      return 'a selection';
    case 'expression':
      return 'an expression';
    case 'range':
      return 'a range (`0..3`)';
    case 'list':
      return `a list in [ ] of ${wantedOf(is.of).replace(/^an? /, '')}`;
    case 'record':
      return 'a record in { }';
    case 'either':
      return is.of.map(wantedOf).join(' or ');
  }
}

/** Which alternative of an `either` the writer had in mind. */
function looksLike(ctx: Context, e: Ast.Expr, p: Param<unknown>): boolean {
  const { is } = p;
  const callee = e.kind === 'call' ? e.callee : e;
  switch (is.kind) {
    case 'number':
      return e.kind === 'number' || (e.kind === 'unary' && e.op === '-') || (e.kind === 'binary' && '+-*/'.includes(e.op));
    case 'bool':
      return e.kind === 'name' && truthOf(e.name) !== undefined;
    case 'choice':
      return e.kind === 'name' && is.of.includes(e.name);
    case 'ref':
      return callee.kind === 'name' && entryOf(ctx, is.of, callee.name) !== undefined;
    case 'selection':
      return isSelection(ctx, e);
    case 'expression':
      return true;
    case 'either':
      return is.of.some((x) => looksLike(ctx, e, x));
    default:
      return e.kind === is.kind;
  }
}

function number(ctx: Context, e: Ast.Expr, is: Kind<'number'>, key: string): Expr {
  if (e.kind === 'number') {
    const value = within(ctx, e, is, key, 1);
    return { kind: 'number', value: e.value, ...(value ? { unit: value } : {}), span: e.span };
  }
  if (e.kind === 'unary' && e.op === '-') {
    if (e.of.kind === 'number') within(ctx, e.of, is, key, -1);
    return { kind: 'neg', of: e.of.kind === 'number' ? literal(e.of) : number(ctx, e.of, anyNumber, key), span: e.span };
  }
  if (e.kind === 'binary' && (e.op === '+' || e.op === '-' || e.op === '*' || e.op === '/')) {
    const side = (x: Ast.Expr): Expr => checkParam(ctx, x, { is: anyNumber, doc: '', optional: false }, key);
    return { kind: 'op', op: e.op, left: side(e.left), right: side(e.right), span: e.span };
  }
  return mistyped(ctx, e, { is, doc: '', optional: false }, key);
}
const anyNumber: Kind<'number'> = { kind: 'number', int: false };
const literal = (e: Extract<Ast.Expr, { kind: 'number' }>): Expr => ({ kind: 'number', value: e.value, span: e.span });

/** Checks a literal against unit, range and wholeness; gives its unit. */
function within(ctx: Context, e: Extract<Ast.Expr, { kind: 'number' }>, is: Kind<'number'>, key: string, sign: 1 | -1): Unit | undefined {
  const unit = e.unit as Unit | undefined;
  if (unit && is !== anyNumber && !is.units?.includes(unit)) {
    report(ctx, 'wrong-unit', e.span, key, unit, is.units ?? []);
    return unit;
  }
  const value = sign * e.value * (unit === '%' ? 0.01 : unit === 'M' ? 1e6 : 1);
  const [min, max] = [is.min ?? Number.NEGATIVE_INFINITY, is.max ?? Number.POSITIVE_INFINITY];
  const bound = is.min === undefined ? `at most ${max}` : is.max === undefined ? `at least ${min}` : `from ${min} to ${max}`;
  if (value < min || value > max) report(ctx, 'out-of-range', e.span, key, value, bound);
  else if (is.int && !Number.isInteger(value)) report(ctx, 'not-whole', e.span, key, value);
  return unit;
}

function bool(ctx: Context, e: Ast.Expr, key: string): Expr {
  const value = e.kind === 'name' ? truthOf(e.name) : undefined;
  if (e.kind === 'name' && value !== undefined) {
    if (e.name === 'true' || e.name === 'false') tellSpelling(ctx, e.name, value ? 'yes' : 'no', e.span);
    return { kind: 'bool', value, span: e.span };
  }
  const condition = (e.kind === 'unary' && e.op === 'not') || (e.kind === 'binary' && !'+-*/'.includes(e.op));
  return condition ? ctx.read.expression(ctx, e) : mistyped(ctx, e, { is: { kind: 'bool' }, doc: '', optional: false }, key);
}

function choice(ctx: Context, e: Ast.Expr, is: Kind<'choice'>, key: string): Expr {
  if (e.kind !== 'name') return mistyped(ctx, e, { is, doc: '', optional: false }, key);
  if (!is.of.includes(e.name)) {
    const near = nearest(e.name, is.of);
    suggest(ctx, 'unknown-choice', e.span, near, key, e.name, near, is.of);
  }
  return { kind: 'string', value: e.name, span: e.span };
}

/** A number format nested in another says its group itself. */
const nested: Schema = { group: int({ doc: 'Elements that share a scale.', min: 2, optional: true, aliases: ['group_size'] }) };

/** A name of one kind, with arguments. */
function ref(ctx: Context, e: Ast.Expr, kind: NameKind, key: string): Expr {
  if (kind === 'matrix' && e.kind === 'binary' && e.op === '*') {
    return { kind: 'op', op: '*', left: ref(ctx, e.left, kind, key), right: ref(ctx, e.right, kind, key), span: e.span };
  }
  const callee = e.kind === 'call' ? e.callee : e;
  if (callee.kind !== 'name') return mistyped(ctx, e, { is: { kind: 'ref', of: kind }, doc: '', optional: false }, key);
  const entry = named(ctx, callee, kind);
  if (!entry) return wrong(e.span);
  const callable = kind === 'format' ? { ...entry, params: { ...entry.params, ...nested } } : entry;
  return call(ctx, e, callable);
}

/** Finds a name of a kind, or reports that there is none. */
export function named(ctx: Context, name: Ast.Name, kind: NameKind): Entry | undefined {
  const entry = entryOf(ctx, kind, name.name);
  if (entry) {
    tellRenamed(ctx, kind, name.name, name.span);
    if (entry.planned) report(ctx, 'planned', name.span, kind, name.name);
    return entry;
  }
  if (ctx.file.doubtful.has(name.name)) return undefined;
  const known = namesOf(kind).map((x) => x.name);
  const near = nearest(name.name, known);
  const built = namesOf(kind).filter((x) => !x.planned && !x.spelling);
  suggest(
    ctx,
    'unknown-name',
    name.span,
    near,
    kind,
    name.name,
    near,
    (built.length ? built : namesOf(kind)).map((x) => x.name),
    kindsOf(name.name),
  );
  return undefined;
}

/** A call (or a bare name) of a catalogued thing. */
export function call(ctx: Context, e: Ast.Expr, entry: Entry): Expr {
  const args = argsOf(ctx, e.kind === 'call' ? e.args : [], entry, `\`${entry.name}\``, e.span);
  return { kind: 'call', of: entry.kind, name: entry.name, args, span: e.span };
}

/** A local name where a parameter's value is wanted: its own value must fit. */
function localParam(ctx: Context, e: Ast.Name, local: Local, p: Param<unknown>, key: string): Expr {
  if (local.kind === 'let' && isSelection(ctx, e)) {
    if (accepts(p, 'selection')) return { kind: 'selection', selection: ctx.read.selection(ctx, e), span: e.span };
    return mistyped(ctx, e, p, key);
  }
  if (p.is.kind === 'selection') return { kind: 'selection', selection: ctx.read.selection(ctx, e), span: e.span };
  if (!local.verdicts.has(p)) {
    local.verdicts.set(p, undefined);
    local.verdicts.set(p, misfit(local, p, key, ctx.open));
  }
  const bad = local.verdicts.get(p);
  if (bad)
    ctx.report({ ...bad, span: e.span, related: [{ message: `\`${e.name}\` is declared here`, span: bad.span ?? local.name.span }] });
  return { kind: 'var', name: e.name, span: e.span };
}
const accepts = (p: Param<unknown>, kind: ParamKind['kind']): boolean =>
  p.is.kind === kind || p.is.kind === 'expression' || (p.is.kind === 'either' && p.is.of.some((x) => accepts(x, kind)));

/** The first value of a local name that does not fit: its value, its default, or one of its domain. */
function misfit(local: Local, p: Param<unknown>, key: string, open: readonly string[]): ReturnType<typeof trial> {
  if (open.includes(local.name.name)) return undefined;
  const inside = { ...local.in, open: [...open, local.name.name] };
  const domain =
    local.domain?.kind === 'list' ? local.domain.items : local.domain?.kind === 'range' ? [local.domain.from, local.domain.to] : [];
  const values = [...(local.value ? [local.value] : []), ...domain];
  for (const v of values) {
    const bad = trial(inside, (quiet) => checkParam(quiet, v, p, key));
    // Planned names are reported where they stand.
    if (bad && bad.code !== 'planned') {
      const { fix: _, ...rest } = bad;
      return { ...rest, span: v.span };
    }
  }
  return undefined;
}
