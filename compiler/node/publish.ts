/** What must hold before a recipe package is published. Every reason against it is found in one run. */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative, resolve, sep } from 'node:path';
import semver from 'semver';
import { type Diagnostic, fail, QcError } from '../../grammar/diagnostics.ts';
import { parse } from '../../grammar/parser.ts';
import { type Api, apiOf, bumpsEnough, type Change, compareApi, leastBump } from '../api.ts';
import { check } from '../check/check.ts';
import { closureOf } from './closure.ts';
import { npmOrFail, view } from './npm.ts';
import { allowed, type Package, packageOf, readManifest } from './package.ts';

export interface Ready {
  readonly name: string;
  readonly version: string;
  /** What npm packs. */
  readonly files: readonly { readonly path: string; readonly size: number }[];
  /** The newest published version below this one, and what changed since. */
  readonly published?: string;
  readonly changes: readonly Change[];
}
type Env = Readonly<Record<string, string | undefined>>;

/** Checks the package in `folder`, which is shown as `shown`. Error: every reason, most as `package-unfit`. */
export async function readyToPublish(folder: string, cwd: string, env: Env): Promise<Ready> {
  const json = readManifest(join(folder, 'package.json'), folder);
  if ('error' in json && typeof json['error'] === 'string')
    fail('package-unfit', json['error'], '`qc init --package @scope/name` starts one.');
  const pack = packageOf(json as Record<string, unknown>, folder, folder);
  if ('error' in pack) return fail(pack.code ?? 'package-unfit', pack.error, pack.hint);
  const [listing, there] = await Promise.all([
    npmOrFail(['pack', '--dry-run', '--json'], folder, env),
    view({ name: pack.name, range: '*' }, folder, env),
  ]);
  const [packed] = JSON.parse(listing) as {
    files: { path: string; size: number }[];
  }[];
  const files = packed?.files ?? [];
  const told = [
    ...manifest(json as Record<string, unknown>, files),
    ...recipes(
      pack,
      files.map((f) => f.path),
      cwd,
    ),
  ];
  const versions = there.map((v) => String(v['version']));
  const published = versions
    .filter((v) => semver.lt(v, pack.version))
    .sort(semver.compare)
    .at(-1);
  if (versions.includes(pack.version))
    told.push(unfit(`${pack.name}@${pack.version} is published already`, 'A version is never changed: raise it.'));
  const changes = published === undefined ? [] : compareApi(await publishedApi(pack.name, published, env), api(pack));
  const least = published === undefined ? 'patch' : leastBump(changes, published);
  if (published !== undefined && !bumpsEnough(published, pack.version, least))
    told.push(
      unfit(
        `${published} → ${pack.version} is too small a step: ${changes
          .filter((c) => c.weight !== 'none')
          .map((c) => c.text)
          .join('; ')}`,
        `Such a change is a ${least} one: at least ${semver.inc(published, least)}.`,
      ),
    );
  if (told.length) throw new QcError(told);
  return { name: pack.name, version: pack.version, files, ...(published === undefined ? {} : { published }), changes };
}

const unfit = (message: string, hint: string): Diagnostic => ({ code: 'package-unfit', severity: 'error', message, hint });

function manifest(json: Record<string, unknown>, files: readonly { path: string }[]): Diagnostic[] {
  const out: Diagnostic[] = [];
  for (const key of ['description', 'license'])
    if (typeof json[key] !== 'string' || json[key] === '')
      out.push(unfit(`package.json has no "${key}"`, 'Others decide by it whether they may and want to use the package.'));
  if (!files.some((f) => /^readme(\.md)?$/i.test(f.path))) out.push(unfit('there is no README.md', 'Say what the recipes are for.'));
  if (!files.some((f) => /^changelog(\.md)?$/i.test(f.path))) out.push(unfit('there is no CHANGELOG.md', 'Say what each version changed.'));
  for (const f of files)
    if (!allowed(f.path))
      out.push({
        ...unfit(`npm would pack ${f.path}`, 'A recipe package carries recipes, texts and data: name them in "files".'),
        code: 'package-code',
      });
  return out;
}

