/** The grammar of files and statements as Chevrotain rules; the EBNF stands above each rule. */
import type { Item, Language, Let, Name as NameNode, ParamDecl, RecipeDecl, RecordExpr, Stmt, Text, Use } from './ast.ts';
import type { Diagnostic } from './diagnostics.ts';
import { ExpressionRules } from './expression-rules.ts';
import { textNode } from './literals.ts';
import * as T from './tokens.ts';

export class Grammar extends ExpressionRules {
  /** file = [ "language" NUMBER ] { use } { let | recipe | evaluate } */
  source = this.RULE('file', (): { language?: Language; uses: Use[]; items: Item[] } => {
    const language = this.OPTION(() => this.SUBRULE(this.language));
    const uses: Use[] = [];
    const items: Item[] = [];
    this.MANY(() => {
      this.OR([
        { ALT: () => put(uses, this.SUBRULE(this.use)) },
        { ALT: () => put(items, this.SUBRULE(this.let)) },
        { ALT: () => put(items, this.SUBRULE(this.recipe)) },
        { ALT: () => put(items, this.SUBRULE(this.evaluate)) },
      ]);
    });
    this.ACTION(() => {
      const first = items[0];
      for (const u of uses) if (first && u.span.start > first.span.start) this.report(lateUse(u));
    });
    return { ...(language ? { language } : {}), uses, items };
  });

  /** "language" NUMBER */
  private language = this.RULE('language', (): Language | undefined => {
    const from = this.CONSUME(T.LanguageWord);
    const t = this.CONSUME(T.NumberLit);
    const version = { kind: 'number' as const, text: t.image, value: Number(t.image), span: this.span(t) };
    return { kind: 'language', version, span: this.since(from) };
  });

  /** use = "use" STRING "as" ( NAME | "*" ) */
  private use = this.RULE('use', (): Use | undefined => {
    const from = this.CONSUME(T.Verb.use);
    const source = this.text();
    this.CONSUME(T.As);
    const alias = this.OR([{ ALT: () => this.word(T.Name) }, { ALT: () => this.word(T.Star) }]);
    return { kind: 'use', source, alias, span: this.since(from) };
  });

  /** recipe = "recipe" NAME [ STRING ] "version" STRING [ "(" param { "," param } ")" ] "{" { stmt } "}" */
  private recipe = this.RULE('recipe', (): RecipeDecl | undefined => {
    const from = this.CONSUME(T.Verb.recipe);
    const name = this.word(T.Name);
    let title: Text | undefined;
    this.OPTION(() => {
      const t = this.CONSUME1(T.StringLit);
      title = textNode(t.image, this.span(t));
    });
    this.CONSUME(T.Version);
    const version = this.text();
    const params: ParamDecl[] = [];
    this.OPTION2(() => {
      this.CONSUME(T.LParen);
      this.AT_LEAST_ONE_SEP({ SEP: T.Comma, DEF: () => put(params, this.SUBRULE(this.param)) });
      this.CONSUME(T.RParen);
    });
    this.CONSUME(T.LBrace);
    const body: Stmt[] = [];
    this.MANY(() => put(body, this.SUBRULE(this.stmt)));
    this.CONSUME(T.RBrace);
    return { kind: 'recipe', name, ...(title ? { title } : {}), version, params, body, span: this.since(from) };
  });

  /** param = NAME "=" expr [ "in" expr ] */
  private param = this.RULE('param', (): ParamDecl | undefined => {
    const name = this.word(T.Name);
    this.CONSUME(T.Assign);
    const value = this.SUBRULE(this.expr);
    const domain = this.OPTION(() => {
      this.CONSUME(T.In);
      return this.SUBRULE2(this.expr);
    });
    return { kind: 'param', name, value, ...(domain ? { domain } : {}), span: this.over(name, domain ?? value) };
  });

  /** stmt: every statement of a recipe's body, by its verb. */
  private stmt = this.RULE('statement', (): Stmt | undefined =>
    this.OR([
      { ALT: () => this.SUBRULE(this.let) },
      { ALT: () => this.SUBRULE(this.evaluate) },
      { ALT: () => this.SUBRULE(this.doc) },
      { ALT: () => this.SUBRULE(this.schedule) },
      { ALT: () => this.SUBRULE(this.calibrate) },
      { ALT: () => this.SUBRULE(this.transform) },
      { ALT: () => this.SUBRULE(this.quantize) },
      { ALT: () => this.SUBRULE(this.prune) },
      { ALT: () => this.SUBRULE(this.solve) },
      { ALT: () => this.SUBRULE(this.search) },
      { ALT: () => this.SUBRULE(this.keep) },
      { ALT: () => this.SUBRULE(this.apply) },
      { ALT: () => this.SUBRULE(this.target) },
      { ALT: () => this.SUBRULE(this.require) },
    ]),
  );

  /** let = "let" NAME ( "=" expr | "in" expr [ "each" expr ] ) */
  private let = this.RULE('let', (): Let | undefined => {
    const from = this.CONSUME(T.Verb.let);
    const name = this.word(T.Name);
    let rest: Pick<Let, 'value' | 'domain' | 'each'> = {};
    this.OR([
      {
        ALT: () => {
          this.CONSUME(T.Assign);
          rest = { value: this.SUBRULE(this.expr) };
        },
      },
      {
        ALT: () => {
          this.CONSUME(T.In);
          const domain = this.SUBRULE2(this.expr);
          const each = this.OPTION(() => {
            this.CONSUME(T.Each);
            return this.SUBRULE3(this.expr);
          });
          rest = { domain, ...(each ? { each } : {}) };
        },
      },
    ]);
    return { kind: 'let', name, ...rest, span: this.since(from) };
  });

