/** Evaluates expressions of a checked recipe under a binding: values with units, ranges, lists, arithmetic, conditions. */
import { type Diagnostic, QcError, type Span } from '../../grammar/diagnostics.ts';
import type { Binding, Expr, Recipe, Selection } from '../recipe.ts';
import type { Ref, Unit } from '../schema.ts';

/** An evaluated expression. A `ref` is a named thing whose arguments are values; `near` is `a +- b`. */
export type Val =
  | { readonly kind: 'number'; readonly value: number; readonly unit?: Unit }
  | { readonly kind: 'near'; readonly value: number; readonly tolerance: number; readonly unit?: Unit }
  | { readonly kind: 'string'; readonly value: string }
  | { readonly kind: 'bool'; readonly value: boolean }
  | { readonly kind: 'ratio'; readonly n: number; readonly of: number }
  | { readonly kind: 'range'; readonly from: number; readonly to: number; readonly by?: number }
  | { readonly kind: 'list'; readonly items: readonly Val[] }
  | { readonly kind: 'record'; readonly fields: Readonly<Record<string, Val>> }
  | { readonly kind: 'ref'; readonly of: string; readonly name: string; readonly args: Readonly<Record<string, Val>> }
  | { readonly kind: 'selection'; readonly selection: Selection };

export type Call = Extract<Expr, { kind: 'call' }>;

/** One use of a recipe: its own text, or one that `apply` brought in with arguments. */
export interface Scope {
  readonly recipe: Recipe;
  /** '' for the recipe itself; `name/` for an applied one. Variables are bound as `prefix + name`. */
  readonly prefix: string;
  readonly params: ReadonlyMap<string, Val>;
  readonly binding: Binding;
  /** Domains of the variables of this recipe, so that a bound word gives back its value (`mse(40)`). */
  readonly domains: ReadonlyMap<string, readonly Val[]>;
  /** The tied group whose `each` variables are read. */
  readonly unit?: string;
  /** Bytes of the float model, so that sizes compare with `0.3x` and `30%`. */
  readonly whole?: number;
  /** Measured things: `size`, `sqnr(output("logits"))`. undefined: not a measured thing. */
  readonly measured?: (call: Call, scope: Scope) => Val | undefined;
}

/** Throws one error at a place of the recipe. */
export function failAt(code: string, message: string, span: Span, hint?: string, extra: Partial<Diagnostic> = {}): never {
  throw new QcError([{ code, severity: 'error', message, span, ...(hint === undefined ? {} : { hint }), ...extra }]);
}

const number = (value: number, unit?: Unit): Val => ({ kind: 'number', value, ...(unit ? { unit } : {}) });
export const bool = (value: boolean): Val => ({ kind: 'bool', value });

/** What a bound or `--param` value is as an expression's value. */
export function toVal(v: number | string | boolean): Val {
  if (typeof v === 'number') return number(v);
  return typeof v === 'string' ? { kind: 'string', value: v } : bool(v);
}

/** Bytes, fractions and counts behind a unit; dB, x and ms keep their number. Sizes are decimal: 1 MB = 1e6 B. */
export function plain(value: number, unit?: Unit): number {
  const factors: Partial<Record<Unit, number>> = { '%': 0.01, KB: 1e3, MB: 1e6, GB: 1e9, M: 1e6 };
  return value * (unit ? (factors[unit] ?? 1) : 1);
}

/** The key of a variable in a binding: `bits@group` for one of an `each`, `prefix/alpha` inside an applied recipe. */
export const keyOf = (prefix: string, name: string, unit?: string): string => `${prefix}${name}${unit === undefined ? '' : `@${unit}`}`;

const fromDomain = (name: string, bound: number | string | boolean, scope: Scope): Val =>
  scope.domains.get(name)?.find((v) => wordOf(v) === bound) ?? toVal(bound);

function lookup(name: string, span: Span, scope: Scope): Val {
  if (scope.unit !== undefined) {
    const each = scope.binding[keyOf(scope.prefix, name, scope.unit)];
    if (each !== undefined) return fromDomain(name, each, scope);
  }
  const bound = scope.binding[keyOf(scope.prefix, name)];
  if (bound !== undefined) return fromDomain(name, bound, scope);
  const param = scope.params.get(name);
  if (param) return param;
  const given = scope.recipe.lets.get(name);
  if (given) return evaluate(given, scope);
  return failAt(
    'unbound-variable',
    `Nothing binds \`${name}\`${scope.unit === undefined ? '' : ` for ${scope.unit}`}.`,
    span,
    `Name it in a \`search\`, give it with --param ${name}=VALUE, or replay earlier results with --replay.`,
  );
}