/** Checks every recipe that is packed: mistakes, docs, and that what it uses will be there. */
function recipes(pack: Package, files: readonly string[], cwd: string): Diagnostic[] {
  const out: Diagnostic[] = [];
  const used = new Set<string>();
  const names = new Set(files);
  if (!names.has(pack.entry.replace(/^\.\//, ''))) out.push(unfit(`the entry ${pack.entry} is not packed`, 'Name it in "files".'));
  for (const file of files.filter((f) => f.endsWith('.qrecipe'))) {
    const full = join(pack.folder, file);
    const path = relative(cwd, full) || full;
    const text = readFileSync(full, 'utf8');
    const closure = closureOf({ path, text }, cwd);
    out.push(...check({ path, text }, closure.resolve).diagnostics.filter((d) => d.severity === 'error'));
    const { ast } = parse(text, path);
    for (const u of ast.uses) {
      const spec = u.source.value;
      if (/^\.{0,2}\//.test(spec)) {
        const target = relative(pack.folder, resolve(full, '..', spec))
          .split(sep)
          .join('/');
        if (!names.has(target)) out.push({ ...unfit(`${spec} is used and not packed`, 'Name it in "files".'), span: u.source.span });
        continue;
      }
      const at = spec.lastIndexOf('@');
      const [name, range] = at > 0 ? [spec.slice(0, at), spec.slice(at + 1)] : [spec, '*'];
      used.add(name);
      const listed = pack.dependencies[name];
      if (listed === undefined)
        out.push({
          ...unfit(`${name} is used and is no dependency`, `Add "${name}": "${range}" to "dependencies" of package.json.`),
          span: u.source.span,
        });
      else if (!semver.validRange(listed) || !semver.intersects(listed, range))
        out.push({ ...unfit(`${name} is used as ${range} and is a dependency as ${listed}`, 'Write one range.'), span: u.source.span });
    }
    for (const r of ast.items)
      if (r.kind === 'recipe' && !r.body.some((s) => s.kind === 'doc' && s.text.value !== ''))
        out.push({
          ...unfit(`the recipe ${r.name.name} has no doc`, 'Begin it with doc "what it does, and when to use it".'),
          span: r.name.span,
        });
  }
  for (const name of Object.keys(pack.dependencies))
    if (!used.has(name))
      out.push(unfit(`no recipe uses the dependency ${name}`, 'Remove it from package.json: users would install it for nothing.'));
  return out;
}

/** The surface of a package on disk. */
export function api(pack: Package): Api {
  const entry = resolve(pack.folder, pack.entry);
  const all = (readdirSync(pack.folder, { recursive: true }) as string[])
    .filter((f) => f.endsWith('.qrecipe') && !f.split(sep).includes('node_modules'))
    .map((f) => resolve(pack.folder, f))
    .sort();
  const own = surfaceOf(entry, new Set(all));
  const texts = (files: readonly string[]): string[] => files.map((f) => readFileSync(f, 'utf8'));
  return apiOf(texts(own), pack.entry, pack.deprecations, texts(all.filter((f) => !own.includes(f))));
}

/** A file and those of `known` that it uses as `*`, in the order of the text, each once. */
function surfaceOf(file: string, known: ReadonlySet<string>, seen: string[] = []): string[] {
  if (seen.includes(file) || !known.has(file)) return seen;
  seen.push(file);
  for (const u of parse(readFileSync(file, 'utf8'), file).ast.uses)
    if (u.alias.name === '*') surfaceOf(resolve(file, '..', u.source.value), known, seen);
  return seen;
}

/** A published version, unpacked by npm into a folder that `close` removes. Nothing of it runs. */
export async function unpacked(name: string, version: string, cwd: string, env: Env): Promise<{ folder: string; close(): void }> {
  const dir = mkdtempSync(join(tmpdir(), 'qc-published-'));
  const close = (): void => rmSync(dir, { recursive: true, force: true });
  try {
    await npmOrFail(['install', '--no-save', '--no-package-lock', '--prefix', dir, '--', `${name}@${version}`], cwd, env);
    return { folder: join(dir, 'node_modules', name), close };
  } catch (error) {
    close();
    throw error;
  }
}
async function publishedApi(name: string, version: string, env: Env): Promise<Api> {
  const { folder, close } = await unpacked(name, version, tmpdir(), env);
  try {
    const pack = packageOf(readManifest(join(folder, 'package.json'), name) as Record<string, unknown>, folder, name);
    return 'error' in pack ? { recipes: [], lets: {}, deprecations: [], rest: '' } : api(pack);
  } finally {
    close();
  }
}
