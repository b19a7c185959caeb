/** The recipe packages of a project: what its package.json asks for, and what of that has recipes. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { QcError } from '../../grammar/diagnostics.ts';
import { check } from '../check/check.ts';
import type { Locked } from '../lock.ts';
import { closureOf, lockedOf } from './closure.ts';
import { readLock } from './lockfile.ts';
import { readManifest } from './package.ts';
import { locate } from './resolve.ts';

/** Name → range, of dependencies that are installed and have recipes. */
export function recipeDependencies(project: string): Record<string, string> {
  const path = join(project, 'package.json');
  if (!existsSync(path)) return {};
  const json = readManifest(path, project);
  const all = { ...record(json, 'devDependencies'), ...record(json, 'dependencies') };
  return Object.fromEntries(
    Object.entries(all).filter(([name]) => {
      const manifest = locate(name, path);
      return manifest !== undefined && 'qrecipe' in readManifest(manifest, name);
    }),
  );
}
const record = (json: object, key: string): Record<string, string> =>
  ((json as Record<string, unknown>)[key] ?? {}) as Record<string, string>;

/** The closure of packages by name and range. Throws what checking them tells: a conflict, code in a package, a mistake in a recipe. */
export function lockedClosure(project: string, wanted: Readonly<Record<string, string>>): Locked[] {
  const path = join(project, 'package.qrecipe');
  const uses = Object.entries(wanted).map(([name, range], i) => `use "${name}@${range}" as p${i}`);
  const root = { path, text: `${uses.join('\n')}\n` };
  const closure = closureOf(root, project);
  const errors = check(root, closure.resolve).diagnostics.filter((d) => d.severity === 'error');
  // The text is not the user's, so its lines say nothing.
  if (errors.length) throw new QcError(errors.map(({ span, ...d }) => (span?.file === path ? d : { ...d, ...(span ? { span } : {}) })));
  return lockedOf(closure.packages);
}

/** Everything that the project's lock is to hold: its dependencies, and what was locked and is still there (such as the standard library). */
export function wholeClosure(project: string): Locked[] {
  const locked = Object.keys(readLock(project)?.packages ?? {});
  const here = join(project, 'package.json');
  const still = locked.filter((name) => locate(name, here) ?? locate(name, import.meta.filename));
  return lockedClosure(project, { ...Object.fromEntries(still.map((name) => [name, '*'])), ...recipeDependencies(project) });
}
