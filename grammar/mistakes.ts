/** Says in plain words what Chevrotain found wrong. */
import type { ILexingError, IRecognitionException, IToken } from 'chevrotain';
import { closest, distance } from 'fastest-levenshtein';
import type { Diagnostic, Span } from './diagnostics.ts';
import * as T from './tokens.ts';

/** A character that no word begins with. */
export function lexicalDiagnostic(e: ILexingError, text: string, file: string): Diagnostic {
  const span = { file, start: e.offset, end: e.offset + e.length, line: e.line ?? 1, column: e.column ?? 1 };
  const found = text.slice(e.offset, e.offset + e.length);
  const hints: Record<string, string> = {
    "'": 'Texts stand in double quotes.',
    ';': 'Statements need no mark between them.',
    '&': 'Selections are joined with `and`.',
    '|': 'Selections are joined with `or`.',
    '!': 'Write `not`.',
    '\\': 'A backslash may stand only in a text.',
  };
  return {
    code: 'unknown-character',
    severity: 'error',
    message: `\`${found}\` means nothing here`,
    span,
    hint: hints[found[0] ?? ''] ?? 'Remove it, or put it in a text in quotes.',
  };
}

/** What each rule of the grammar wants, in the reader's terms. */
const wanted: Record<string, [string, string]> = {
  language: ['a number', 'Write `language 1`, the version of the language.'],
  file: ['`use`, `let`, `recipe` or `evaluate`', 'Every other statement stands inside a recipe: `recipe name version "1.0.0" { … }`.'],
  statement: ['a statement', `A statement begins with its verb: ${T.verbs.filter((v) => v !== 'use' && v !== 'recipe').join(', ')}.`],
  value: ['a value', 'A value is a number, a text, a name, a list in [ ], a record in { } or an expression in ( ).'],
  let: ['`=` or `in`', 'Write `let name = value`, or `let name in domain` for a variable.'],
  use: ['`use "package@^1" as name`', 'For example `use "@qrecipe/std@^0.1" as std`.'],
  record: ['`,` or `}`', 'Fields are `key: value`, with commas between them.'],
  list: ['`,` or `]`', 'Items are separated by commas.'],
  operand: ['`,` or `)`', 'Arguments are separated by commas.'],
};
/** Hints by rule and the word that was missing. */
const hints: Record<string, string> = {
  'recipe/`version`': 'Every recipe has one: `recipe name version "1.0.0" { … }`.',
  'quantize/`as`': 'Write `quantize weight of linear as int4 { group: 32 }`.',
  'prune/`as`': 'Write `prune linear as sparse(0.5)`.',
  'transform/`on`': 'Write `transform smooth on norm -> linear { … }`.',
  'solve/`on`': 'Write `solve gptq on linear { … }`.',
  'use/`as`': 'Write `use "@qrecipe/std@^0.1" as std`.',
};

export function syntaxDiagnostic(e: IRecognitionException & { previousToken?: IToken }, text: string, at: (t: IToken) => Span): Diagnostic {
  const rule = e.context.ruleStack.at(-1) ?? 'file';
  const end = Number.isNaN(e.token.startOffset);
  const span = end ? endOf(text, e, at) : at(e.token);
  const error = (message: string, hint?: string, code = 'syntax', fix?: Diagnostic['fix']): Diagnostic => ({
    code,
    severity: 'error',
    message,
    span,
    ...(hint ? { hint } : {}),
    ...(fix ? { fix } : {}),
  });
  const found = end ? 'the end of the file' : e.token.image.length > 30 ? `\`${e.token.image.slice(0, 30)}…\`` : `\`${e.token.image}\``;
  if (e.token.tokenType === T.OpenString)
    return error('The text has no closing quote', 'A text ends with `"` on the line where it begins.', 'open-text');
  const missing = e.name === 'MismatchedTokenException' ? /--> (.+?) <--/.exec(e.message)?.[1] : undefined;
  const top = missing === 'EOF' ? 'file' : rule;
  const [expected, hint] =
    missing === undefined || missing === 'EOF' || wanted[rule]?.[0].includes(missing) ? (wanted[top] ?? ['something else']) : [missing];

  if (missing === 'a name' && T.reserved.has(e.token.image)) {
    return error(`${found} is a word of the language and cannot be a name`, 'Pick another name.', 'reserved-word');
  }
  if ((rule === 'statement' || rule === 'recipe' || rule === 'file') && e.token.tokenType === T.Plain) {
    const word = e.token.image;
    const near = closest(word, [...T.verbs]);
    if (distance(near, word) <= 2) return error(`${found} is not a statement`, `Did you mean \`${near}\`?`, 'syntax', { span, text: near });
  }
  const previous = e.previousToken;
  if (previous?.tokenType === T.NumberLit && T.unitWords.has(e.token.image)) {
    const joined = { ...at(previous), end: span.end };
    const fixed = `${previous.image}${e.token.image}`;
    return error(`A unit touches its number`, `Write \`${fixed}\`.`, 'syntax', { span: joined, text: fixed });
  }
  return error(`Expected ${expected}, found ${found}`, hints[`${rule}/${missing}`] ?? hint);
}

/** The last character of the text that is not white. */
function endOf(text: string, e: IRecognitionException & { previousToken?: IToken }, at: (t: IToken) => Span): Span {
  if (e.previousToken && !Number.isNaN(e.previousToken.startOffset)) {
    const s = at(e.previousToken);
    return { ...s, start: s.end - 1, column: s.column + (s.end - s.start) - 1 };
  }
  return { file: at(e.token).file, start: text.length, end: text.length, line: 1, column: 1 };
}
