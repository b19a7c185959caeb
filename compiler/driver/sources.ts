/** The texts that a compiled model carries: what its recipe is made of, and no more of a library than that. */
import type { File } from '../../grammar/ast.ts';
import { parse } from '../../grammar/parser.ts';
import { print } from '../../grammar/printer.ts';
import { beside, isFile } from '../beside.ts';
import type { Program, Recipe } from '../recipe.ts';

/**
 * Path → canonical text. Files whose names another takes in (`use … as *`) stay away, with their `use`, where no recipe of the root
 * file applies one of theirs; those that declare a `let` stay.
 */
export function sourcesOf(program: Program, root: string, compiled: Recipe): Map<string, string> {
  const files = new Map([...program.sources].map(([path, text]) => [path, parse(text, path).ast]));
  const reached = new Set<string>([root]);
  for (const r of [compiled, ...program.recipes.filter((r) => r.file === root)]) reach(r, reached);
  const away = program.evaluations.length > 0 ? new Set<string>() : idle(files, reached);
  const kept = [...files].filter(([path]) => !away.has(path));
  return new Map(
    kept.map(([path, ast]) => [
      path,
      print({ ...ast, uses: ast.uses.filter((u) => u.alias.name !== '*' || !away.has(target(path, u.source.value))) }),
    ]),
  );
}

function reach(r: Recipe, into: Set<string>): void {
  into.add(r.file);
  for (const s of r.statements) if (s.verb === 'apply') reach(s.recipe, into);
}

/** Files that only `*` names and that give nothing. */
function idle(files: ReadonlyMap<string, File>, reached: ReadonlySet<string>): Set<string> {
  const uses = [...files].flatMap(([path, f]) =>
    f.uses.map((u) => ({ path, open: u.alias.name === '*', to: target(path, u.source.value) })),
  );
  const out = new Set(uses.flatMap((u) => (u.open && files.has(u.to) ? [u.to] : [])));
  const keep = (path: string): void => {
    if (!out.delete(path)) return;
    // What takes in a file that stays has to stay itself.
    for (const u of uses) if (u.open && u.to === path) keep(u.path);
  };
  for (const path of [...out]) {
    const gives = reached.has(path) || files.get(path)?.items.some((i) => i.kind === 'let');
    if (gives || uses.some((u) => !u.open && u.to === path)) keep(path);
  }
  return out;
}

/** A package stays what it is. */
const target = (from: string, spec: string): string => (isFile(spec) ? beside(from, spec) : spec);
