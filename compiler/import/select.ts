/** Names of modules as PyTorch tools write them → selections. */
import type { Expr } from '../../grammar/ast.ts';
import { and, glob, name, not, or, regex } from './ast.ts';
import type { Draft } from './draft.ts';

/** Module classes, by what their name contains. */
const classes: readonly (readonly [RegExp, string])[] = [
  [/^(Quant)?Linear$|^Conv1D$/, 'linear'],
  [/^Conv(Transpose)?[123]d$/, 'conv'],
  [/^Embedding$/, 'embedding'],
  [/Norm(alization)?\d?d?$/, 'norm'],
  [/(Attention|SelfAttention)$/, 'attention'],
  [/MLP$/, 'mlp'],
];

/**
 * A Python regular expression over module names as a JavaScript one over canonical paths, fully anchored. `match` is anchored at the start already
 * (re.match), `search` nowhere. The wrapper `model.` is no part of canonical paths. undefined: JavaScript cannot say it.
 */
export function pythonRegex(pattern: string, mode: 'match' | 'search'): string | undefined {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters have no place in a recipe
  if (/[\u0000-\u001f]/.test(pattern) || pattern.length > 2000) return undefined;
  const start = pattern.startsWith('^');
  const end = /(?:^|[^\\])(?:\\\\)*\$$/.test(pattern);
  let inner = pattern.slice(start ? 1 : 0, end ? -1 : undefined).replaceAll('(?P<', '(?<');
  inner = inner.replace(/^model(\\?\.)(?![*+?])/, '(?:model$1)?');
  const alternatives = /\|/.test(inner.replace(/\\.|\[[^\]]*\]/g, '').replace(/\([^()]*\)/g, ''));
  if (alternatives) inner = `(?:${inner})`;
  const before = start || mode === 'match' || inner.startsWith('.*') ? '' : '.*';
  const after = end || /(?:^|[^\\])\.\*$/.test(inner) ? '' : '.*';
  // `\-`, `\_`, `\/`: Python allows to escape what needs no escape.
  for (const attempt of [inner, inner.replace(/\\([^A-Za-z0-9\\^$.*+?()[\]{}|/])/g, '$1')]) {
    const whole = `${before}${attempt}${after}`;
    try {
      new RegExp(`^(?:${whole})$`, 'u');
      return whole;
    } catch {}
  }
  return undefined;
}

/** An exact module name as a path; the wrapper `model.` is no part of canonical paths. */
export const module = (m: string): Expr => {
  const path = m.replace(/^model\./, '');
  return /[*?[\]{}()!+@\\]/.test(path) ? regex(path.replace(/[\\^$.*+?()[\]{}|/]/g, '\\$&')) : glob(path);
};

/** What one entry of `targets` or `ignore` means; undefined (and told) where it means nothing here. */
export function target(entry: string, where: string, draft: Draft): Expr | undefined {
  if (entry.startsWith('re:')) {
    const re = pythonRegex(entry.slice(3).replace(/\.(weight|bias)$/, ''), 'match');
    if (re !== undefined) return regex(re);
    draft.lost(where, entry, 'no regular expression of JavaScript says this');
    return undefined;
  }
  if (/^[A-Z]\w*$/.test(entry)) {
    const role = classes.find(([pattern]) => pattern.test(entry))?.[1];
    if (role !== undefined) return name(role);
    draft.lost(where, entry, 'no role stands for this class of modules');
    return undefined;
  }
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters have no place in a recipe
  if (entry === '' || /[\u0000-\u001f]/.test(entry)) {
    draft.lost(where, entry, 'this is no name of a module');
    return undefined;
  }
  return module(entry);
}

export const targets = (entries: readonly string[], where: string, draft: Draft): Expr[] =>
  entries.map((e) => target(e, where, draft)).filter((e): e is Expr => e !== undefined);

/** Class names match first, then expressions, then exact names: what comes later in a recipe wins. */
export const bySpecificity = (entries: readonly string[]): string[] => {
  const rank = (e: string) => (e.startsWith('re:') ? 1 : /^[A-Z]\w*$/.test(e) ? 0 : 2);
  return entries.toSorted((a, b) => rank(a) - rank(b));
};

/** `body` without what is ignored. */
export const without = (body: Expr, ignored: readonly Expr[]): Expr => (ignored.length ? and(body, not(or(...ignored))) : body);
