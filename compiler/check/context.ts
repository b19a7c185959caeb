/** What checking a recipe knows and where it reports. */
import { distance } from 'fastest-levenshtein';
import type * as Ast from '../../grammar/ast.ts';
import type { Diagnostic, Span } from '../../grammar/diagnostics.ts';
import type { Deprecation } from '../catalog/deprecations.ts';
import type { Expr, Selection } from '../recipe.ts';
import type { Param } from '../schema.ts';
import { type Code, messages } from './messages.ts';

/** A name that a recipe or its file declares. */
export interface Local {
  readonly kind: 'let' | 'variable' | 'param' | 'schedule';
  readonly name: Ast.Name;
  /** let: the value; param: the default. */
  readonly value?: Ast.Expr;
  readonly domain?: Ast.Expr;
  /** The file that it was declared in: its names are looked up there. */
  readonly in: Context;
  /** Verdicts on its value under a parameter's type, so that each is found once. */
  readonly verdicts: Map<Param<unknown>, Diagnostic | undefined>;
  /** Found once: whether its value is a selection, and which. */
  readonly memo: { selection?: boolean; value?: Selection };
}

export interface Readers {
  readonly selection: (ctx: Context, e: Ast.Expr) => Selection;
  /** A value for a parameter; `key` names it in messages. */
  readonly param: (ctx: Context, e: Ast.Expr, p: Param<unknown>, key: string) => Expr;
  /** An expression that no parameter's type guides: objectives, budgets, conditions. */
  readonly expression: (ctx: Context, e: Ast.Expr) => Expr;
}

/** One file with what it uses. */
export interface FileScope {
  readonly path: string;
  readonly text: string;
  readonly ast: Ast.File;
  readonly doubtful: ReadonlySet<string>;
  /** Statements could not be read, so what is missing may be in them. */
  readonly misread: boolean;
  /** Its own recipes, and those of files that it uses as `*`. */
  readonly recipes: ReadonlyMap<string, Ast.RecipeDecl>;
  /** Where a recipe of another file, used as `*`, is declared. */
  readonly homes: ReadonlyMap<string, FileScope>;
  /** undefined: the package could not be read; reported once, at its `use`. */
  readonly packages: ReadonlyMap<string, FileScope | undefined>;
  readonly lets: ReadonlyMap<string, Local>;
  /** Old names of the language, and of the recipes of this file's package. */
  readonly deprecations: readonly Deprecation[];
  /** The package that the file is of: `@scope/name@version`. */
  readonly package?: string;
  /** Tell of other spellings than the canonical ones. */
  readonly spellings: boolean;
}

export interface Context {
  /** The readers call each other through here, so that each has its file. */
  readonly read: Readers;
  readonly file: FileScope;
  readonly locals: ReadonlyMap<string, Local>;
  readonly report: (d: Diagnostic) => void;
  /** A statement as text, on one line where it fits. */
  readonly text: (s: Ast.Stmt) => string;
  /** Names whose value is being looked at, against endless circles. */
  readonly open: readonly string[];
}

/** Reports by code. */
export function report<C extends Code>(ctx: Context, code: C, span: Span, ...args: Parameters<(typeof messages)[C]>): void {
  ctx.report(diagnostic(code, span, ...args));
}
export function diagnostic<C extends Code>(code: C, span: Span, ...args: Parameters<(typeof messages)[C]>): Diagnostic {
  const make = messages[code] as (...a: Parameters<(typeof messages)[C]>) => { message: string; hint?: string };
  return { code, severity: 'error', span, ...make(...args) };
}
/** The same with a replacement of the span. */
export function suggest<C extends Code>(
  ctx: Context,
  code: C,
  span: Span,
  near: string | undefined,
  ...args: Parameters<(typeof messages)[C]>
): void {
  ctx.report({ ...diagnostic(code, span, ...args), ...(near ? { fix: { span, text: near } } : {}) });
}

/** Two neighbours in the wrong order: the commonest slip. */
function swapped(a: string, b: string): boolean {
  if (a.length !== b.length) return false;
  let i = 0;
  while (i < a.length && a[i] === b[i]) i++;
  return i < a.length - 1 && a[i] === b[i + 1] && a[i + 1] === b[i] && a.slice(i + 2) === b.slice(i + 2);
}

/** What was meant, if something is near enough. */
export function nearest(word: string, names: Iterable<string>): string | undefined {
  let best: string | undefined;
  let least = Math.max(1, Math.min(3, Math.floor(word.length / 3))) + 1;
  for (const n of names) {
    const d = n.toLowerCase() === word.toLowerCase() ? 0 : swapped(word, n) ? 1 : distance(word, n);
    if (d < least) [best, least] = [n, d];
  }
  return best;
}

/** What stands for an expression that was wrong; the program is not handed out then. */
export const wrong = (span: Span): Expr => ({ kind: 'string', value: '', span });

/** Runs a check without reporting; gives the first error. */
export function trial(ctx: Context, run: (quiet: Context) => void): Diagnostic | undefined {
  let first: Diagnostic | undefined;
  run({ ...ctx, report: (d) => (first ??= d.severity === 'error' ? d : undefined) });
  return first;
}

/** What an expression is, for messages. */
export function nounOf(e: Ast.Expr): string {
  switch (e.kind) {
    case 'number':
      return e.unit ? `${e.text}${e.unit}` : `the number ${e.text}`;
    case 'string':
      return 'a text';
    case 'name':
      return `\`${e.name}\``;
    case 'ratio':
      return 'a ratio';
    case 'record':
      return 'a record';
    case 'list':
      return 'a list';
    case 'call':
      return e.callee.kind === 'name' ? `\`${e.callee.name}(…)\`` : 'a call';
    case 'member':
      return 'a member';
    case 'range':
      return 'a range';
    case 'binary':
      return e.op === '->' || e.op === '<->'
        ? 'an edge'
        : ['and', 'or', '<=', '>=', '==', '<', '>'].includes(e.op)
          ? 'a condition'
          : 'an expression';
    case 'unary':
      return e.op === 'not' ? 'a condition' : 'a number';
    case 'broken':
      return 'a mistake';
  }
}

/** The recipe's own names, then its file's. Built-in names come after, by kind. */
export const lookup = (ctx: Context, name: string): Local | undefined => ctx.locals.get(name) ?? ctx.file.lets.get(name);
