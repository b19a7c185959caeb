/** A place in a text: character offsets, and line/column counted from 1. */
export interface Span {
  readonly file: string;
  readonly start: number;
  readonly end: number;
  readonly line: number;
  readonly column: number;
}

/** Something to tell the user. Codes are kebab-case names that have a page in the reference and a fixture in the tests. */
export interface Diagnostic {
  readonly code: string;
  readonly severity: 'error' | 'warning' | 'info';
  readonly message: string;
  readonly span?: Span;
  /** What to do about it. */
  readonly hint?: string;
  /** A replacement for the span that fixes it (did-you-mean). */
  readonly fix?: { readonly span: Span; readonly text: string };
  /** Other places that matter, e.g. the first declaration. */
  readonly related?: readonly { readonly message: string; readonly span: Span }[];
}

/** Wrong input (exit code 2), as opposed to a bug (3). Carries every diagnostic that was found. */
export class QcError extends Error {
  override readonly name = 'QcError';
  constructor(readonly diagnostics: readonly Diagnostic[]) {
    super(diagnostics.map((d) => `${d.code}: ${d.message}`).join('\n'));
  }
}

/** Throws one error without a place in a text (models, data, disk). */
export function fail(code: string, message: string, hint?: string): never {
  throw new QcError([{ code, severity: 'error', message, ...(hint === undefined ? {} : { hint }) }]);
}
