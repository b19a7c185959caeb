/** Short selections for sets of sites. */
import type { Expr } from '../../grammar/ast.ts';
import { and, glob, name, not, or, regex } from '../import/ast.ts';
import { globOf } from '../plan/select.ts';
import type { Site } from '../sites.ts';

const special = /[*?[\]{}()!+@\\,]/;

/** Globs for a path, widest first. */
function candidates(path: string, chosen: readonly string[]): string[] {
  const parts = path.split('.');
  const leaf = parts.at(-1) ?? '';
  const starred = parts.map((p) => (/^\d+$/.test(p) ? '*' : p)).join('.');
  const alike = chosen.filter(
    (p) =>
      p
        .split('.')
        .map((x) => (/^\d+$/.test(x) ? '*' : x))
        .join('.') === starred,
  );
  const places = parts.flatMap((p, i) => (/^\d+$/.test(p) ? [i] : []));
  const out: string[] = [];
  if (parts.length > 1 && !/^\d+$/.test(leaf)) out.push(`*.${leaf}`);
  if (places.length) out.push(starred);
  const [at] = places;
  if (places.length === 1 && at !== undefined && alike.length > 1)
    out.push(parts.map((p, i) => (i === at ? `{${alike.map((x) => x.split('.')[at]).join(',')}}` : p)).join('.'));
  return [...out, path];
}

/** `a.{b,c}` for globs that differ in their last name. */
function merged(globs: readonly string[]): string[] {
  const byParent = new Map<string, string[]>();
  for (const g of globs) {
    const at = g.lastIndexOf('.');
    const [parent, leaf] = at < 0 ? ['', g] : [g.slice(0, at), g.slice(at + 1)];
    byParent.set(parent, [...(byParent.get(parent) ?? []), leaf]);
  }
  return [...byParent].flatMap(([parent, leaves]) =>
    parent === '' || leaves.length === 1 || leaves.some((l) => special.test(l))
      ? leaves.map((l) => (parent ? `${parent}.${l}` : l))
      : [`${parent}.{${leaves.join(',')}}`],
  );
}

/** Selections of exactly these paths among those of a role; `extra` may be hit too. */
function globs(chosen: readonly string[], all: readonly string[], extra: ReadonlySet<string>): Expr[] {
  const wanted = new Set(chosen);
  const left = new Set(chosen);
  const found: string[] = [];
  const odd: Expr[] = [];
  for (const p of chosen) {
    if (!left.has(p)) continue;
    if (special.test(p)) {
      odd.push(regex(p.replace(/[\\^$.*+?()[\]{}|/]/g, '\\$&')));
      continue;
    }
    for (const g of candidates(p, chosen)) {
      const matches = globOf(g);
      const hit = all.filter(matches);
      if (hit.some((x) => !wanted.has(x) && !extra.has(x))) continue;
      found.push(g);
      for (const x of hit) left.delete(x);
      break;
    }
  }
  return [...merged(found).map(glob), ...odd];
}

/** The sites of `chosen` among `all` of one role. Those of `extra` may be selected too: a later statement decides them. */
export function selection(role: string, chosen: readonly Site[], all: readonly Site[], extra: readonly Site[]): Expr {
  const [paths, everything] = [chosen.map((s) => s.path), all.map((s) => s.path)];
  const free = new Set(extra.map((s) => s.path));
  const wanted = new Set(paths);
  const others = everything.filter((p) => !wanted.has(p) && !free.has(p));
  if (others.length === 0) return name(role);
  const inside = globs(paths, everything, free);
  const outside = globs(others, everything, free);
  return outside.length <= inside.length ? and(name(role), not(or(...outside))) : and(name(role), or(...inside));
}
