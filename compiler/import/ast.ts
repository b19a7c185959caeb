/** Short constructors of syntax trees, for recipes that are made and not typed. The printer gives them their text. */
import type { Arg, Expr, Field, File, Name, Node, RecordExpr, Stmt, Text, Trivia } from '../../grammar/ast.ts';
import type { Span } from '../../grammar/diagnostics.ts';
import { printNode } from '../../grammar/printer.ts';

const span: Span = { file: '', start: 0, end: 0, line: 1, column: 1 };

export const name = (n: string): Name => ({ kind: 'name', name: n, span });
export const text = (value: string): Text => ({ kind: 'string', value, span });
/** A number as people write it; negative ones are a unary minus. */
export function number(value: number): Expr {
  if (value < 0) return { kind: 'unary', op: '-', of: number(-value), span };
  return { kind: 'number', text: String(value), value, span };
}
export const list = (...items: Expr[]): Expr => ({ kind: 'list', items, span });
export const ratio = (n: number, of: number): Expr => ({ kind: 'ratio', n, of, span });

/** A value of a record or of an argument: words are names. */
export type Val = Expr | number | string | boolean;
const expr = (v: Val): Expr =>
  typeof v === 'number' ? number(v) : typeof v === 'string' ? name(v) : typeof v === 'boolean' ? name(v ? 'yes' : 'no') : v;

/** Fields in the order that they are given; undefined ones are left out. */
export type Fields = Readonly<Record<string, Val | undefined>>;
const given = (f: Fields): [string, Val][] => Object.entries(f).filter((e): e is [string, Val] => e[1] !== undefined);

export function record(f: Fields): RecordExpr | undefined {
  const fields = given(f).map(([k, v]): Field => ({ kind: 'field', key: name(k), value: expr(v), span }));
  return fields.length ? { kind: 'record', fields, span } : undefined;
}
export function call(callee: string, positional: readonly Val[] = [], named: Fields = {}): Expr {
  const args: Arg[] = positional.map((v) => ({ kind: 'arg', value: expr(v), span }));
  for (const [k, v] of given(named)) args.push({ kind: 'arg', name: name(k), value: expr(v), span });
  return args.length ? { kind: 'call', callee: name(callee), args, span } : name(callee);
}
/** `attention.q` from its two words. */
export function role(path: string): Expr {
  const [of = '', member] = path.split('.');
  return member === undefined ? name(of) : { kind: 'member', of: name(of), name: name(member), span };
}
export const glob = (pattern: string): Expr => call('path', [text(pattern)]);
export const regex = (pattern: string): Expr => call('path', [], { re: text(pattern) });

export const and = (left: Expr, right: Expr): Expr => ({ kind: 'binary', op: 'and', left, right, span });
export const edge = (left: Expr, right: Expr): Expr => ({ kind: 'binary', op: '->', left, right, span });
export const not = (of: Expr): Expr => ({ kind: 'unary', op: 'not', of, span });
/** One selection for several, each once. */
export function or(...all: readonly Expr[]): Expr {
  const once = [...new Map(all.map((e) => [printNode(e), e])).values()];
  return once.slice(1).reduce((left, right): Expr => ({ kind: 'binary', op: 'or', left, right, span }), once[0] ?? name('any'));
}

const optional = <K extends string, V>(key: K, value: V | undefined) => (value === undefined ? {} : ({ [key]: value } as Record<K, V>));
export const doc = (value: string): Stmt => ({ kind: 'doc', text: text(value), span });
export const letValue = (n: string, value: Expr): Stmt => ({ kind: 'let', name: name(n), value, span });
export const calibrate = (source: Expr, f: Fields = {}): Stmt => ({ kind: 'calibrate', source, ...optional('fields', record(f)), span });
export const quantize = (ports: readonly string[], of: Expr, as: Expr, f: Fields = {}): Stmt => ({
  kind: 'quantize',
  ports: ports.map(name),
  of,
  as,
  ...optional('fields', record(f)),
  span,
});
export const transform = (n: string, on: Expr, f: Fields = {}): Stmt => ({
  kind: 'transform',
  name: name(n),
  on,
  ...optional('fields', record(f)),
  span,
});
export const solve = (n: string, on: Expr, f: Fields = {}): Stmt => ({
  kind: 'solve',
  name: name(n),
  on,
  ...optional('fields', record(f)),
  span,
});
export const prune = (of: Expr, as: Expr, f: Fields = {}): Stmt => ({ kind: 'prune', of, as, ...optional('fields', record(f)), span });
export const keep = (of: Expr, at?: string): Stmt => ({
  kind: 'keep',
  of,
  ...optional('at', at === undefined ? undefined : name(at)),
  span,
});

/** A statement with the comments that stand before it. */
export interface Line {
  readonly stmt: Stmt;
  readonly notes: readonly string[];
  /** An empty line stands before it. */
  readonly blank?: boolean;
}

const comments = (lines: readonly string[], blankFirst = false) =>
  lines.map((l, i) => ({ text: l === '' ? '#' : `# ${l}`, own: true, blank: blankFirst && i === 0, span }));

/** A file with one recipe; `foot` are comments at the end of its body. */
export function file(recipe: string, lines: readonly Line[], foot: readonly string[]): File {
  const trivia = new Map<Node, Trivia>();
  lines.forEach((l, i) => {
    const last = i === lines.length - 1;
    const lead = comments(l.notes, l.blank);
    const blank = l.blank === true && lead.length === 0;
    trivia.set(l.stmt, { blank, lead, trail: last ? comments(foot, true) : [], inner: [] });
  });
  const decl = { kind: 'recipe' as const, name: name(recipe), version: text('0.1.0'), params: [], body: lines.map((l) => l.stmt), span };
  return { kind: 'file', uses: [], items: [decl], trivia, span };
}
