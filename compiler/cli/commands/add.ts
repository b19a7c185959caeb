import { exit } from '../exit.ts';
import type { Cli, Common } from '../run.ts';

/** `qc add`: a recipe package into this project. */
export default (cli: Cli): void =>
  cli.command<Common>(
    'add <package>',
    'install a recipe package with npm and lock it',
    (c) => c,
    async ([spec], options, io) => {
      const [
        { fail },
        { join },
        { npmOrFail, packageSpec, view },
        { lockedClosure },
        { projectOf, writeLock },
        { locate },
        { openPackage },
        { nodeHost },
      ] = await Promise.all([
        import('../../../grammar/diagnostics.ts'),
        import('node:path'),
        import('../../node/npm.ts'),
        import('../../node/project.ts'),
        import('../../node/lockfile.ts'),
        import('../../node/resolve.ts'),
        import('../../node/package.ts'),
        import('../../node/host.ts'),
      ]);
      const wanted = packageSpec(spec!);
      const project = projectOf(io.cwd);
      const there = await view(wanted, project, io.env);
      const newest = there.at(-1);
      if (newest === undefined) {
        const any = wanted.range === '*' ? [] : await view({ ...wanted, range: '*' }, project, io.env);
        return fail(
          'package-missing',
          any.length ? `no version of ${wanted.name} is ${wanted.range}` : `the registry has no package ${wanted.name}`,
          any.length ? `It has ${any.map((v) => v['version']).join(', ')}.` : 'npm config get registry says which registry is asked.',
        );
      }
      if (newest['qrecipe'] === undefined)
        fail(
          'package-unfit',
          `${wanted.name}@${newest['version']} has no recipes: its package.json has no "qrecipe"`,
          'Packages of code are installed with npm.',
        );
      await npmOrFail(['install', '--save', '--', wanted.range === '*' ? wanted.name : `${wanted.name}@${wanted.range}`], project, io.env);
      const here = join(project, 'package.json');
      const undo = async (e: unknown): Promise<never> => {
        await npmOrFail(['uninstall', '--', wanted.name], project, io.env);
        throw e;
      };
      const host = await nodeHost();
      try {
        const manifest = locate(wanted.name, here);
        const found = manifest === undefined ? { error: `npm installed no ${wanted.name}` } : openPackage(manifest, wanted.name);
        if ('error' in found) return await undo(refusal(found, fail));
        const range = wanted.range === '*' ? `^${found.version}` : wanted.range;
        const locked = await Promise.resolve()
          .then(() => lockedClosure(project, { [wanted.name]: range }))
          .catch(undo);
        const changes = await writeLock(host, project, locked);
        const alias = found.name.replace(/^.*\//, '').replace(/\W/g, '_');
        const use = `use "${found.name}@${range}" as ${alias}`;
        if (options.json)
          io.out(`${JSON.stringify({ ok: true, name: found.name, version: found.version, use, locked: changes }, null, 2)}\n`);
        else {
          if (!options.quiet) for (const c of changes) io.out(`locked  ${c}\n`);
          io.out(`${use}\n`);
        }
        return exit.done;
      } finally {
        await host.close();
      }
    },
  );

/** A refusal of a package as what can be thrown. */
function refusal(
  r: { readonly error: string; readonly hint?: string; readonly code?: string },
  fail: (c: string, m: string, h?: string) => never,
): unknown {
  try {
    return fail(r.code ?? 'package-unfit', r.error, r.hint);
  } catch (e) {
    return e;
  }
}
