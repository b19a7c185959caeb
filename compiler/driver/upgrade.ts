/** `qc upgrade` as a function: old names and other spellings become the canonical ones. */
import type { Diagnostic } from '../../grammar/diagnostics.ts';
import { QcError } from '../../grammar/diagnostics.ts';
import { type CheckOptions, check, type Resolver, type SourceText } from '../check/check.ts';
import { format } from './format.ts';

export interface Upgraded {
  /** Canonical; equal to what was given where there is nothing to do. */
  readonly text: string;
  readonly changes: readonly { readonly line: number; readonly from: string; readonly to: string }[];
}

/** Rewrites what `check` says is deprecated or spelt otherwise; the program stays the same. Errors: every mistake of the recipe. */
export function upgrade(source: SourceText, resolve?: Resolver, options: Pick<CheckOptions, 'deprecations'> = {}): Upgraded {
  const { diagnostics } = check(source, resolve, { ...options, spellings: true });
  const errors = diagnostics.filter((d) => d.severity === 'error');
  if (errors.length) throw new QcError(errors);
  const fixes = diagnostics
    .filter((d) => d.code === 'deprecated' || d.code === 'other-spelling')
    .flatMap((d): NonNullable<Diagnostic['fix']>[] => (d.fix && d.fix.span.file === source.path ? [d.fix] : []))
    .sort((a, b) => a.span.start - b.span.start)
    // A word that is read twice (a `let` under two types) is rewritten once.
    .filter((f, i, all) => f.span.start !== all[i - 1]?.span.start);
  let text = source.text;
  for (const f of [...fixes].reverse()) text = text.slice(0, f.span.start) + f.text + text.slice(f.span.end);
  return {
    text: format(text, source.path),
    changes: fixes.map((f) => ({ line: f.span.line, from: source.text.slice(f.span.start, f.span.end), to: f.text })),
  };
}
