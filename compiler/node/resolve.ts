/** Finds the files that recipes use: beside the recipe, or in a recipe package (an npm package whose package.json has `qrecipe`). */
import { existsSync, readFileSync, realpathSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, isAbsolute, join, relative, resolve as resolvePath, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import semver from 'semver';
import type { Resolver } from '../check/check.ts';

type Failed = Extract<ReturnType<Resolver>, { error: string }>;
/** Recipes are short; a larger file is a mistake. */
const largest = 8 * 1024 * 1024;

/**
 * A resolver for a root recipe. Files must lie in the folder of the root recipe or below; files of a package in its folder.
 * Files are shown relative to the working folder, files of packages as `@scope/name@version/file`, the same on every machine.
 * `seen` is told where each shown file lies.
 */
export function nodeResolver(
  root: string,
  cwd: string = process.cwd(),
  seen: (shown: string, path: string) => void = () => undefined,
): Resolver {
  const path = resolvePath(cwd, root);
  /** Where each shown file lies, and the folder that what it uses must not leave. */
  const known = new Map<string, Found>([[root, { path, fence: real(dirname(path)) }]]);
  return (spec, from) => {
    const here = known.get(from) ?? { path: resolvePath(cwd, from), fence: real(dirname(path)) };
    const found = /^\.{0,2}\//.test(spec) || isAbsolute(spec) ? beside(spec, here) : inPackage(spec, here.path);
    if ('error' in found) return found;
    const shown = found.pack ? `${found.pack}/${relative(found.fence, found.path)}` : near(found.path, cwd);
    known.set(shown, found);
    seen(shown, found.path);
    const text = read(found.path, spec);
    return typeof text === 'string' ? { path: shown, text } : text;
  };
}
function near(path: string, cwd: string): string {
  const short = relative(cwd, path);
  return short.startsWith('..') || isAbsolute(short) ? path : short;
}

interface Found {
  readonly path: string;
  readonly fence: string;
  /** `@scope/name@version` */
  readonly pack?: string;
}

function beside(spec: string, from: Found): Found | Failed {
  const { fence } = from;
  const leaves: Failed = { error: `"${spec}" leaves the folder of the recipe`, code: 'path-escape' };
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

/** `@scope/name@range`, looked up as node looks packages up: from the recipe, then from qc itself. */
function inPackage(spec: string, from: string): Found | Failed {
  const [, name, range = '*'] = /^((?:@[\w.-]+\/)?[\w.-]+)(?:@(.+))?$/.exec(spec) ?? [];
  if (name === undefined)
    return { error: `"${spec}" is neither a file nor a package`, hint: 'Write "./file.qrecipe" or "@scope/package@^1.0.0".' };
  if (semver.validRange(range) === null) return { error: `"${range}" is not a range of versions`, hint: 'For example ^1.2.0 or ~0.1.' };
  const manifest = locate(name, from) ?? locate(name, fileURLToPath(import.meta.url));
  if (manifest === undefined)
    return { error: `The package ${name} is not installed`, hint: `Run \`npm install "${name}@${range}"\` beside the recipe.` };
  const text = read(manifest, spec);
  if (typeof text !== 'string') return text;
  const { version = '0.0.0', qrecipe } = JSON.parse(text) as { version?: string; qrecipe?: unknown };
  if (typeof qrecipe !== 'string') return { error: `The package ${name} has no recipes`, hint: 'Its package.json has no "qrecipe" entry.' };
  if (!semver.satisfies(version, range))
    return {
      error: `${name} is installed in version ${version}, and ${range} is asked for`,
      hint: `Ask for "${name}@^${version}", or install another version.`,
    };
  const fence = real(dirname(manifest));
  return beside(`./${qrecipe}`, { path: join(fence, 'package.json'), fence, pack: `${name}@${version}` });
}

/** The manifest of a package in the folders that node searches. */
function locate(name: string, from: string): string | undefined {
  const folders = createRequire(from).resolve.paths(name) ?? [];
  const manifest = folders.map((f) => join(f, name, 'package.json')).find((f) => existsSync(f));
  return manifest === undefined ? undefined : realpathSync(manifest);
}

function read(path: string, spec: string): string | Failed {
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
