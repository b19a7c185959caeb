/** The words of the language. Chevrotain token types; verbs and connectives are reserved except where a key or a member name stands. */
import { createToken, Lexer, type TokenType } from 'chevrotain';

/** Any word: keys of records, names of arguments and members. */
export const Word = createToken({ name: 'Word', pattern: Lexer.NA, label: 'a name' });
/** A word that may name something. */
export const Name = createToken({ name: 'Name', pattern: Lexer.NA, categories: [Word], label: 'a name' });
export const Binary = createToken({ name: 'Binary', pattern: Lexer.NA, label: 'an operator' });
export const Prefix = createToken({ name: 'Prefix', pattern: Lexer.NA });

export const Plain = createToken({ name: 'Plain', pattern: /[A-Za-z_]\w*/, categories: [Name] });

const word = (w: string, ...categories: TokenType[]): TokenType =>
  createToken({ name: `\`${w}\``, pattern: w, longer_alt: Plain, categories: [Word, ...categories] });

export const verbs = [
  'use',
  'recipe',
  'let',
  'doc',
  'schedule',
  'calibrate',
  'transform',
  'quantize',
  'prune',
  'solve',
  'search',
  'keep',
  'apply',
  'target',
  'evaluate',
  'require',
] as const;
export type VerbWord = (typeof verbs)[number];
export const Verb = Object.fromEntries(verbs.map((v) => [v, word(v)])) as Record<VerbWord, TokenType>;

export const On = word('on');
export const Of = word('of');
export const As = word('as');
export const At = word('at');
export const To = word('to');
export const In = word('in');
export const Each = word('each');
export const By = word('by', Binary);
export const Or = word('or', Binary);
export const And = word('and', Binary);
export const Not = word('not', Prefix);
/** Reserved only where a recipe begins, so it may name other things. */
export const Version = word('version', Name);
/** Reserved only at the head of a file. */
export const LanguageWord = word('language', Name);

const mark = (pattern: string, ...categories: TokenType[]): TokenType => createToken({ name: `\`${pattern}\``, pattern, categories });
export const Tie = mark('<->', Binary);
export const Arrow = mark('->', Binary);
export const PlusMinus = mark('+-', Binary);
export const Le = mark('<=', Binary);
export const Ge = mark('>=', Binary);
export const Eq = mark('==', Binary);
export const Lt = mark('<', Binary);
export const Gt = mark('>', Binary);
export const DotDot = mark('..', Binary);
export const Plus = mark('+', Binary);
export const Minus = mark('-', Binary, Prefix);
export const Star = mark('*', Binary);
export const Slash = mark('/', Binary);
export const Assign = mark('=');
export const Dot = mark('.');
export const Comma = mark(',');
export const Colon = mark(':');
export const LParen = mark('(');
export const RParen = mark(')');
export const LBrack = mark('[');
export const RBrack = mark(']');
export const LBrace = mark('{');
export const RBrace = mark('}');

/** Digits and whatever letters touch them: a unit, or a mistake that names itself. */
export const NumberLit = createToken({
  name: 'Number',
  pattern: /\d+(?:\.\d+)?(?:[eE][+-]?\d+)?(?:%|[A-Za-z_]\w*)?/,
  label: 'a number',
  start_chars_hint: [...'0123456789'],
});
export const StringLit = createToken({ name: 'String', pattern: /"(?:[^"\\\n\r]|\\[^\n\r])*"/, label: 'a text in quotes' });
/** A text whose closing quote is missing on its line. */
export const OpenString = createToken({ name: 'OpenString', pattern: /"(?:[^"\\\n\r]|\\[^\n\r])*\\?/, label: 'a text in quotes' });
export const Comment = createToken({ name: 'Comment', pattern: /#[^\n\r]*/, group: 'comments' });
const Space = createToken({ name: 'Space', pattern: /[ \t\r\n\uFEFF]+/, group: Lexer.SKIPPED, line_breaks: true });

export const connectives = [On, Of, As, At, To, In, Each, By, Or, And, Not, Version, LanguageWord];
export const tokens: TokenType[] = [
  Space,
  Comment,
  ...Object.values(Verb),
  ...connectives,
  Plain,
  NumberLit,
  StringLit,
  OpenString,
  ...[Tie, Arrow, PlusMinus, Le, Ge, Eq, Lt, Gt, DotDot, Plus, Minus, Star, Slash, Assign, Dot, Comma, Colon],
  ...[LParen, RParen, LBrack, RBrack, LBrace, RBrace],
  ...[Word, Name, Binary, Prefix],
];

/** Words that cannot name anything. */
export const reserved: ReadonlySet<string> = new Set([...verbs, 'on', 'of', 'as', 'at', 'to', 'in', 'each', 'by', 'or', 'and', 'not']);
export const unitWords: ReadonlySet<string> = new Set(['dB', 'x', 'B', 'KB', 'MB', 'GB', 'ms', 'M']);
