import { exit } from '../exit.ts';
import type { Cli, Common } from '../run.ts';

const count = (n: number) => `${n} ${n === 1 ? 'recipe' : 'recipes'}`;

interface Options extends Common {
  readonly locked?: boolean;
}

/** `qc check`: every mistake of recipes, without a model. */
export default (cli: Cli): void =>
  cli.command<Options>(
    'check <recipe...>',
    'check recipes without a model: every mistake in one run',
    (c) => c.option('--locked', 'fail where anything is not as qrecipe.lock says'),
    async (files, options, io) => {
      const [{ dirname, resolve }, { check }, { closureOf, lockedOf }, { compareLock, projectOf }, { readText }, { render }] =
        await Promise.all([
          import('node:path'),
          import('../../check/check.ts'),
          import('../../node/closure.ts'),
          import('../../node/lockfile.ts'),
          import('../files.ts'),
          import('../errors.ts'),
        ]);
      const results = [];
      for (const file of files) {
        const text = await readText(io, file);
        const closure = closureOf({ path: file, text }, io.cwd);
        results.push({ file, ...check({ path: file, text }, closure.resolve) });
        const found = closure.packages;
        if (found.length) compareLock(projectOf(dirname(resolve(io.cwd, file))), lockedOf(found), options.locked === true);
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
