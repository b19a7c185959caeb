/** Reads a recipe's words from left to right and says of each what was wanted there. Needs no tree, so a broken text is read as well as a whole one. */
import type { IToken } from 'chevrotain';
import { words as tokenize } from '../../grammar/parser.ts';
import * as T from '../../grammar/tokens.ts';
import { find } from '../catalog/index.ts';
import type { Schema } from '../schema.ts';
import { closers, connectives, endOf, has, isA, verbTypes } from './token-kinds.ts';
import { anything, type Callee, calleeFor, paramOf, shapes, type Want } from './want.ts';
import type { Call, Declaration, Scan, Statement, Word } from './words.ts';

interface Frame {
  readonly kind: 'file' | 'body' | 'statement' | 'param' | 'call' | 'record' | 'list' | 'group';
  readonly open?: IToken;
  want: Want;
  /** What an operand here must be, again after an operator. */
  operand: Want;
  done: boolean;
  verb?: string;
  fields?: Schema;
  named?: IToken;
  declared?: Declaration;
  statement?: Statement;
  call?: Call;
  keyed?: boolean;
  source?: IToken;
}

/** Scans a text, or what of it stands before `until`. */
export function scan(text: string, until = text.length): Scan {
  const tokens = tokenize(text).filter((t) => endOf(t) <= until);
  return new Scanner(tokens).run();
}

class Scanner {
  readonly words: Word[] = [];
  readonly declarations: Declaration[] = [];
  readonly calls: Call[] = [];
  readonly statements: Statement[] = [];
  readonly pairs: [IToken, IToken][] = [];
  private readonly stack: Frame[] = [frame('file', { at: 'item' })];
  private recipe: number | undefined;
  private recipes = 0;
  private last: IToken | undefined;

  constructor(private readonly tokens: readonly IToken[]) {}

  run(): Scan {
    this.tokens.forEach((t, i) => {
      this.step(t, this.tokens[i + 1]);
      for (const f of this.stack) {
        if (f.statement) f.statement.to = endOf(t);
        if (f.declared) f.declared.to = endOf(t);
      }
      this.last = t;
    });
    const { words, declarations, calls, statements, pairs } = this;
    const next = this.wanted();
    return { words, declarations, calls, statements, pairs, next, ...(this.recipe === undefined ? {} : { inRecipe: this.recipe }) };
  }

  private get top(): Frame {
    return this.stack.at(-1)!;
  }
  /** What may stand next. */
  private wanted(): Want {
    const { top } = this;
    if (isA(this.last, T.Dot)) return top.want;
    if (!top.done) return top.want;
    const of = this.statement();
    const inside = this.top.kind !== 'statement' && this.top.kind !== 'param';
    const shape = shapes[of?.verb ?? ''];
    const record = shape?.fields ? ['{'] : [];
    return { at: 'after', words: inside ? [] : [...Object.keys(shape?.after ?? {}).filter((w) => /^\w/.test(w)), ...record] };
  }
  private statement(): Frame | undefined {
    return this.stack.findLast((f) => f.kind === 'statement' || f.kind === 'param');
  }

  private step(t: IToken, next: IToken | undefined): void {
    const { top } = this;
    const member = isA(this.last, T.Dot);
    const key = isA(next, T.Colon) && (top.kind === 'call' || top.kind === 'record') && !top.keyed && has(t, T.Word);
    if (member && has(t, T.Word)) this.operand(t, 'member', top.want);
    else if (key) this.key(t);
    else if (verbTypes.has(t.tokenType)) this.verb(t);
    else if (isA(t, T.LParen, T.LBrack, T.LBrace)) this.open(t);
    else if (closers.has(t.tokenType)) this.close(t);
    else if (isA(t, T.Comma)) this.comma();
    else if (isA(t, T.Colon)) top.keyed = true;
    else if (isA(t, T.Dot)) {
      top.want = { at: 'member', of: this.last?.image ?? '', recipe: top.operand.at === 'recipe' };
      top.done = false;
    } else if (connectives.has(t.tokenType) && !this.plainVersion(t)) this.connective(t);
    else if (isA(t, T.Star) && top.verb === 'use') this.operand(t, 'name', top.want);
    else if (has(t, T.Binary) || has(t, T.Prefix)) {
      if (has(t, T.Word)) this.put(t, 'word', top.want);
      // Both sides of a comparison inside a selection are numbers; nothing is offered there.
      top.want = top.operand;
      top.done = false;
    } else if (isA(t, T.StringLit, T.OpenString)) this.operand(t, 'text', top.want);
    else if (isA(t, T.NumberLit)) this.operand(t, 'number', top.want);
    else if (has(t, T.Name)) this.operand(t, 'name', top.want);
  }
  private plainVersion(t: IToken): boolean {
    return isA(t, T.Version) && this.top.verb !== 'recipe';
  }
  private put(token: IToken, role: Word['role'], want: Want, callee?: Callee): void {
    this.words.push({ token, role, want, ...(this.recipe === undefined ? {} : { recipe: this.recipe }), ...(callee ? { callee } : {}) });
  }

