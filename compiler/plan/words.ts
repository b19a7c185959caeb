/** Small readings of values: a name that may be written as a word, a call or a string. */
import type { Expr } from '../recipe.ts';
import type { Ref } from '../schema.ts';
import { describe, failAt, print, refOf, type Val } from './bind.ts';

/** `grid`, `grid(20)` or "grid" as a Ref. */
export function wordRef(v: Val, at: Expr): Ref {
  if (v.kind === 'ref') return refOf(v);
  if (v.kind === 'string') return { name: v.value, args: {} };
  return failAt('not-a-name', `A name is needed here; this is a ${describe(v)}.`, at.span);
}

/** The word of a choice (`mode: static`), however it was written. */
export const wordIn = (v: Val | undefined): string | undefined =>
  v === undefined
    ? undefined
    : v.kind === 'ref'
      ? v.name
      : v.kind === 'string'
        ? v.value
        : v.kind === 'bool'
          ? v.value
            ? 'yes'
            : 'no'
          : print(v);
