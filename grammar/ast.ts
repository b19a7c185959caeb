/** The syntax tree: what the text says, before any name is looked up. Plain data; comments lie beside it in `File.trivia`. */
import type { Span } from './diagnostics.ts';

export interface Name {
  readonly kind: 'name';
  readonly name: string;
  readonly span: Span;
}
export interface Text {
  readonly kind: 'string';
  readonly value: string;
  readonly span: Span;
}
export interface Field {
  readonly kind: 'field';
  readonly key: Name;
  readonly value: Expr;
  readonly span: Span;
}
export interface RecordExpr {
  readonly kind: 'record';
  readonly fields: readonly Field[];
  readonly span: Span;
}
/** An argument of a call, by position or by name. */
export interface Arg {
  readonly kind: 'arg';
  readonly name?: Name;
  readonly value: Expr;
  readonly span: Span;
}

export type BinaryOp = 'or' | 'and' | '<=' | '>=' | '==' | '<' | '>' | '+-' | '->' | '<->' | '+' | '-' | '*' | '/';

export type Expr =
  /** `text` is how it was written, without the unit: `0.30`. */
  | { readonly kind: 'number'; readonly text: string; readonly value: number; readonly unit?: string; readonly span: Span }
  | Text
  | Name
  | RecordExpr
  | { readonly kind: 'ratio'; readonly n: number; readonly of: number; readonly span: Span }
  | { readonly kind: 'list'; readonly items: readonly Expr[]; readonly span: Span }
  | { readonly kind: 'call'; readonly callee: Expr; readonly args: readonly Arg[]; readonly span: Span }
  | { readonly kind: 'member'; readonly of: Expr; readonly name: Name; readonly span: Span }
  | { readonly kind: 'binary'; readonly op: BinaryOp; readonly left: Expr; readonly right: Expr; readonly span: Span }
  | { readonly kind: 'range'; readonly from: Expr; readonly to: Expr; readonly by?: Expr; readonly span: Span }
  | { readonly kind: 'unary'; readonly op: 'not' | '-'; readonly of: Expr; readonly span: Span }
  /** Where the parser recovered from a mistake; already reported. */
  | { readonly kind: 'broken'; readonly span: Span };

interface Base<V extends string> {
  readonly kind: V;
  readonly span: Span;
}
export interface Let extends Base<'let'> {
  readonly name: Name;
  readonly value?: Expr;
  readonly domain?: Expr;
  readonly each?: Expr;
}
export interface Evaluate extends Base<'evaluate'> {
  readonly what: Expr;
  readonly fields?: RecordExpr;
}
export type Stmt =
  | Let
  | Evaluate
  | (Base<'doc'> & { readonly text: Text })
  | (Base<'schedule'> & { readonly name: Name; readonly fields: RecordExpr })
  | (Base<'calibrate'> & { readonly source: Expr; readonly fields?: RecordExpr })
  | (Base<'transform'> & { readonly name: Name; readonly on: Expr; readonly fields?: RecordExpr })
  | (Base<'quantize'> & { readonly ports: readonly Name[]; readonly of: Expr; readonly as: Expr; readonly fields?: RecordExpr })
  | (Base<'prune'> & { readonly of: Expr; readonly as: Expr; readonly fields?: RecordExpr })
  | (Base<'solve'> & { readonly name: Name; readonly on: Expr; readonly fields?: RecordExpr })
  | (Base<'search'> & { readonly names: readonly Name[]; readonly fields: RecordExpr })
  | (Base<'keep'> & { readonly of: Expr; readonly at?: Expr })
  | (Base<'apply'> & { readonly what: Expr; readonly to?: Expr })
  | (Base<'target'> & { readonly name: Name; readonly fields?: RecordExpr })
  | (Base<'require'> & { readonly condition: Expr });

/** `language 1`: the version of the language that the file is written in. */
export interface Language extends Base<'language'> {
  readonly version: Extract<Expr, { kind: 'number' }>;
}
export interface Use extends Base<'use'> {
  readonly source: Text;
  /** `*`: the names of that file become names of this one. */
  readonly alias: Name;
}
export interface ParamDecl extends Base<'param'> {
  readonly name: Name;
  readonly value: Expr;
  readonly domain?: Expr;
}
export interface RecipeDecl extends Base<'recipe'> {
  readonly name: Name;
  readonly title?: Text;
  readonly version: Text;
  readonly params: readonly ParamDecl[];
  readonly body: readonly Stmt[];
}
export type Item = Let | RecipeDecl | Evaluate;

export interface File extends Base<'file'> {
  readonly language?: Language;
  readonly uses: readonly Use[];
  readonly items: readonly Item[];
  /** Comments and blank lines, by the node that they belong to. */
  readonly trivia: ReadonlyMap<Node, Trivia>;
}
export type Node = File | Language | Use | Item | Stmt | ParamDecl | Expr | Field | Arg;

export interface Comment {
  /** With its `#`. */
  readonly text: string;
  /** On a line of its own. */
  readonly own: boolean;
  /** After an empty line. */
  readonly blank: boolean;
  readonly span: Span;
}
export interface Trivia {
  /** An empty line stands before the node. */
  readonly blank: boolean;
  readonly lead: readonly Comment[];
  readonly trail: readonly Comment[];
  /** Inside a node that has nothing else: `{ # empty }`. */
  readonly inner: readonly Comment[];
}

/** The nodes directly below a node, in source order. */
export function children(n: Node): readonly Node[] {
  const some = (...x: (Node | undefined)[]): Node[] => x.filter((y): y is Node => y !== undefined);
  switch (n.kind) {
    case 'file':
      return [...some(n.language), ...n.uses, ...n.items];
    case 'language':
      return [n.version];
    case 'use':
      return [n.source, n.alias];
    case 'recipe':
      return [...some(n.name, n.title, n.version), ...n.params, ...n.body];
    case 'param':
      return some(n.name, n.value, n.domain);
    case 'let':
      return some(n.name, n.value, n.domain, n.each);
    case 'evaluate':
      return some(n.what, n.fields);
    case 'doc':
      return [n.text];
    case 'schedule':
      return [n.name, n.fields];
    case 'calibrate':
      return some(n.source, n.fields);
    case 'transform':
    case 'solve':
      return some(n.name, n.on, n.fields);
    case 'quantize':
      return [...n.ports, ...some(n.of, n.as, n.fields)];
    case 'prune':
      return some(n.of, n.as, n.fields);
    case 'search':
      return [...n.names, n.fields];
    case 'keep':
      return some(n.of, n.at);
    case 'apply':
      return some(n.what, n.to);
    case 'target':
      return some(n.name, n.fields);
    case 'require':
      return [n.condition];
    case 'field':
      return [n.key, n.value];
    case 'arg':
      return some(n.name, n.value);
    case 'record':
      return n.fields;
    case 'list':
      return n.items;
    case 'call':
      return [n.callee, ...n.args];
    case 'member':
      return [n.of, n.name];
    case 'binary':
      return [n.left, n.right];
    case 'range':
      return some(n.from, n.to, n.by);
    case 'unary':
      return [n.of];
    default:
      return [];
  }
}
