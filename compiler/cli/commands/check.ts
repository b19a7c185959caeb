import { exit } from '../exit.ts';
import type { Cli, Common } from '../run.ts';

const count = (n: number) => `${n} ${n === 1 ? 'recipe' : 'recipes'}`;

/** `qc check`: every mistake of recipes, without a model. */
export default (cli: Cli): void =>
  cli.command<Common>(
    'check <recipe...>',
    'check recipes without a model: every mistake in one run',
    (c) => c,
    async (files, options, io) => {
      const [{ check }, { nodeResolver }, { readText }, { render }] = await Promise.all([
        import('../../check/check.ts'),
        import('../../node/resolve.ts'),
        import('../files.ts'),
        import('../errors.ts'),
      ]);
      const results = [];
      for (const file of files) {
        const text = await readText(io, file);
        results.push({ file, ...check({ path: file, text }, nodeResolver(file, io.cwd)) });
      }
      const errors = results.flatMap((r) => r.diagnostics.filter((d) => d.severity === 'error'));
      if (options.json)
        io.out(
          `${JSON.stringify({ ok: !errors.length, files: results.map(({ file, diagnostics }) => ({ file, diagnostics })) }, null, 2)}\n`,
        );
      else
        for (const r of results) {
          if (r.diagnostics.length) io.err(render(r.diagnostics, io, r.sources));
          else if (!options.quiet) io.out(`${r.file}: no mistakes in ${count(r.program?.recipes.length ?? 0)}\n`);
        }
      return errors.length ? exit.input : exit.done;
    },
  );
