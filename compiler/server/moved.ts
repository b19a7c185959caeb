/** Places of a text in an older version of it: all that stands before and behind what was changed is where it was. */
import type { Diagnostic, Span } from '../../grammar/diagnostics.ts';

export interface Moved {
  /** A place of the new text in the old one; undefined inside of what was changed. */
  old(offset: number): number | undefined;
  /** And back. */
  now(offset: number): number | undefined;
}
export const unmoved: Moved = { old: (o) => o, now: (o) => o };

/** Compares from both ends. */
export function moved(before: string, after: string): Moved {
  const short = Math.min(before.length, after.length);
  let head = 0;
  while (head < short && before[head] === after[head]) head++;
  let tail = 0;
  while (tail < short - head && before[before.length - 1 - tail] === after[after.length - 1 - tail]) tail++;
  const by = after.length - before.length;
  return {
    old: (o) => (o <= head ? o : o >= after.length - tail ? o - by : undefined),
    now: (o) => (o <= head ? o : o >= before.length - tail ? o + by : undefined),
  };
}

/** A diagnostic of the old text at its place in the new one; undefined where that was changed. */
export function carried(d: Diagnostic, path: string, m: Moved): Diagnostic | undefined {
  const span = d.span && spanOf(d.span, path, m);
  if (d.span && !span) return undefined;
  const fix = d.fix && spanOf(d.fix.span, path, m);
  const { fix: old, ...rest } = d;
  return { ...rest, ...(span ? { span } : {}), ...(fix && old ? { fix: { ...old, span: fix } } : {}) };
}
function spanOf(s: Span, path: string, m: Moved): Span | undefined {
  if (s.file !== path) return s;
  const [start, end] = [m.now(s.start), m.now(s.end)];
  return start === undefined || end === undefined ? undefined : { ...s, start, end };
}
