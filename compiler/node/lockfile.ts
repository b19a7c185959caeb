/** The lock on disk: one for a project, beside its package.json. */
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { QcError } from '../../grammar/diagnostics.ts';
import { VERSION } from '../driver/metadata.ts';
import type { Host } from '../host.ts';
import { type Difference, differences, entriesOf, type Lock, type Locked, lockText, parseLock } from '../lock.ts';
import { writeWhole } from './whole.ts';

export const lockName = 'qrecipe.lock';

/** The folder of a project: the nearest one with a package.json at or above `folder`; `folder` itself where there is none. */
export function projectOf(folder: string): string {
  for (let at = resolve(folder); ; at = dirname(at)) {
    if (existsSync(join(at, 'package.json'))) return at;
    if (dirname(at) === at) return resolve(folder);
  }
}

export function readLock(project: string): Lock | undefined {
  const path = join(project, lockName);
  if (!existsSync(path)) return undefined;
  const lock = parseLock(readFileSync(path, 'utf8'), lockName);
  if ('code' in lock) throw new QcError([lock]);
  return lock;
}

/** What is to be done with a lock after a compile: nothing, or these differences are to be written down. */
export interface Compared {
  readonly lock: Lock | undefined;
  readonly changes: readonly Difference[];
}

/**
 * Holds what was found against the project's lock. With `frozen` (--locked) any difference is an error; without, only a version whose files changed.
 * Errors: lock-missing, lock-differs, lock-tampered, lock-malformed.
 */
export function compareLock(project: string, found: readonly Locked[], frozen: boolean): Compared {
  const lock = readLock(project);
  const pinned = found.some((p) => p.integrity !== undefined);
  if (lock === undefined) {
    if (frozen && pinned)
      throw new QcError([
        {
          code: 'lock-missing',
          severity: 'error',
          message: `--locked: there is no ${lockName} in ${project}`,
          hint: 'Compile once without --locked, and commit the file that it writes.',
        },
      ]);
    return { lock, changes: [] };
  }
  const changes = differences(lock, found, VERSION);
  const bad = changes.filter((d) => frozen || d.kind === 'tampered');
  if (bad.length)
    throw new QcError(
      bad.map((d) => ({
        code: d.kind === 'tampered' ? 'lock-tampered' : 'lock-differs',
        severity: 'error',
        message: `${lockName}: ${d.message}`,
        hint:
          d.kind === 'tampered'
            ? 'Install the package again (`npm ci --ignore-scripts`); if the change is meant, `qc update` locks it.'
            : '--locked allows no difference: `npm ci --ignore-scripts` installs what is locked, a compile without --locked locks what is installed.',
      })),
    );
  return { lock, changes };
}

/** Writes what was found into the lock; packages of other recipes stay, unless `whole`. Gives what changed; nothing is written where nothing did. */
export async function writeLock(
  host: Pick<Host, 'create'>,
  project: string,
  found: readonly Locked[],
  whole = false,
): Promise<readonly string[]> {
  const before = readLock(project);
  const fresh = entriesOf(found);
  const packages = whole ? fresh : { ...before?.packages, ...fresh };
  if (before === undefined && Object.keys(packages).length === 0) return [];
  const names = [...new Set([...Object.keys(before?.packages ?? {}), ...Object.keys(packages)])].sort();
  const changed = names.flatMap((n) => {
    const [a, b] = [before?.packages[n], packages[n]];
    if (JSON.stringify(a) === JSON.stringify(b)) return [];
    return [a === undefined ? `${n} ${b?.version}` : b === undefined ? `${n} ${a.version} is gone` : `${n} ${a.version} → ${b.version}`];
  });
  const text = lockText({ lockfileVersion: 1, qc: `^${VERSION}`, packages });
  if (before !== undefined && text === lockText(before)) return [];
  await writeWhole(host, join(project, lockName), text, true);
  return changed;
}
