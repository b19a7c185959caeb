/** Kinds of tokens that a scan tells apart. */
import type { IToken, TokenType } from 'chevrotain';
import * as T from '../../grammar/tokens.ts';

/** What closes → what opened it. */
export const closers = new Map<TokenType, TokenType>([
  [T.RParen, T.LParen],
  [T.RBrack, T.LBrack],
  [T.RBrace, T.LBrace],
]);
export const isA = (t: IToken | undefined, a: TokenType, b = a, c = a): boolean =>
  t !== undefined && (t.tokenType === a || t.tokenType === b || t.tokenType === c);
const isOf = (t: TokenType, category: TokenType): boolean => t.CATEGORIES?.some((c) => c === category || isOf(c, category)) ?? false;
const members = new Map([T.Word, T.Name, T.Binary, T.Prefix].map((c) => [c, new Set(T.tokens.filter((t) => isOf(t, c)))]));
export const has = (t: IToken, category: TokenType): boolean => members.get(category)!.has(t.tokenType);
export const endOf = (t: IToken): number => t.startOffset + t.image.length;
export const connectives: ReadonlySet<TokenType> = new Set([T.On, T.Of, T.As, T.At, T.To, T.In, T.Each, T.Version, T.Assign]);
export const verbTypes: ReadonlySet<TokenType> = new Set(Object.values(T.Verb));
