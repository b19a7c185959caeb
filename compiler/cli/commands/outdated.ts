import { exit } from '../exit.ts';
import type { Cli, Common } from '../run.ts';
import { style, table } from '../style.ts';

interface Row {
  readonly current?: string;
  readonly wanted: string;
  readonly latest: string;
}

/** `qc outdated`: recipe packages of which the registry has newer versions. */
export default (cli: Cli): void =>
  cli.command<Common>(
    'outdated',
    'list recipe packages of which there are newer versions',
    (c) => c,
    async (_, options, io) => {
      const [{ fail }, { npm, npmSaid }, { recipeDependencies }, { projectOf }] = await Promise.all([
        import('../../../grammar/diagnostics.ts'),
        import('../../node/npm.ts'),
        import('../../node/project.ts'),
        import('../../node/lockfile.ts'),
      ]);
      const project = projectOf(io.cwd);
      const own = Object.keys(recipeDependencies(project));
      // npm ends with status 1 where something is outdated.
      const r = own.length ? await npm(['outdated', '--json', '--', ...own], project, io.env) : { status: 0, out: '{}', err: '' };
      const json = JSON.parse(r.out.trim() || '{}') as Record<string, Row | Row[]> & { error?: unknown };
      if (json.error !== undefined)
        fail('npm', `npm outdated failed: ${npmSaid(r)}`, 'npm config get registry says which registry is asked.');
      const rows = Object.entries(json).map(([name, x]) => ({ name, ...(Array.isArray(x) ? x[0]! : x) }));
      if (options.json)
        io.out(
          `${JSON.stringify({ ok: true, packages: rows.map(({ name, current, wanted, latest }) => ({ name, current, wanted, latest })) }, null, 2)}\n`,
        );
      else if (rows.length)
        io.out(
          table(
            ['package', 'installed', 'in range', 'newest'],
            rows.map((p) => [p.name, p.current ?? '', p.wanted, p.latest]),
            style(io),
          ),
        );
      else if (!options.quiet) io.out('every recipe package is the newest\n');
      return exit.done;
    },
  );
