import { exit } from '../exit.ts';
import type { Cli, Common } from '../run.ts';

interface Options extends Common {
  readonly check?: boolean;
}

/** `qc upgrade`: today's names in old recipes. */
export default (cli: Cli): void =>
  cli.command<Options>(
    'upgrade <recipe...>',
    'rewrite deprecated names and spellings of other tools, in place',
    (c) => c.option('--check', 'change nothing; status 1 if a file is to be rewritten'),
    async (files, options, io) => {
      const [{ upgrade }, { nodeResolver }, { readText, writeText }, { nodeHost }] = await Promise.all([
        import('../../driver/upgrade.ts'),
        import('../../node/resolve.ts'),
        import('../files.ts'),
        import('../../node/host.ts'),
      ]);
      const host = await nodeHost();
      const all: { file: string; changes: ReturnType<typeof upgrade>['changes'] }[] = [];
      let stale = false;
      try {
        for (const file of files) {
          const text = await readText(io, file);
          const done = upgrade({ path: file, text }, nodeResolver(file, io.cwd));
          all.push({ file, changes: done.changes });
          if (done.changes.length === 0) continue;
          stale = true;
          if (!options.check) await writeText(host, io, file, done.text, true);
        }
      } finally {
        await host.close();
      }
      if (options.json) io.out(`${JSON.stringify({ ok: !(options.check && stale), files: all }, null, 2)}\n`);
      else if (!options.quiet)
        for (const { file, changes } of all) {
          if (changes.length === 0) io.out(`${file}: nothing to upgrade\n`);
          for (const c of changes) io.out(`${file}:${c.line}  ${c.from} → ${c.to}\n`);
        }
      return options.check && stale ? exit.failed : exit.done;
    },
  );
