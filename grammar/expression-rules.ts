/** The grammar of expressions as Chevrotain rules; the EBNF stands above each rule. */
import { EmbeddedActionsParser, type IToken, type TokenType } from 'chevrotain';
import type { Arg, Expr, Field, Name as NameNode, RecordExpr, Text } from './ast.ts';
import type { Diagnostic, Span } from './diagnostics.ts';
import { climb, join, type Part } from './expression.ts';
import { numberNode, textNode } from './literals.ts';
import * as T from './tokens.ts';

/** How expressions read. Statement rules build on it. */
export abstract class ExpressionRules extends EmbeddedActionsParser {
  file = '';
  reports: Diagnostic[] = [];

  /** `validate`: looks for ambiguities of the grammar itself, which a test does once for all. */
  constructor({ validate = false } = {}) {
    super(T.tokens, { recoveryEnabled: true, maxLookahead: 2, skipValidations: !validate });
  }

  /** Words that we invent would only hide what the user wrote. */
  protected override canTokenTypeBeInsertedInRecovery(): boolean {
    return false;
  }

  span(from: IToken, to: IToken = from): Span {
    return {
      file: this.file,
      start: from.startOffset,
      end: to.startOffset + to.image.length,
      line: from.startLine ?? 1,
      column: from.startColumn ?? 1,
    };
  }
  protected readonly report = (d: Diagnostic): void => void this.reports.push(d);
  /** From a token to whatever was read last. */
  protected since(from: IToken): Span {
    const last = this.LA(0);
    return this.span(from, last.startOffset >= from.startOffset ? last : from);
  }
  /** From one node to another. (While Chevrotain records the grammar there are no nodes.) */
  protected over(a: { span: Span }, b: { span: Span }): Span {
    return this.ACTION(() => join(a.span, b.span)) as Span;
  }
  protected word(type: TokenType): NameNode {
    const t = this.consume(0, type);
    return { kind: 'name', name: t.image, span: this.span(t) };
  }
  /** A missing comma is told, and reading goes on as if it were there. */
  private separated(comma: boolean, hint: string): void {
    this.ACTION(() => {
      const next = this.LA(1);
      if (!comma)
        this.report({ code: 'syntax', severity: 'error', span: this.span(next), message: `Expected \`,\` before \`${next.image}\``, hint });
    });
  }
  protected text(): Text {
    const t = this.CONSUME(T.StringLit);
    return textNode(t.image, this.span(t));
  }
  private readonly broken = (): Expr => ({ kind: 'broken', span: this.span(this.LA(1)) });
  private readonly orBroken = { recoveryValueFunc: this.broken };
  private readonly orBrokenArg = {
    recoveryValueFunc: (): Arg => {
      const value = this.broken();
      return { kind: 'arg', value, span: value.span };
    },
  };
  private readonly orNoRecord = {
    recoveryValueFunc: (): RecordExpr => ({ kind: 'record', fields: [], span: this.span(this.LA(1)) }),
  };

  /** rec = "{" [ NAME ":" expr { "," NAME ":" expr } [ "," ] ] "}" */
  protected record = this.RULE(
    'record',
    (): RecordExpr => {
      const from = this.CONSUME(T.LBrace);
      const fields: Field[] = [];
      let comma = true;
      this.MANY(() => {
        this.separated(comma, 'Fields are `key: value`, with commas between them.');
        const key = this.word(T.Word);
        this.CONSUME(T.Colon);
        const value = this.SUBRULE(this.expr);
        fields.push({ kind: 'field', key, value, span: this.over(key, value) });
        comma = this.OPTION(() => this.CONSUME(T.Comma)) !== undefined;
      });
      this.CONSUME(T.RBrace);
      return { kind: 'record', fields, span: this.since(from) };
    },
    this.orNoRecord,
  );