/** The value of an expression. Errors (`unbound-variable`, `not-a-number`, …) carry the expression's span. */
export function evaluate(e: Expr, scope: Scope): Val {
  switch (e.kind) {
    case 'number':
      return number(e.value, e.unit);
    case 'string':
    case 'bool':
      return e.kind === 'bool' ? bool(e.value) : { kind: 'string', value: e.value };
    case 'ratio':
      return { kind: 'ratio', n: e.n, of: e.of };
    case 'range': {
      const by = e.by ? numberOf(e.by, scope) : undefined;
      return { kind: 'range', from: numberOf(e.from, scope), to: numberOf(e.to, scope), ...(by === undefined ? {} : { by }) };
    }
    case 'list':
      return { kind: 'list', items: e.items.map((x) => evaluate(x, scope)) };
    case 'record':
      return { kind: 'record', fields: mapFields(e.fields, scope) };
    case 'var':
      return lookup(e.name, e.span, scope);
    case 'call':
      return scope.measured?.(e, scope) ?? { kind: 'ref', of: e.of, name: e.name, args: mapFields(e.args, scope) };
    case 'member':
      return { kind: 'ref', of: 'member', name: e.name, args: { of: evaluate(e.of, scope) } };
    case 'selection':
      return { kind: 'selection', selection: e.selection };
    case 'neg':
      return number(-numberOf(e.of, scope), unitOf(evaluate(e.of, scope)));
    case 'not':
      return bool(!truth(e.of, scope));
    case 'op':
      return operate(e, scope);
  }
}

export const mapFields = (fields: Readonly<Record<string, Expr>>, scope: Scope): Record<string, Val> =>
  Object.fromEntries(Object.entries(fields).map(([k, v]) => [k, evaluate(v, scope)]));

/** A plain number: `25%` is .25, `1M` is 1e6. */
export function numberOf(e: Expr, scope: Scope): number {
  const v = evaluate(e, scope);
  if (v.kind === 'number') return plain(v.value, v.unit);
  return failAt('not-a-number', `A number is needed here; this is a ${describe(v)}.`, e.span);
}

/** The truth of a condition. */
export function truth(e: Expr, scope: Scope): boolean {
  const v = evaluate(e, scope);
  if (v.kind === 'bool') return v.value;
  return failAt('not-a-condition', `A condition is needed here; this is a ${describe(v)}.`, e.span);
}

const unitOf = (v: Val): Unit | undefined => (v.kind === 'number' || v.kind === 'near' ? v.unit : undefined);

function operate(e: Extract<Expr, { kind: 'op' }>, scope: Scope): Val {
  if (e.op === 'and') return bool(truth(e.left, scope) && truth(e.right, scope));
  if (e.op === 'or') return bool(truth(e.left, scope) || truth(e.right, scope));
  const a = evaluate(e.left, scope);
  const b = evaluate(e.right, scope);
  if (e.op === '==') return bool(equal(a, b));
  if (e.op === '*' && a.kind === 'ref' && a.of === 'matrix' && b.kind === 'ref')
    return { kind: 'ref', of: 'matrix', name: 'product', args: { left: a, right: b } };
  if (a.kind !== 'number' || (b.kind !== 'number' && b.kind !== 'near'))
    return failAt('not-a-number', `\`${e.op}\` is between numbers; this is a ${describe(a.kind === 'number' ? b : a)}.`, e.span);
  const unit = a.unit ?? b.unit;
  const x = comparable(a, b, scope);
  const y = comparable(b, a, scope);
  const kept = unit === 'dB' || unit === 'x' || unit === 'ms' ? unit : undefined;
  switch (e.op) {
    case '+':
      return number(x + y, kept);
    case '-':
      return number(x - y, kept);
    case '*':
      return number(x * y, kept);
    case '/':
      return number(x / y, kept);
    case '+-':
      return { kind: 'near', value: x, tolerance: y, ...(kept ? { unit: kept } : {}) };
    case '<=':
      return bool(x <= y);
    case '>=':
      return bool(x >= y);
    case '<':
      return bool(x < y);
    case '>':
      return bool(x > y);
  }
}

