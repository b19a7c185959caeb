/** What `qc diff` compares, by what is typed: a recipe file, the folder of a package, or a published version. */
import { existsSync, readFileSync, statSync } from 'node:fs';
import { isAbsolute, join, relative, resolve } from 'node:path';
import { fail } from '../../grammar/diagnostics.ts';
import { apiOf } from '../api.ts';
import { check } from '../check/check.ts';
import type { Side } from '../diff.ts';
import { closureOf } from './closure.ts';
import { type Package, packageOf, readManifest } from './package.ts';
import { api, unpacked } from './publish.ts';

/** `close`: a published version lies in a folder that goes away. */
export interface Opened {
  readonly side: Side;
  close(): void;
}

/** `file.qrecipe`, `file.qrecipe#name`, `folder`, `@scope/name@1.2.0`. Errors: `file-missing`, `package-unfit`, `package-missing`. */
export async function openSide(spec: string, cwd: string, env: Readonly<Record<string, string | undefined>>): Promise<Opened> {
  const at = resolve(cwd, spec);
  if (existsSync(at) && statSync(at).isDirectory()) return { side: packageSide(spec, at, cwd), close: () => undefined };
  const hash = spec.lastIndexOf('#');
  const file = hash < 1 ? spec : spec.slice(0, hash);
  if (existsSync(resolve(cwd, file)))
    return { side: fileSide(spec, file, hash < 1 ? undefined : spec.slice(hash + 1), cwd), close: () => undefined };
  const version = /^((?:@[\w.-]+\/)?[\w.-]+)@(\d[\w.+-]*)$/.exec(spec);
  if (!version) return fail('file-missing', `there is no ${spec}`, 'Give a recipe file, the folder of a package, or @scope/name@1.2.0.');
  const there = await unpacked(version[1]!, version[2]!, cwd, env);
  try {
    return { side: packageSide(spec, there.folder, cwd), close: there.close };
  } catch (error) {
    there.close();
    throw error;
  }
}

function fileSide(label: string, path: string, only: string | undefined, cwd: string): Side {
  const text = readFileSync(resolve(cwd, path), 'utf8');
  const closure = closureOf({ path, text }, cwd);
  const { sources, declared } = check({ path, text }, closure.resolve);
  // Packages are told by their versions; what is left are files beside this one.
  const beside = [...sources].filter(([p]) => p !== path && !closure.packages.some((k) => p.startsWith(`${k.name}@${k.version}/`)));
  const open = new Set([...declared.values()].map((r) => r.span.file));
  const texts = (own: boolean): string[] =>
    beside
      .filter(([p]) => open.has(p) === own)
      .sort(([x], [y]) => (x < y ? -1 : 1))
      .map(([, t]) => t);
  return {
    label,
    path,
    text,
    resolve: closure.resolve,
    api: apiOf([text, ...texts(true)], path, [], texts(false)),
    packages: versionsOf(closure.packages),
    ...(only === undefined ? {} : { only }),
  };
}

function packageSide(label: string, folder: string, cwd: string): Side {
  const json = readManifest(join(folder, 'package.json'), label) as Record<string, unknown>;
  const pack: ReturnType<typeof packageOf> = typeof json['error'] === 'string' ? { error: json['error'] } : packageOf(json, folder, label);
  if ('error' in pack) return fail('package-unfit', pack.error, 'A folder is compared that has a package.json with "qrecipe".');
  const entry = resolve(folder, pack.entry);
  const short = relative(cwd, entry);
  // A published version lies elsewhere: its own folder is where paths begin.
  const [base, path] = short.startsWith('..') || isAbsolute(short) ? [folder, relative(folder, entry)] : [cwd, short];
  const text = readFileSync(entry, 'utf8');
  const closure = closureOf({ path, text }, base);
  return { label, path, text, resolve: closure.resolve, api: api(pack), packages: versionsOf(closure.packages) };
}
const versionsOf = (all: readonly Package[]): Record<string, string> => Object.fromEntries(all.map((p) => [p.name, p.version]));