  /** expr = { prefix } postfix { operator { prefix } postfix }: the tree is built by precedence in expression.ts */
  protected expr = this.RULE(
    'expression',
    (): Expr => {
      const parts: Part[] = [];
      this.MANY(() => this.op(this.CONSUME(T.Prefix), true, parts));
      parts.push({ operand: this.SUBRULE(this.postfix) });
      this.MANY2(() => {
        this.op(this.CONSUME(T.Binary), false, parts);
        this.MANY3(() => this.op(this.CONSUME2(T.Prefix), true, parts));
        parts.push({ operand: this.SUBRULE2(this.postfix) });
      });
      return this.ACTION(() => climb(parts, this.report)) as Expr;
    },
    this.orBroken,
  );

  private op(t: IToken, prefix: boolean, parts: Part[]): void {
    parts.push({ op: t.image, prefix, span: this.span(t) });
  }

  /** postfix = atom { "." WORD | "(" [ arg { "," arg } ] ")" } */
  private postfix = this.RULE(
    'operand',
    (): Expr => {
      let left = this.SUBRULE(this.atom);
      this.MANY(() => {
        this.OR([
          {
            ALT: () => {
              this.CONSUME(T.Dot);
              const name = this.word(T.Word);
              left = { kind: 'member', of: left, name, span: this.over(left, name) };
            },
          },
          {
            ALT: () => {
              this.CONSUME(T.LParen);
              const args: Arg[] = [];
              this.MANY_SEP({ SEP: T.Comma, DEF: () => args.push(this.SUBRULE(this.arg)) });
              const close = this.CONSUME(T.RParen);
              left = { kind: 'call', callee: left, args, span: this.over(left, { span: this.span(close) }) };
            },
          },
        ]);
      });
      return left;
    },
    this.orBroken,
  );

  /** arg = [ NAME ":" ] expr */
  private arg = this.RULE(
    'argument',
    (): Arg => {
      const name = this.OPTION(() => {
        const n = this.word(T.Word);
        this.CONSUME(T.Colon);
        return n;
      });
      const value = this.SUBRULE(this.expr);
      return {
        kind: 'arg',
        ...(name ? { name } : {}),
        value,
        span: this.over(name ?? value, value),
      };
    },
    this.orBrokenArg,
  );

  /** atom = NUMBER [ unit ] | INT ":" INT | STRING | NAME | "[" exprs "]" | rec | "(" expr ")" */
  private atom = this.RULE(
    'value',
    (): Expr =>
      this.OR([
        { ALT: () => this.SUBRULE(this.number) },
        {
          ALT: () => {
            const t = this.CONSUME1(T.StringLit);
            return this.ACTION(() => textNode(t.image, this.span(t))) as Expr;
          },
        },
        { ALT: () => this.word(T.Name) as Expr },
        { ALT: () => this.SUBRULE(this.list) },
        { ALT: () => this.SUBRULE(this.record) },
        {
          ALT: () => {
            this.CONSUME(T.LParen);
            const inner = this.SUBRULE(this.expr);
            this.CONSUME(T.RParen);
            return inner;
          },
        },
      ]),
    this.orBroken,
  );

  /** NUMBER [ unit ] | INT ":" INT */
  private number = this.RULE(
    'number',
    (): Expr => {
      const n = this.CONSUME(T.NumberLit);
      let of: IToken | undefined;
      this.OPTION(() => {
        this.CONSUME(T.Colon);
        of = this.CONSUME2(T.NumberLit);
      });
      return this.ACTION(() => {
        const first = numberNode(n.image, this.span(n), this.report);
        if (of === undefined || first.kind !== 'number') return first;
        return { kind: 'ratio', n: first.value, of: Number.parseInt(of.image, 10), span: this.span(n, of) };
      }) as Expr;
    },
    this.orBroken,
  );

  /** "[" [ expr { "," expr } [ "," ] ] "]" */
  private list = this.RULE(
    'list',
    (): Expr => {
      const from = this.CONSUME(T.LBrack);
      const items: Expr[] = [];
      let comma = true;
      this.MANY(() => {
        this.separated(comma, 'Items are separated by commas.');
        items.push(this.SUBRULE(this.expr));
        comma = this.OPTION(() => this.CONSUME(T.Comma)) !== undefined;
      });
      this.CONSUME(T.RBrack);
      return { kind: 'list', items, span: this.since(from) };
    },
    this.orBroken,
  );
}
