/**
 * The TextMate grammar of recipes, made from the token list so that it cannot go stale: editors and the documentation site colour with it.
 * Colours follow places, not names (a call, a key, a declaration), so that a new algorithm needs nothing here.
 */
import type { TokenType } from 'chevrotain';
import { units } from './literals.ts';
import * as T from './tokens.ts';

export const scopeName = 'source.qrecipe';

export interface Rule {
  readonly name?: string;
  readonly match?: string;
  readonly begin?: string;
  readonly end?: string;
  readonly captures?: Readonly<Record<string, { readonly name: string }>>;
  readonly beginCaptures?: Rule['captures'];
  readonly endCaptures?: Rule['captures'];
  readonly patterns?: readonly ({ readonly include: string } | Rule)[];
  readonly include?: string;
}

const literal = (s: string): string => s.replace(/[.*+?^${}()|[\]\\/-]/g, '\\$&');
const any = (words: readonly string[]): string =>
  [...words]
    .sort((a, b) => b.length - a.length || (a < b ? -1 : 1))
    .map(literal)
    .join('|');
/** Whole words; not before the colon of a key or behind the dot of a member, where any word may stand. */
const words = (list: readonly string[]): string => `(?<![\\w.])(?:${any(list)})\\b(?!\\s*:)`;
const fixed = (t: TokenType): string[] => (typeof t.PATTERN === 'string' ? [t.PATTERN] : []);
const is = (t: TokenType, category: TokenType): boolean => t.CATEGORIES?.includes(category) ?? false;

const operators = T.tokens.filter((t) => is(t, T.Binary) && !is(t, T.Word)).flatMap(fixed);
const wordOperators = T.connectives.filter((t) => is(t, T.Binary) || is(t, T.Prefix)).flatMap(fixed);
const connectives = T.connectives.flatMap(fixed).filter((w) => !wordOperators.includes(w));
const declaring = ['recipe', 'let', 'schedule'] satisfies T.VerbWord[];
const naming = ['transform', 'solve', 'target'] satisfies T.VerbWord[];
const plain = (T.Plain.PATTERN as RegExp).source;

const repository: Readonly<Record<string, Rule>> = {
  comment: { name: 'comment.line.number-sign.qrecipe', match: (T.Comment.PATTERN as RegExp).source },
  string: {
    name: 'string.quoted.double.qrecipe',
    begin: '"',
    end: '"|$',
    patterns: [{ name: 'constant.character.escape.qrecipe', match: '\\\\["\\\\]' }],
  },
  ratio: { name: 'constant.numeric.ratio.qrecipe', match: '(?<!\\w)\\d+:\\d+(?!\\w)' },
  number: {
    match: `(?<!\\w)(\\d+(?:\\.\\d+)?(?:[eE][+-]?\\d+)?)(${any(units)})?(?!\\w)`,
    captures: { 1: { name: 'constant.numeric.qrecipe' }, 2: { name: 'keyword.other.unit.qrecipe' } },
  },
  declaration: {
    match: `(?<![\\w.])(${any(declaring)})\\s+(${plain})\\b`,
    captures: { 1: { name: 'keyword.control.qrecipe' }, 2: { name: 'entity.name.function.qrecipe' } },
  },
  algorithm: {
    match: `(?<![\\w.])(${any(naming)})\\s+(${plain})\\b`,
    captures: { 1: { name: 'keyword.control.qrecipe' }, 2: { name: 'support.function.qrecipe' } },
  },
  alias: {
    match: `(?<=")\\s+(as)\\s+(${plain}\\b|\\*)`,
    captures: { 1: { name: 'keyword.other.qrecipe' }, 2: { name: 'entity.name.namespace.qrecipe' } },
  },
  type: {
    match: `(?<![\\w.])(as|at)\\s+(${plain})\\b`,
    captures: { 1: { name: 'keyword.other.qrecipe' }, 2: { name: 'support.type.qrecipe' } },
  },
  key: {
    match: `\\b(${plain})\\s*(:)`,
    captures: { 1: { name: 'variable.parameter.qrecipe' }, 2: { name: 'punctuation.separator.key-value.qrecipe' } },
  },
  verb: { name: 'keyword.control.qrecipe', match: words(T.verbs) },
  wordOperator: { name: 'keyword.operator.word.qrecipe', match: words(wordOperators) },
  connective: { name: 'keyword.other.qrecipe', match: words(connectives) },
  truth: { name: 'constant.language.qrecipe', match: words(['yes', 'no', 'true', 'false', 'none']) },
  call: { match: `\\b(${plain})(?=\\()`, captures: { 1: { name: 'entity.name.function.call.qrecipe' } } },
  member: {
    match: `(\\.)(${plain})\\b`,
    captures: { 1: { name: 'punctuation.accessor.qrecipe' }, 2: { name: 'variable.other.member.qrecipe' } },
  },
  operator: { name: 'keyword.operator.qrecipe', match: any(operators) },
  assign: { name: 'keyword.operator.assignment.qrecipe', match: '=' },
  name: { name: 'variable.other.qrecipe', match: `\\b${plain}\\b` },
};

/** The grammar as vscode-textmate and shiki read it. Earlier patterns win. */
export const textmate = {
  $schema: 'https://raw.githubusercontent.com/martinring/tmlanguage/master/tmlanguage.json',
  information_for_contributors: ['Generated from grammar/tokens.ts by `npm run generate`.'],
  name: 'qrecipe',
  displayName: 'Quantization recipe',
  scopeName,
  fileTypes: ['qrecipe'],
  patterns: Object.keys(repository).map((k) => ({ include: `#${k}` })),
  repository,
} as const;
