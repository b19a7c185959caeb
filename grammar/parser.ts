/** Text → syntax tree. Recovers from mistakes, so that one run reports all of them. */
import { type IToken, Lexer } from 'chevrotain';
import type { File, Item, Language, Use } from './ast.ts';
import type { Diagnostic, Span } from './diagnostics.ts';
import { lexicalDiagnostic, syntaxDiagnostic } from './mistakes.ts';
import { Grammar } from './statement-rules.ts';
import * as T from './tokens.ts';
import { attachTrivia } from './trivia.ts';

let grammar: Grammar | undefined;
let lexer: Lexer | undefined;

export interface Parsed {
  readonly ast: File;
  readonly diagnostics: readonly Diagnostic[];
  /** Names that broken statements may have declared; the checker does not call them unknown. */
  readonly doubtful: ReadonlySet<string>;
}

/** The words of a text with their places; what is no word is left out. */
export function words(text: string): readonly IToken[] {
  lexer ??= makeLexer();
  return lexer.tokenize(text).tokens;
}
/** `validate`: looks for mistakes of the tokens themselves, which a test does once for all. */
export const makeLexer = ({ validate = false } = {}): Lexer =>
  new Lexer(T.tokens, { ensureOptimizations: true, positionTracking: 'onlyStart', skipValidations: !validate });

/**
 * Parses a recipe file. Never throws for wrong text: what could be read is in `ast`, every mistake in `diagnostics`.
 * @param file the name that spans carry
 */
export function parse(text: string, file: string): Parsed {
  lexer ??= makeLexer();
  grammar ??= new Grammar();
  const lexed = lexer.tokenize(text);
  grammar.file = file;
  grammar.reports = [];
  grammar.input = lexed.tokens;
  const read = grammar.source() as { language?: Language; uses: Use[]; items: Item[] } | undefined;
  const { language, uses, items } = read ?? { uses: [], items: [] };
  const span = { file, start: 0, end: text.length, line: 1, column: 1 };
  const bare: File = { kind: 'file', ...(language ? { language } : {}), uses, items, trivia: new Map(), span };
  const at = (t: IToken): Span => grammar!.span(t);
  const diagnostics = [
    ...lexed.errors.map((e) => lexicalDiagnostic(e, text, file)),
    ...oneALine(grammar.errors.map((e) => syntaxDiagnostic(e, text, at))),
    ...grammar.reports,
  ].sort((a, b) => (a.span?.start ?? 0) - (b.span?.start ?? 0));
  const ast = { ...bare, trivia: attachTrivia(bare, lexed.groups['comments'] ?? [], text, at) };
  return { ast, diagnostics, doubtful: diagnostics.length ? declared(lexed.tokens) : new Set() };
}

/** After a mistake the rest of its line is guesswork. */
const oneALine = (all: readonly Diagnostic[]): Diagnostic[] => all.filter((d, i) => i === 0 || all[i - 1]?.span?.line !== d.span?.line);

/** Every word that stands where a declaration has its name. */
function declared(tokens: readonly IToken[]): Set<string> {
  const declares = (_: IToken, i: number): boolean => {
    const [second, before, next] = [tokens[i - 2]?.tokenType, tokens[i - 1]?.tokenType, tokens[i + 1]?.tokenType];
    if (before === T.As) return second === T.StringLit;
    return next === T.Assign || before === T.Verb.let || before === T.Verb.schedule || before === T.Verb.recipe;
  };
  return new Set(tokens.filter(declares).map((t) => t.image));
}
