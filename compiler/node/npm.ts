/** npm, spawned without a shell and without scripts: the only way that qc talks to a registry. */
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fail } from '../../grammar/diagnostics.ts';

/** npm's own JavaScript, beside node; else `npm` of the PATH. */
function program(): { command: string; first: string[] } {
  const bin = dirname(process.execPath);
  const cli = [join(bin, '../lib/node_modules/npm/bin/npm-cli.js'), join(bin, 'node_modules/npm/bin/npm-cli.js')].find((f) =>
    existsSync(f),
  );
  return cli ? { command: process.execPath, first: [cli] } : { command: 'npm', first: [] };
}

export interface NpmResult {
  readonly status: number;
  readonly out: string;
  readonly err: string;
}

/** Runs npm in a folder. Nothing of any package runs. `env` is what the user's is. */
export async function npm(args: readonly string[], cwd: string, env: Readonly<Record<string, string | undefined>>): Promise<NpmResult> {
  const { command, first } = program();
  const all = [
    ...first,
    ...args.slice(0, 1),
    '--ignore-scripts',
    '--no-audit',
    '--no-fund',
    '--no-update-notifier',
    '--loglevel=error',
    ...args.slice(1),
  ];
  return new Promise((done, broken) => {
    const child = spawn(command, all, { cwd, shell: false, env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'pipe'] });
    let [out, err] = ['', ''];
    child.stdout.setEncoding('utf8').on('data', (d: string) => (out += d));
    child.stderr.setEncoding('utf8').on('data', (d: string) => (err += d));
    child.on('error', () => broken(new Error('npm is not installed')));
    child.on('close', (status) => done({ status: status ?? 1, out, err }));
  });
}

/** npm's first words about what went wrong. */
export const npmSaid = (r: NpmResult): string => {
  const lines = `${r.err}\n${r.out}`.split('\n').flatMap((l) => /^npm (?:error|ERR!) (?!code|A complete log|\s*$)(.*)$/.exec(l)?.[1] ?? []);
  return lines.slice(0, 3).join(' ') || `it ended with status ${r.status}`;
};

/** Runs npm; error `npm` where it fails. */
export async function npmOrFail(args: readonly string[], cwd: string, env: Readonly<Record<string, string | undefined>>): Promise<string> {
  const r = await npm(args, cwd, env);
  if (r.status !== 0) fail('npm', `npm ${args[0]} failed: ${npmSaid(r)}`, 'npm config get registry says which registry is asked.');
  return r.out;
}

/** `@scope/name@range` as npm and `use` write it. Anything else (paths, addresses, options) is refused. */
export function packageSpec(spec: string): { name: string; range: string } {
  const [, name, range = '*'] = /^((?:@[a-z0-9][\w.-]*\/)?[a-z0-9][\w.-]*)(?:@([\w.^~<>=* |-]+))?$/i.exec(spec) ?? [];
  if (name === undefined) return fail('package-missing', `"${spec}" is no package`, 'Write @scope/name or @scope/name@^1.0.0.');
  return { name, range };
}

/** What the registry says of the versions that fit; newest last. Error `package-missing`. */
export async function view(
  spec: { name: string; range: string },
  cwd: string,
  env: Readonly<Record<string, string | undefined>>,
): Promise<readonly Record<string, unknown>[]> {
  // npm reads `*` as the tag `latest`.
  const range = spec.range === '*' ? '>=0.0.0-0' : spec.range;
  const r = await npm(['view', '--json', '--', `${spec.name}@${range}`, 'name', 'version', 'qrecipe'], cwd, env);
  if (r.status !== 0 && /E404/.test(r.out + r.err)) return [];
  if (r.status !== 0) fail('npm', `npm view failed: ${npmSaid(r)}`, 'npm config get registry says which registry is asked.');
  const json: unknown = r.out.trim() === '' ? [] : JSON.parse(r.out);
  return (Array.isArray(json) ? json : [json]) as Record<string, unknown>[];
}
