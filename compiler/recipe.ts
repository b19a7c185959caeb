/**
 * A checked recipe: every name resolved, every record checked against its schema, spans kept.
 * Variables stay variables; `compiler/plan` evaluates expressions under a binding.
 */
import type { Span } from '../grammar/diagnostics.ts';
import type { Unit } from './schema.ts';

/** An expression whose names are resolved. A `call` names a definition of the catalogue; a `var` a let, parameter or search variable. */
export type Expr =
  | { readonly kind: 'number'; readonly value: number; readonly unit?: Unit; readonly span: Span }
  | { readonly kind: 'string'; readonly value: string; readonly span: Span }
  | { readonly kind: 'bool'; readonly value: boolean; readonly span: Span }
  /** `2:4` */
  | { readonly kind: 'ratio'; readonly n: number; readonly of: number; readonly span: Span }
  /** `a..b`, `a..b by c` */
  | { readonly kind: 'range'; readonly from: Expr; readonly to: Expr; readonly by?: Expr; readonly span: Span }
  | { readonly kind: 'list'; readonly items: readonly Expr[]; readonly span: Span }
  | { readonly kind: 'record'; readonly fields: Readonly<Record<string, Expr>>; readonly span: Span }
  | { readonly kind: 'var'; readonly name: string; readonly span: Span }
  /** A named thing with its arguments by parameter name, defaults not yet filled in. `of` is the kind of name it resolved to. */
  | {
      readonly kind: 'call';
      readonly of: import('./schema.ts').NameKind | 'recipe' | 'function';
      readonly name: string;
      readonly args: Readonly<Record<string, Expr>>;
      readonly span: Span;
    }
  /** A member: `temporal.output`, `denoise.step`. */
  | { readonly kind: 'member'; readonly of: Expr; readonly name: string; readonly span: Span }
  | {
      readonly kind: 'op';
      readonly op: 'or' | 'and' | '<=' | '>=' | '==' | '<' | '>' | '+' | '-' | '*' | '/' | '+-';
      readonly left: Expr;
      readonly right: Expr;
      readonly span: Span;
    }
  | { readonly kind: 'not'; readonly of: Expr; readonly span: Span }
  | { readonly kind: 'neg'; readonly of: Expr; readonly span: Span }
  | { readonly kind: 'selection'; readonly selection: Selection; readonly span: Span };

/** What a statement is about. Evaluated on the sites of a model by `compiler/plan/select.ts`. */
export type Selection =
  | { readonly kind: 'any'; readonly span: Span }
  /** `linear`, `attention.q`: a role, or a member of one. */
  | { readonly kind: 'role'; readonly role: string; readonly member?: string; readonly span: Span }
  | { readonly kind: 'path'; readonly glob?: string; readonly re?: string; readonly span: Span }
  | { readonly kind: 'op'; readonly type: string; readonly span: Span }
  | { readonly kind: 'block'; readonly from: number; readonly to: number; readonly span: Span }
  | { readonly kind: 'input' | 'output' | 'graph' | 'skip'; readonly name: string; readonly span: Span }
  /** `size >= 1M`: parameters of the site's weight. */
  | { readonly kind: 'size'; readonly rel: '<=' | '>=' | '==' | '<' | '>'; readonly value: number; readonly span: Span }
  | { readonly kind: 'and' | 'or'; readonly left: Selection; readonly right: Selection; readonly span: Span }
  | { readonly kind: 'not'; readonly of: Selection; readonly span: Span }
  | { readonly kind: 'optional'; readonly of: Selection; readonly span: Span }
  /** `a -> b` (edges from a to b) and `q <-> k` (a tied pair). */
  | { readonly kind: 'edge'; readonly from: Selection; readonly to: Selection; readonly tied: boolean; readonly span: Span }
  /** A let that names a selection, kept by name for messages. */
  | { readonly kind: 'named'; readonly name: string; readonly of: Selection; readonly span: Span };

export type Fields = Readonly<Record<string, Expr>>;
interface At {
  readonly span: Span;
  readonly text: string;
}

export type Statement =
  | (At & { readonly verb: 'doc'; readonly value: string })
  | (At & { readonly verb: 'let'; readonly name: string; readonly domain: Expr; readonly each?: Expr })
  | (At & { readonly verb: 'calibrate'; readonly source: Expr; readonly fields: Fields })
  | (At & { readonly verb: 'schedule'; readonly name: string; readonly fields: Fields })
  | (At & { readonly verb: 'transform'; readonly kind: string; readonly on: Selection; readonly fields: Fields; readonly when?: Expr })
  /** Without `ports`, `as` is a scheme. */
  | (At & {
      readonly verb: 'quantize';
      readonly ports?: readonly string[];
      readonly of: Selection;
      readonly as: Expr;
      readonly fields: Fields;
      readonly when?: Expr;
    })
  | (At & { readonly verb: 'prune'; readonly of: Selection; readonly as: Expr; readonly fields: Fields; readonly when?: Expr })
  | (At & { readonly verb: 'solve'; readonly solver: string; readonly on: Selection; readonly fields: Fields; readonly when?: Expr })
  | (At & { readonly verb: 'search'; readonly variables: readonly string[]; readonly fields: Fields })
  | (At & { readonly verb: 'keep'; readonly of: Selection; readonly at?: Expr })
  | (At & { readonly verb: 'apply'; readonly recipe: Recipe; readonly args: Fields; readonly to?: Selection })
  | (At & { readonly verb: 'target'; readonly name: string; readonly fields: Fields })
  | (At & { readonly verb: 'evaluate'; readonly what: Expr; readonly fields: Fields })
  | (At & { readonly verb: 'require'; readonly condition: Expr });

export type Verb = Statement['verb'];

/** A parameter of a recipe. With a domain it is a variable when a `search` names it. */
export interface RecipeParam {
  readonly name: string;
  readonly default: Expr;
  readonly domain?: Expr;
  readonly span: Span;
}

export interface Recipe {
  readonly name: string;
  readonly title?: string;
  readonly version: string;
  readonly params: readonly RecipeParam[];
  /** `let x = …`: values and selections by name, in order. (Variables are `let` statements.) */
  readonly lets: ReadonlyMap<string, Expr>;
  readonly statements: readonly Statement[];
  readonly file: string;
  readonly span: Span;
}

/** A checked file with everything that it uses. */
export interface Program {
  readonly recipes: readonly Recipe[];
  readonly evaluations: readonly Extract<Statement, { verb: 'evaluate' }>[];
  /** path or package → text, the closure that a lock hashes. */
  readonly sources: ReadonlyMap<string, string>;
}

/** Values of variables: `bits@layers.0.self_attn` for one of an `each`, `alpha` for a global one. */
export type Binding = Readonly<Record<string, number | string | boolean>>;