  private verb(t: IToken): void {
    while (!['file', 'body'].includes(this.top.kind)) this.stack.pop();
    const verb = t.image;
    if ((verb === 'use' || verb === 'recipe') && this.top.kind === 'body') {
      // The closing brace is missing.
      this.stack.pop();
      this.recipe = undefined;
    }
    this.put(t, 'verb', this.top.want);
    if (verb === 'recipe') this.recipe = this.recipes++;
    const shape = shapes[verb];
    const first = shape?.first ?? { at: 'nothing' };
    const statement = { verb, token: t, to: endOf(t), ...(this.recipe === undefined ? {} : { recipe: this.recipe }) };
    this.statements.push(statement);
    this.stack.push({ ...frame('statement', first), verb, statement, ...(shape?.fields ? { fields: shape.fields } : {}) });
  }
  private connective(t: IToken): void {
    const f = this.top;
    if (t.tokenType !== T.Assign) this.put(t, 'word', f.want);
    const then = shapes[f.verb ?? '']?.after?.[t.image];
    f.want = then ?? { at: 'nothing' };
    f.operand = f.want;
    f.done = false;
    if (t.tokenType === T.In && f.declared?.kind === 'let') {
      const at = this.declarations.indexOf(f.declared);
      f.declared = { ...f.declared, kind: 'variable' };
      this.declarations[at] = f.declared;
    }
  }
  private key(t: IToken): void {
    const f = this.top;
    const callee = f.call?.callee;
    this.put(t, 'key', f.want, callee);
    f.call?.given.push(t.image);
    const param = callee?.kind === 'known' ? paramOf(callee.params, t.image) : undefined;
    f.want = { at: 'value', param: param ?? anything, key: t.image };
    f.operand = f.want;
    f.done = false;
  }
  private operand(t: IToken, role: Word['role'], want: Want): void {
    const f = this.top;
    if (want.at === 'declare' && role === 'name') this.declare(f, t);
    else if (want.at === 'name' && role === 'name') {
      f.named = t;
      const entry = find(want.of, t.image);
      f.fields = { ...entry?.params, ...f.fields };
    } else if (f.verb === 'quantize' && want.at === 'value' && !want.ports && role === 'name') {
      const scheme = find('scheme', t.image);
      if (scheme) f.fields = { ...f.fields, ...scheme.params };
    } else if (f.verb === 'evaluate' && role === 'name') f.fields = { ...f.fields, ...find('evaluation', t.image)?.params };
    if (f.verb === 'use' && role === 'text') f.source = t;
    if (f.kind === 'call' && !f.keyed && !f.done && want.at === 'arg') {
      const { callee } = want;
      const place = callee.kind === 'known' ? callee.positional[want.given.length] : undefined;
      f.call?.given.push(place ?? `${want.given.length}`);
    }
    this.put(t, role, want, f.call?.callee);
    f.done = true;
  }
  private declare(f: Frame, t: IToken): void {
    const kinds: Readonly<Record<string, Declaration['kind']>> = {
      use: 'use',
      recipe: 'recipe',
      param: 'param',
      let: 'let',
      schedule: 'schedule',
    };
    const kind = kinds[f.verb ?? ''];
    if (!kind) return;
    const own = kind === 'use' || kind === 'recipe' || this.recipe === undefined;
    const from = f.statement?.token.startOffset ?? t.startOffset;
    f.declared = {
      kind,
      token: t,
      from,
      to: endOf(t),
      ...(own ? {} : { recipe: this.recipe! }),
      ...(f.source ? { source: f.source } : {}),
    };
    if (kind === 'recipe') f.declared = { ...f.declared, recipe: this.recipe! };
    this.declarations.push(f.declared);
  }

