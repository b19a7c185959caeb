import { bytes } from '../../report/units.ts';
import { exit } from '../exit.ts';
import type { Cli, Common } from '../run.ts';

interface Options extends Common {
  readonly dryRun?: boolean;
  readonly tag?: string;
}

/** `qc publish`: a recipe package to npm's registry, after everything that users rely on was checked. */
export default (cli: Cli): void =>
  cli.command<Options>(
    'publish [folder]',
    'check a recipe package and publish it with npm',
    (c) => c.option('--dry-run', 'only check, publish nothing').option('--tag <name>', 'the tag that points to it (default: latest)'),
    async ([folder], options, io) => {
      const [{ fail }, { resolve }, { readyToPublish }, { npmOrFail }] = await Promise.all([
        import('../../../grammar/diagnostics.ts'),
        import('node:path'),
        import('../../node/publish.ts'),
        import('../../node/npm.ts'),
      ]);
      const at = resolve(io.cwd, folder ?? '.');
      if (options.tag !== undefined && !/^[a-z][\w.-]*$/i.test(options.tag))
        fail('package-unfit', `"${options.tag}" is no tag`, 'For example next.');
      const ready = await readyToPublish(at, io.cwd, io.env);
      if (!options.dryRun) await npmOrFail(['publish', ...(options.tag === undefined ? [] : ['--tag', options.tag])], at, io.env);
      if (options.json) {
        io.out(`${JSON.stringify({ ok: true, published: !options.dryRun, ...ready }, null, 2)}\n`);
        return exit.done;
      }
      if (!options.quiet) {
        for (const f of ready.files) io.out(`${bytes(f.size).padStart(8)}  ${f.path}\n`);
        for (const c of ready.changes) io.out(`since ${ready.published}: ${c.text}\n`);
      }
      io.out(`${ready.name}@${ready.version} ${options.dryRun ? 'can be published' : 'is published'}\n`);
      return exit.done;
    },
  );