  /** evaluate = "evaluate" expr [ rec ] */
  private evaluate = this.RULE('evaluate', () => {
    const from = this.CONSUME(T.Verb.evaluate);
    const what = this.SUBRULE(this.expr);
    return { kind: 'evaluate' as const, what, ...this.fields(), span: this.since(from) };
  });

  /** "doc" STRING */
  private doc = this.RULE('doc', (): Stmt | undefined => {
    const from = this.CONSUME(T.Verb.doc);
    return { kind: 'doc', text: this.text(), span: this.since(from) };
  });

  /** "schedule" NAME rec */
  private schedule = this.RULE('schedule', (): Stmt | undefined => {
    const from = this.CONSUME(T.Verb.schedule);
    const name = this.word(T.Name);
    return { kind: 'schedule', name, fields: this.SUBRULE(this.record), span: this.since(from) };
  });

  /** "calibrate" expr [ rec ] */
  private calibrate = this.RULE('calibrate', (): Stmt | undefined => {
    const from = this.CONSUME(T.Verb.calibrate);
    return { kind: 'calibrate', source: this.SUBRULE(this.expr), ...this.fields(), span: this.since(from) };
  });

  /** "transform" NAME "on" expr [ rec ] */
  private transform = this.RULE('transform', (): Stmt | undefined => {
    const from = this.CONSUME(T.Verb.transform);
    const name = this.word(T.Name);
    this.CONSUME(T.On);
    return { kind: 'transform', name, on: this.SUBRULE(this.expr), ...this.fields(), span: this.since(from) };
  });

  /** "quantize" [ NAME { "," NAME } "of" ] expr "as" expr [ rec ] */
  private quantize = this.RULE('quantize', (): Stmt | undefined => {
    const from = this.CONSUME(T.Verb.quantize);
    const ports: NameNode[] = [];
    this.OPTION(() => {
      this.AT_LEAST_ONE_SEP({ SEP: T.Comma, DEF: () => ports.push(this.word(T.Name)) });
      this.CONSUME(T.Of);
    });
    const of = this.SUBRULE(this.expr);
    this.CONSUME(T.As);
    const as = this.SUBRULE2(this.expr);
    return { kind: 'quantize', ports, of, as, ...this.fields(), span: this.since(from) };
  });

  /** "prune" expr "as" expr [ rec ] */
  private prune = this.RULE('prune', (): Stmt | undefined => {
    const from = this.CONSUME(T.Verb.prune);
    const of = this.SUBRULE(this.expr);
    this.CONSUME(T.As);
    return { kind: 'prune', of, as: this.SUBRULE2(this.expr), ...this.fields(), span: this.since(from) };
  });

  /** "solve" NAME "on" expr [ rec ] */
  private solve = this.RULE('solve', (): Stmt | undefined => {
    const from = this.CONSUME(T.Verb.solve);
    const name = this.word(T.Name);
    this.CONSUME(T.On);
    return { kind: 'solve', name, on: this.SUBRULE(this.expr), ...this.fields(), span: this.since(from) };
  });

  /** "search" NAME { "," NAME } rec */
  private search = this.RULE('search', (): Stmt | undefined => {
    const from = this.CONSUME(T.Verb.search);
    const names: NameNode[] = [];
    this.AT_LEAST_ONE_SEP({ SEP: T.Comma, DEF: () => names.push(this.word(T.Name)) });
    return { kind: 'search', names, fields: this.SUBRULE(this.record), span: this.since(from) };
  });

  /** "keep" expr [ "at" expr ] */
  private keep = this.RULE('keep', (): Stmt | undefined => {
    const from = this.CONSUME(T.Verb.keep);
    const of = this.SUBRULE(this.expr);
    const at = this.OPTION(() => {
      this.CONSUME(T.At);
      return this.SUBRULE2(this.expr);
    });
    return { kind: 'keep', of, ...(at ? { at } : {}), span: this.since(from) };
  });

  /** "apply" expr [ "to" expr ] */
  private apply = this.RULE('apply', (): Stmt | undefined => {
    const from = this.CONSUME(T.Verb.apply);
    const what = this.SUBRULE(this.expr);
    const to = this.OPTION(() => {
      this.CONSUME(T.To);
      return this.SUBRULE2(this.expr);
    });
    return { kind: 'apply', what, ...(to ? { to } : {}), span: this.since(from) };
  });

  /** "target" NAME [ rec ] */
  private target = this.RULE('target', (): Stmt | undefined => {
    const from = this.CONSUME(T.Verb.target);
    return { kind: 'target', name: this.word(T.Name), ...this.fields(), span: this.since(from) };
  });

  /** "require" expr */
  private require = this.RULE('require', (): Stmt | undefined => {
    const from = this.CONSUME(T.Verb.require);
    return { kind: 'require', condition: this.SUBRULE(this.expr), span: this.since(from) };
  });

  /** [ rec ] at the end of a statement */
  private fields(): { fields?: RecordExpr } {
    const fields = this.option(9, () => this.subrule(9, this.record));
    return fields ? { fields } : {};
  }

  /** Last, when every rule stands. */
  readonly ready = this.performSelfAnalysis();
}

const put = <X>(into: X[], x: X | undefined): void => {
  if (x !== undefined) into.push(x);
};
const lateUse = (u: Use): Diagnostic => ({
  code: 'syntax',
  severity: 'error',
  span: u.span,
  message: '`use` must stand before the recipes of a file',
  hint: 'Move it to the top.',
});
