import { exit } from '../exit.ts';
import type { Cli, Common } from '../run.ts';

/** `qc check`: every mistake of recipes, without a model. */
export default (cli: Cli): void =>
  cli.command<Common>(
    'check <recipe...>',
    'check recipes without a model: every mistake in one run',
    (c) => c,
    async (files, options, io) => {
      const [{ checkFile }, { readText }, { render }] = await Promise.all([
        import('../check.ts'),
        import('../files.ts'),
        import('../errors.ts'),
      ]);
      const results = [];
      for (const file of files) results.push({ file, ...(await checkFile(io, file, await readText(io, file))) });
      const errors = results.flatMap((r) => r.diagnostics.filter((d) => d.severity === 'error'));
      if (options.json)
        io.out(
          `${JSON.stringify({ ok: !errors.length, files: results.map(({ file, diagnostics }) => ({ file, diagnostics })) }, null, 2)}\n`,
        );
      else
        for (const r of results) {
          if (r.diagnostics.length) io.err(render(r.diagnostics, io, r.sources));
          else if (!options.quiet) io.out(`${r.file}: ${r.recipes} ${r.recipes === 1 ? 'recipe' : 'recipes'}, no mistakes\n`);
        }
      return errors.length ? exit.input : exit.done;
    },
  );
