/** Finds the files that recipes use: beside the recipe, or in a recipe package (an npm package whose package.json has `qrecipe`). */
import { existsSync, readFileSync, realpathSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, isAbsolute, join, relative, resolve as resolvePath, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import semver from 'semver';
import type { Resolver } from '../check/check.ts';
import { openPackage, type Package, type Refused, readManifest } from './package.ts';

/** Recipes are short; a larger file is a mistake. */
const largest = 8 * 1024 * 1024;

/** One `use` of a package: who asks for which versions, and what lies where node looks. */
export interface Request {
  readonly name: string;
  readonly range: string;
  /** The file that asks, as it is shown. */
  readonly from: string;
  readonly found: Package;
}
export interface ResolveOptions {
  /** One package for each name: what `closureOf` settled. Otherwise the first that is found. */
  readonly settled?: ReadonlyMap<string, Package>;
  readonly onRequest?: (r: Request) => void;
  /** Told where each shown file lies. */
  readonly onFound?: (shown: string, path: string) => void;
}

interface Found {
  readonly path: string;
  /** The folder that what it uses must not leave. */
  readonly fence: string;
  readonly pack?: Package;
}

/**
 * A resolver for a root recipe. Files must lie in the folder of the root recipe or below, of a package's recipe in the package.
 * Files are shown relative to the working folder, files of packages as `@scope/name@version/file`, the same on every machine.
 * A package has one version in a program: a second one is an error where no version fits all ranges.
 */
export function nodeResolver(root: string, cwd: string = process.cwd(), options: ResolveOptions = {}): Resolver {
  const path = resolvePath(cwd, root);
  const own = real(homeOf(path));
  const known = new Map<string, Found>([[root, { path, fence: own }]]);
  const one = new Map<string, { pack: Package; range: string; from: string }>();

  const inPackage = (spec: string, from: string, here: Found): Found | Refused => {
    const [, name, range = '*'] = /^((?:@[\w.-]+\/)?[\w.-]+)(?:@(.+))?$/.exec(spec) ?? [];
    if (name === undefined)
      return { error: `"${spec}" is neither a file nor a package`, hint: 'Write "./file.qrecipe" or "@scope/package@^1.0.0".' };
    if (semver.validRange(range) === null) return { error: `"${range}" is not a range of versions`, hint: 'For example ^1.2.0 or ~0.1.' };
    const manifest = locate(name, here.path) ?? locate(name, fileURLToPath(import.meta.url));
    if (manifest === undefined)
      return { error: `The package ${name} is not installed`, hint: `Run \`qc add "${name}@${range}"\` beside the recipe.` };
    const found = openPackage(manifest, name);
    if ('error' in found) return found;
    options.onRequest?.({ name, range, from, found });
    const before = one.get(name);
    const pack = before?.pack ?? options.settled?.get(name) ?? found;
    if (!semver.satisfies(pack.version, range)) {
      if (before === undefined)
        return {
          error: `${name} is installed in version ${pack.version}, and ${range} is asked for`,
          hint: `Ask for "${name}@^${pack.version}", or install another version: \`qc add "${name}@${range}"\`.`,
        };
      return {
        error: `${name} cannot be one version: ${before.from} asks for ${before.range}, ${from} for ${range}`,
        hint: `Installed is ${[...new Set([pack.version, found.version])].join(' and ')}. A program has one version of a package: change one of the ranges, or update the package that asks.`,
        code: 'version-conflict',
      };
    }
    if (before === undefined) one.set(name, { pack, range, from });
    return beside(`./${pack.entry}`, { path: join(pack.folder, 'package.json'), fence: pack.folder, pack });
  };

  return (spec, from) => {
    const here = known.get(from) ?? { path: resolvePath(cwd, from), fence: own };
    const found = /^\.{0,2}\//.test(spec) || isAbsolute(spec) ? beside(spec, here) : inPackage(spec, from, here);
    if ('error' in found) return found;
    const { pack } = found;
    const id = pack && `${pack.name}@${pack.version}`;
    const shown = id
      ? `${id}/${relative(found.fence, found.path).split(sep).join('/')}`
      : join(dirname(root), relative(dirname(path), found.path));
    known.set(shown, found);
    options.onFound?.(shown, found.path);
    const text = read(found.path, spec);
    if (typeof text !== 'string') return text;
    return { path: shown, text, ...(pack ? { package: id!, deprecations: pack.deprecations } : {}) };
  };
}

/** The folder of the recipe package that a recipe is part of, else its own. */
function homeOf(path: string): string {
  const own = dirname(path);
  for (let dir = own; dirname(dir) !== dir; dir = dirname(dir)) {
    const manifest = join(dir, 'package.json');
    if (existsSync(manifest)) return 'qrecipe' in readManifest(manifest) ? dir : own;
  }
  return own;
}

function beside(spec: string, from: Found): Found | Refused {
  const { fence } = from;
  const leaves: Refused = {
    error: `"${spec}" leaves the folder of the ${from.pack ? `package ${from.pack.name}` : 'recipe'}`,
    code: 'path-escape',
  };
  if (isAbsolute(spec)) return leaves;
  const path = resolvePath(dirname(from.path), spec);
  if (!inside(path, fence) || !inside(real(path), fence)) return leaves;
  return { ...from, path };
}

const inside = (path: string, folder: string): boolean => {
  const way = relative(folder, path);
  return way !== '..' && !way.startsWith(`..${sep}`) && !isAbsolute(way);
};
/** The path with its links followed, as far as it exists. */
function real(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    return dirname(path) === path ? path : join(real(dirname(path)), path.slice(dirname(path).length));
  }
}

/** The manifest of a package in the folders that node searches. */
export function locate(name: string, from: string): string | undefined {
  const folders = createRequire(from).resolve.paths(name) ?? [];
  const manifest = folders.map((f) => join(f, name, 'package.json')).find((f) => existsSync(f));
  return manifest === undefined ? undefined : realpathSync(manifest);
}

function read(path: string, spec: string): string | Refused {
  try {
    const bytes = readFileSync(path);
    if (bytes.length > largest) return { error: `"${spec}" has ${bytes.length} bytes; a recipe has at most ${largest}` };
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code;
    if (code === 'ENOENT') return { error: `There is no file "${spec}"`, hint: `It was looked for at ${path}.` };
    if (code === 'EISDIR') return { error: `"${spec}" is a folder`, hint: 'Name a .qrecipe file in it.' };
    return { error: cause instanceof TypeError ? `"${spec}" is not UTF-8 text` : `"${spec}" cannot be read (${code})` };
  }
}