  private open(t: IToken): void {
    const { top } = this;
    if (isA(t, T.LBrace) && top.verb === 'recipe') {
      this.stack.push({ ...frame('body', { at: 'statement' }), open: t });
      return;
    }
    if (isA(t, T.LParen) && top.verb === 'recipe') {
      this.stack.push({ ...frame('param', shapes['param']!.first), open: t, verb: 'param' });
      return;
    }
    const touching = isA(t, T.LParen) && top.done && (isA(this.last, T.RParen) || (this.last !== undefined && has(this.last, T.Word)));
    if (touching) this.call(t);
    else if (isA(t, T.LBrace)) this.record(t);
    else {
      const inner = isA(t, T.LBrack) && top.want.at === 'value' && top.want.param.is.kind === 'list' ? top.want.param.is.of : undefined;
      const want: Want = inner ? { at: 'value', param: inner } : isA(t, T.LBrack) ? { at: 'value', param: anything } : top.want;
      this.countPositional();
      this.stack.push({ ...frame(isA(t, T.LBrack) ? 'list' : 'group', want), open: t });
    }
  }
  /** A list or a record as the first part of an argument. */
  private countPositional(): void {
    const f = this.top;
    if (f.kind === 'call' && !f.keyed && !f.done && f.want.at === 'arg') f.call?.given.push(`${f.want.given.length}`);
  }
  private call(t: IToken): void {
    const { top } = this;
    const name = this.last!;
    const word = this.words.at(-1);
    const before = this.words.at(-2);
    const want = word?.want ?? top.operand;
    let callee: Callee = { kind: 'known', name: name.image, params: {}, positional: [] };
    if (want.at === 'recipe') callee = { kind: 'recipe', name: name.image };
    else if (want.at === 'member' && want.recipe && before) callee = { kind: 'recipe', name: name.image, of: want.of };
    else if (want.at === 'value' || want.at === 'arg') callee = calleeFor(name.image, want.param) ?? callee;
    const call: Call = { callee, name, form: 'call', given: [], open: t };
    this.calls.push(call);
    this.stack.push({ ...frame('call', argument(call)), open: t, call });
  }
  private record(t: IToken): void {
    const { top } = this;
    const param = !top.done && top.want.at === 'value' ? top.want.param : undefined;
    const inner = param?.is.kind === 'record' ? param.is.of : undefined;
    const own = top.kind === 'statement' && (top.done || top.verb === 'search');
    const schema = own ? top.fields : inner;
    const name = own ? (top.named ?? top.statement!.token) : (this.last ?? t);
    this.countPositional();
    const call: Call = {
      callee: { kind: 'known', name: name.image, params: schema ?? {}, positional: [] },
      name,
      form: 'record',
      given: [],
      open: t,
    };
    this.calls.push(call);
    this.stack.push({ ...frame('record', { at: 'key', callee: call.callee, given: call.given }), open: t, call });
  }
  private close(t: IToken): void {
    const opener = closers.get(t.tokenType);
    const at = this.stack.findLastIndex((f) => f.open?.tokenType === opener);
    if (at < 0) return;
    const f = this.stack[at]!;
    this.pairs.push([f.open!, t]);
    if (f.call) f.call.close = t;
    this.stack.length = at;
    if (f.kind === 'body') {
      while (this.top.kind !== 'file') {
        const done = this.stack.pop()!;
        if (done.statement) done.statement.to = endOf(t);
        if (done.declared) done.declared.to = endOf(t);
      }
      this.recipe = undefined;
      return;
    }
    this.top.done = true;
    if (f.kind === 'record' && this.top.kind === 'statement') this.stack.pop();
  }
  private comma(): void {
    const f = this.top;
    f.done = false;
    f.keyed = false;
    if (f.kind === 'call') f.want = argument(f.call!);
    else if (f.kind === 'record') f.want = { at: 'key', callee: f.call!.callee, given: f.call!.given };
    else if (f.kind === 'param') {
      f.want = shapes['param']!.first;
      delete f.declared;
    } else f.want = f.operand;
    f.operand = f.want;
  }
}

function frame(kind: Frame['kind'], want: Want): Frame {
  return { kind, want, operand: want, done: false };
}
function argument(call: Call): Want {
  const { callee } = call;
  const given = [...call.given];
  const name = callee.kind === 'known' ? callee.positional[given.length] : undefined;
  const param = callee.kind === 'known' && name !== undefined ? callee.params[name] : undefined;
  return { at: 'arg', callee, given, param: param ?? anything };
}
