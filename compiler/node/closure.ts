/** Everything that a recipe is made of: walks its `use`s, and settles one version for each package. */
import semver from 'semver';
import { parse } from '../../grammar/parser.ts';
import type { Resolver } from '../check/check.ts';
import type { Locked } from '../lock.ts';
import { integrityOf, type Package } from './package.ts';
import { nodeResolver, type Request } from './resolve.ts';

export interface Closure {
  /** By name. */
  readonly packages: readonly Package[];
  /** Who asks for what, in order. */
  readonly requests: readonly Request[];
  /** Resolves to exactly these. */
  readonly resolve: Resolver;
}

/** More rounds than packages are never needed; this ends a walk that swings. */
const rounds = 8;

/**
 * Walks the files that `root` uses. Where node finds two versions of a package, the highest that fits every range is taken for all;
 * where none fits, the resolver tells the conflict at its `use`. Never throws: what cannot be read is told by `check`.
 */
export function closureOf(root: { readonly path: string; readonly text: string }, cwd: string): Closure {
  let settled = new Map<string, Package>();
  for (let round = 0; ; round++) {
    const requests: Request[] = [];
    walk(root, nodeResolver(root.path, cwd, { settled, onRequest: (r) => requests.push(r) }));
    const next = choose(requests);
    const same = [...next].every(([name, p]) => settled.get(name)?.folder === p.folder);
    settled = next;
    if (same || round === rounds) {
      const packages = [...settled.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
      return { packages, requests, resolve: nodeResolver(root.path, cwd, { settled }) };
    }
  }
}

function walk(root: { readonly path: string; readonly text: string }, resolve: Resolver): void {
  const seen = new Set([root.path]);
  const queue = [root];
  for (let file = queue.pop(); file !== undefined; file = queue.pop()) {
    for (const u of parse(head(file.text), file.path).ast.uses) {
      const found = resolve(u.source.value, file.path);
      if ('error' in found || seen.has(found.path)) continue;
      seen.add(found.path);
      queue.unshift(found);
    }
  }
}

/** What stands before the first recipe, let or evaluate: every `use` has to be there, and the rest is parsed by whoever checks it. */
const head = (text: string): string => text.slice(0, text.search(/^[ \t]*(recipe|let|evaluate)\b/m) >>> 0);

function choose(requests: readonly Request[]): Map<string, Package> {
  const out = new Map<string, Package>();
  for (const name of new Set(requests.map((r) => r.name))) {
    const own = requests.filter((r) => r.name === name);
    const found = own.map((r) => r.found).sort((a, b) => semver.rcompare(a.version, b.version));
    const fits = found.find((p) => own.every((r) => semver.satisfies(p.version, r.range)));
    out.set(name, fits ?? own[0]!.found);
  }
  return out;
}

/** The packages with their hashes. */
export const lockedOf = (packages: readonly Package[]): Locked[] =>
  packages.map((p) => ({
    name: p.name,
    version: p.version,
    ...(p.linked ? {} : { integrity: integrityOf(p) }),
    entry: p.entry,
    dependencies: p.dependencies,
    deprecations: p.deprecations,
  }));
