import { exit } from '../exit.ts';
import type { Cli, Common } from '../run.ts';

/** `qc update`: newer versions within the ranges of package.json, and the lock anew. */
export default (cli: Cli): void =>
  cli.command<Common>(
    'update [package...]',
    'update recipe packages within their ranges, and lock what is installed',
    (c) => c,
    async (names, options, io) => {
      const [{ fail }, { npmOrFail }, { recipeDependencies, wholeClosure }, { projectOf, writeLock }, { nodeHost }] = await Promise.all([
        import('../../../grammar/diagnostics.ts'),
        import('../../node/npm.ts'),
        import('../../node/project.ts'),
        import('../../node/lockfile.ts'),
        import('../../node/host.ts'),
      ]);
      const project = projectOf(io.cwd);
      const own = recipeDependencies(project);
      const other = names.find((n) => !Object.hasOwn(own, n));
      if (other !== undefined) fail('package-missing', `${other} is no recipe package of this project`, `qc add ${other} installs it.`);
      const all = names.length ? names : Object.keys(own);
      if (all.length) await npmOrFail(['update', '--save', '--', ...all], project, io.env);
      const host = await nodeHost();
      try {
        const changes = await writeLock(host, project, wholeClosure(project), true);
        if (options.json) io.out(`${JSON.stringify({ ok: true, changes }, null, 2)}\n`);
        else if (!options.quiet)
          io.out(changes.length ? changes.map((c) => `locked  ${c}\n`).join('') : 'everything is as it was locked\n');
        return exit.done;
      } finally {
        await host.close();
      }
    },
  );
