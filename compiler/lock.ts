/** `qrecipe.lock`: which package, in which version, with which content, a project's recipes are made of. Data and pure functions. */
import semver from 'semver';
import type { Diagnostic } from '../grammar/diagnostics.ts';
import type { Deprecation } from './catalog/deprecations.ts';

/** A package that a recipe is made of, as it was found. */
export interface Locked {
  readonly name: string;
  readonly version: string;
  /** Hash of all its files; absent where the package is linked, so that somebody may be changing it. */
  readonly integrity?: string;
  readonly entry: string;
  /** Ranges that it asks for. */
  readonly dependencies: Readonly<Record<string, string>>;
  readonly deprecations: readonly Deprecation[];
}

export interface Lock {
  readonly lockfileVersion: 1;
  /** Versions of qc that may read it. */
  readonly qc: string;
  readonly packages: Readonly<Record<string, LockEntry>>;
}
export interface LockEntry {
  readonly version: string;
  readonly integrity: string;
  readonly dependencies?: Readonly<Record<string, string>>;
}

/** What a lock says of packages; linked ones are not pinned. */
export const entriesOf = (found: readonly Locked[]): Record<string, LockEntry> =>
  Object.fromEntries(
    found.flatMap(({ name, version, integrity, dependencies }) =>
      integrity === undefined ? [] : [[name, { version, integrity, ...(Object.keys(dependencies).length ? { dependencies } : {}) }]],
    ),
  );

/** The text of a lock: sorted, so that it changes only where something did. */
export function lockText(lock: Lock): string {
  const sorted = Object.fromEntries(Object.entries(lock.packages).sort(([a], [b]) => (a < b ? -1 : 1)));
  return `${JSON.stringify({ lockfileVersion: 1, qc: lock.qc, packages: sorted }, null, 2)}\n`;
}

const malformed = (path: string, why: string): Diagnostic => ({
  code: 'lock-malformed',
  severity: 'error',
  message: `${path} is no lock: ${why}`,
  hint: 'Take it back from version control, or delete it and compile once to write it anew.',
});

/** Reads a lock. Nothing in it is believed: it is only compared with. */
export function parseLock(text: string, path: string): Lock | Diagnostic {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    return malformed(path, 'it is not JSON');
  }
  const lock = json as Partial<Lock> | null;
  if (lock?.lockfileVersion !== 1) return malformed(path, `lockfileVersion is ${JSON.stringify(lock?.lockfileVersion)}; this qc reads 1`);
  if (typeof lock.qc !== 'string' || semver.validRange(lock.qc) === null) return malformed(path, '"qc" is no range of versions');
  const packages: unknown = lock.packages;
  if (typeof packages !== 'object' || packages === null) return malformed(path, 'it has no packages');
  for (const [name, e] of Object.entries(packages) as [string, Partial<LockEntry> | null][])
    if (typeof e?.version !== 'string' || typeof e.integrity !== 'string') return malformed(path, `${name} has no version or no integrity`);
  return { lockfileVersion: 1, qc: lock.qc, packages: packages as Lock['packages'] };
}

/** A difference between a lock and what is installed. `tampered`: one version with two contents, which is never accepted silently. */
export interface Difference {
  readonly kind: 'compiler' | 'missing' | 'version' | 'tampered';
  readonly message: string;
}

/** Compares a lock with what a recipe was found to be made of. */
export function differences(lock: Lock, found: readonly Locked[], version: string): Difference[] {
  const out: Difference[] = [];
  if (!semver.satisfies(version, lock.qc)) out.push({ kind: 'compiler', message: `it is for qc ${lock.qc}; this is qc ${version}` });
  for (const p of found) {
    if (p.integrity === undefined) continue;
    const was = Object.hasOwn(lock.packages, p.name) ? lock.packages[p.name] : undefined;
    if (was === undefined) out.push({ kind: 'missing', message: `${p.name} is not in it; ${p.version} is installed` });
    else if (was.version !== p.version)
      out.push({ kind: 'version', message: `${p.name} is locked at ${was.version}; ${p.version} is installed` });
    else if (was.integrity !== p.integrity)
      out.push({ kind: 'tampered', message: `the files of ${p.name}@${p.version} are not those that were locked` });
  }
  return out;
}