/** A number beside another one: bytes beside `x` or `%` become a share of the float model. */
function comparable(v: { readonly value: number; readonly unit?: Unit }, other: { readonly unit?: Unit }, scope: Scope): number {
  const share = v.unit === 'B' && (other.unit === 'x' || other.unit === '%');
  return share && scope.whole ? v.value / scope.whole : plain(v.value, v.unit);
}

/** Equality of values; `x == a +- b` is |x − a| ≤ b. */
export function equal(a: Val, b: Val): boolean {
  if (a.kind === 'number' && b.kind === 'near') return Math.abs(plain(a.value, a.unit) - b.value) <= b.tolerance;
  if (a.kind === 'near' && b.kind === 'number') return equal(b, a);
  if (a.kind === 'number' && b.kind === 'number') return plain(a.value, a.unit) === plain(b.value, b.unit);
  return wordOf(a) === wordOf(b);
}

/** A value as one word: what a binding stores. */
export function wordOf(v: Val): number | string | boolean {
  if (v.kind === 'number') return plain(v.value, v.unit);
  if (v.kind === 'string' || v.kind === 'bool') return v.value;
  return print(v);
}

/** The values of a domain: a list's items; a range in its steps (integers by 1). */
export function domainOf(e: Expr, scope: Scope): Val[] {
  const v = evaluate(e, scope);
  if (v.kind === 'list') return [...v.items];
  if (v.kind === 'range') {
    const by = v.by ?? (Number.isInteger(v.from) && Number.isInteger(v.to) ? 1 : undefined);
    if (by === undefined)
      return failAt('endless-domain', 'A range of real numbers has no end of values.', e.span, 'Give a step: `0..1 by 0.05`.');
    if (!(by > 0) || v.to < v.from) return failAt('empty-domain', 'No value lies in this domain.', e.span);
    const n = Math.floor((v.to - v.from) / by + 1e-9) + 1;
    if (n > 100000) return failAt('endless-domain', `This domain has ${n} values; at most 100000 can be searched.`, e.span);
    return Array.from({ length: n }, (_, i) => number(Number((v.from + i * by).toPrecision(12))));
  }
  return failAt('not-a-domain', `A domain is a list or a range; this is a ${describe(v)}.`, e.span);
}

export function describe(v: Val): string {
  return v.kind === 'ref' ? `${v.of} \`${v.name}\`` : v.kind === 'bool' ? 'truth value' : v.kind;
}

/** The canonical text of a value. */
export function print(v: Val): string {
  switch (v.kind) {
    case 'number':
      return `${v.value}${v.unit ?? ''}`;
    case 'near':
      return `${v.value} +- ${v.tolerance}`;
    case 'string':
      return JSON.stringify(v.value);
    case 'bool':
      return v.value ? 'yes' : 'no';
    case 'ratio':
      return `${v.n}:${v.of}`;
    case 'range':
      return `${v.from}..${v.to}${v.by === undefined ? '' : ` by ${v.by}`}`;
    case 'list':
      return `[${v.items.map(print).join(', ')}]`;
    case 'record':
      return `{ ${Object.entries(v.fields)
        .map(([k, x]) => `${k}: ${print(x)}`)
        .join(', ')} }`;
    case 'ref': {
      const args = Object.entries(v.args).map(([k, x]) => `${k}: ${print(x)}`);
      return args.length ? `${v.name}(${args.join(', ')})` : v.name;
    }
    case 'selection':
      return 'selection';
  }
}

/** Plain data of a value, for schemas that take it: numbers, words, lists, records, Refs. */
export function dataOf(v: Val): unknown {
  switch (v.kind) {
    case 'number':
      return plain(v.value, v.unit);
    case 'string':
    case 'bool':
      return v.value;
    case 'list':
      return v.items.map(dataOf);
    case 'record':
      return Object.fromEntries(Object.entries(v.fields).map(([k, x]) => [k, dataOf(x)]));
    case 'ref':
      return refOf(v);
    case 'range':
      return [v.from, v.to];
    default:
      return v;
  }
}
export const refOf = (v: Extract<Val, { kind: 'ref' }>): Ref => ({
  name: v.name,
  args: Object.fromEntries(Object.entries(v.args).map(([k, x]) => [k, dataOf(x)])),
});
