/** Finds what recipes use where there is no disk: files that are in memory, and packages that came with the page. */
import semver from 'semver';
import { beside, isFile } from '../beside.ts';
import type { Resolver, SourceText } from '../check/check.ts';
import type { Locked } from '../lock.ts';

/** A recipe package, whole. */
export interface BundledPackage extends Locked {
  /** Texts by path in the package. */
  readonly files: Readonly<Record<string, string>>;
}

/** A resolver over packages and over `texts` beside the root recipe. Shown paths are those of the node resolver: `@scope/name@version/file`. */
export function bundledResolver(packages: readonly BundledPackage[], texts: Readonly<Record<string, string>> = {}): Resolver {
  const folders = new Map(packages.map((p) => [`${p.name}@${p.version}`, p]));
  return (spec, from) => {
    const home = [...folders].find(([at]) => from.startsWith(`${at}/`));
    if (isFile(spec)) {
      const path = beside(home ? from.slice(home[0].length + 1) : from, spec);
      const text = (home ? home[1].files : texts)[path];
      if (spec.startsWith('/') || (text === undefined && path.startsWith('..')))
        return { error: `"${spec}" leaves the folder of the recipe`, code: 'path-escape' };
      return text === undefined
        ? { error: `There is no file "${spec}"` }
        : { path: home ? `${home[0]}/${path}` : path, text, ...(home ? packed(home[1]) : {}) };
    }
    const [, name, range = '*'] = /^((?:@[\w.-]+\/)?[\w.-]+)(?:@(.+))?$/.exec(spec) ?? [];
    if (name === undefined)
      return { error: `"${spec}" is neither a file nor a package`, hint: 'Write "./file.qrecipe" or "@scope/package@^1.0.0".' };
    if (semver.validRange(range) === null) return { error: `"${range}" is not a range of versions`, hint: 'For example ^1.2.0 or ~0.1.' };
    const own = packages.filter((p) => p.name === name);
    if (own.length === 0)
      return { error: `The package ${name} is not here`, hint: `This page brings ${packages.map((p) => p.name).join(', ')}.` };
    const found = own.find((p) => semver.satisfies(p.version, range));
    if (!found) return { error: `${name} is here in version ${own[0]!.version}, and ${range} is asked for` };
    const entry = found.entry.replace(/^\.\//, '');
    const text = found.files[entry];
    return text === undefined
      ? { error: `The package ${name} has no file "${entry}"` }
      : { path: `${name}@${found.version}/${entry}`, text, ...packed(found) };
  };
}

const packed = (p: BundledPackage): Pick<SourceText, 'package' | 'deprecations'> => ({
  package: `${p.name}@${p.version}`,
  ...(p.deprecations ? { deprecations: p.deprecations } : {}),
});
