/** A recipe package on disk: an npm package that holds recipes, texts and data, and nothing that could run. */
import { createHash } from 'node:crypto';
import { lstatSync, readdirSync, readFileSync, realpathSync } from 'node:fs';
import { basename, dirname, extname, join, relative, sep } from 'node:path';
import semver from 'semver';
import type { Deprecation } from '../catalog/deprecations.ts';
import { VERSION } from '../driver/metadata.ts';

export type Refused = {
  readonly error: string;
  readonly hint?: string;
  readonly code?: 'path-escape' | 'package-code' | 'version-conflict';
};

export interface Package {
  readonly name: string;
  readonly version: string;
  /** Real path of its folder. */
  readonly folder: string;
  /** Of its recipes, relative to the folder. */
  readonly entry: string;
  readonly dependencies: Readonly<Record<string, string>>;
  readonly deprecations: readonly Deprecation[];
  /** It lies outside of every node_modules: somebody works on it, so its content is not pinned. */
  readonly linked: boolean;
}

/** Keys of package.json that cannot make anything run. */
const keys = new Set(
  'name version description keywords license author contributors maintainers homepage repository bugs funding qrecipe files dependencies peerDependencies devDependencies engines private publishConfig readme readmeFilename gitHead dist'.split(
    ' ',
  ),
);
const extensions = new Set(['.qrecipe', '.md', '.txt', '.json', '.jsonl', '.csv', '.npy', '.npz', '.qstats', '.png', '.jpg']);
const bare = /^(LICEN[CS]E|NOTICE|AUTHORS|CHANGELOG|README)$/i;
const most = { files: 2000, bytes: 64 * 2 ** 20, text: 1 << 20 };

/** May a file of this name lie in a recipe package? */
export const allowed = (path: string): boolean => extensions.has(extname(path).toLowerCase()) || bare.test(basename(path));

const isRecord = (x: unknown): x is Record<string, unknown> => typeof x === 'object' && x !== null && !Array.isArray(x);
const strings = (x: unknown): Record<string, string> =>
  isRecord(x) ? Object.fromEntries(Object.entries(x).filter((e): e is [string, string] => typeof e[1] === 'string')) : {};

/** Reads package.json as data. */
export function readManifest(path: string, name = basename(dirname(path))): Record<string, unknown> | Refused {
  try {
    if (lstatSync(path).size > most.text) return { error: `The package.json of ${name} has more than ${most.text} bytes` };
    const json: unknown = JSON.parse(readFileSync(path, 'utf8'));
    return isRecord(json) ? json : { error: `The package.json of ${name} is no record` };
  } catch {
    return { error: `The package.json of ${name} cannot be read`, hint: 'Install the package again.' };
  }
}

/** What a manifest says of a recipe package, or why it is none. */
export function packageOf(json: Record<string, unknown>, folder: string, shown: string): Package | Refused {
  const { name, version, qrecipe } = json;
  if (typeof name !== 'string' || typeof version !== 'string' || !semver.valid(version))
    return { error: `The package ${shown} has no name or no version`, hint: 'Its package.json must say both.' };
  const entry = typeof qrecipe === 'string' ? qrecipe : isRecord(qrecipe) ? qrecipe['main'] : undefined;
  if (typeof entry !== 'string') return { error: `The package ${name} has no recipes`, hint: 'Its package.json has no "qrecipe" entry.' };
  const code = Object.keys(json).find((k) => !keys.has(k) && !k.startsWith('_'));
  if (code !== undefined)
    return {
      error: `The package.json of ${name} has "${code}"`,
      hint: 'A recipe package carries recipes, texts and data: nothing of it may run.',
      code: 'package-code',
    };
  const wants = strings(json['engines'])['qrecipe'];
  if (wants !== undefined && !semver.satisfies(VERSION, wants))
    return {
      error: `${name}@${version} needs qc ${wants}; this is qc ${VERSION}`,
      hint: 'Update qc, or ask for another version of the package.',
    };
  return {
    name,
    version,
    folder,
    entry,
    dependencies: strings(json['dependencies']),
    deprecations: isRecord(qrecipe) ? deprecationsOf(qrecipe['deprecated']) : [],
    linked: !folder.split(sep).includes('node_modules'),
  };
}

/** `"deprecated": { "w4": { "to": "w4a16", "since": "1.1.0", "note": "…" }, "w4a16.size": { "to": "group", … } }` */
function deprecationsOf(x: unknown): Deprecation[] {
  if (!isRecord(x)) return [];
  return Object.entries(x).flatMap(([name, d]): Deprecation[] => {
    const { to, since = '', note } = strings(d);
    return to === undefined
      ? []
      : [{ kind: name.includes('.') ? 'parameter' : 'recipe', name, to, since, ...(note === undefined ? {} : { note }) }];
  });
}

/** Opens an installed package: what it says, and that its folder holds nothing else than it may. */
export function openPackage(manifest: string, shown: string): Package | Refused {
  const json = readManifest(manifest, shown);
  if ('error' in json && typeof json['error'] === 'string') return json as Refused;
  const found = packageOf(json as Record<string, unknown>, realpathSync(dirname(manifest)), shown);
  if ('error' in found || found.linked) return found;
  const files = filesOf(found.folder);
  return 'error' in files ? { ...files, error: `The package ${found.name}@${found.version} ${files.error}` } : found;
}

/** Paths of all files of a package, sorted, with `/`. */
function filesOf(folder: string): string[] | Refused {
  const out: string[] = [];
  let bytes = 0;
  const walk = (dir: string): Refused | undefined => {
    for (const e of readdirSync(dir, { withFileTypes: true })) {
      const path = join(dir, e.name);
      const name = relative(folder, path).split(sep).join('/');
      if (e.isSymbolicLink()) return { error: `holds a link, ${name}`, hint: 'Links could lead out of the package.', code: 'path-escape' };
      if (e.isDirectory()) {
        // What npm installed below is judged when it is used.
        if (e.name === 'node_modules') continue;
        const bad = walk(path);
        if (bad) return bad;
        continue;
      }
      if (!e.isFile() || !allowed(e.name))
        return {
          error: `holds ${name}`,
          hint: 'A recipe package carries recipes, texts and data: nothing of it may run.',
          code: 'package-code',
        };
      bytes += lstatSync(path).size;
      out.push(name);
      if (out.length > most.files || bytes > most.bytes)
        return { error: `is larger than ${most.files} files or ${most.bytes / 2 ** 20} MiB`, hint: 'Recipes are short.' };
    }
    return undefined;
  };
  return walk(folder) ?? out.sort((a, b) => (a < b ? -1 : 1));
}

/** The hash of everything in a package (SRI, sha512): names and contents of its files in order. */
export function integrityOf(p: Package): string {
  const files = filesOf(p.folder);
  const hash = createHash('sha512');
  if (Array.isArray(files))
    for (const name of files) {
      const bytes = readFileSync(join(p.folder, name));
      hash.update(`${name}\0${bytes.length}\0`).update(bytes);
    }
  return `sha512-${hash.digest('base64')}`;
}
