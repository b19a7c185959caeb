import { resolve } from 'node:path';
import { fail } from '../../../grammar/diagnostics.ts';
import { type Bindings, binding } from '../bindings.ts';
import { exit } from '../exit.ts';
import type { Cli, Common } from '../run.ts';

interface Options extends Common {
  readonly target?: string;
  readonly param?: Bindings;
  readonly ledger?: boolean;
}

/** `qc explain`: what a recipe would do, and which statement decides; of a compiled model, what was done. Nothing is computed or written. */
export default (cli: Cli): void =>
  cli.command<Options>(
    'explain <model> [recipe] [selection]',
    'print what would become of every layer, and which statement decides',
    (c) =>
      c
        .option('--target <name>', 'where it is to run (default: what the recipe says, else portable)')
        .option('--param <name=value>', 'a parameter of the recipe; repeatable', binding)
        .option('--ledger', 'of a model that qc compiled: which transform moved what where, what solvers decided'),
    async ([model, recipe, selection], options, io) => {
      const [{ nodeHost }, { explain, explanationText }, { planOptions }] = await Promise.all([
        import('../../node/host.ts'),
        import('../../explain.ts'),
        import('../options.ts'),
      ]);
      const host = await nodeHost();
      try {
        if (options.ledger) {
          const { ledger, ledgerText } = await import('../../ledger.ts');
          const done = await ledger(host, resolve(io.cwd, model!));
          io.out(options.json ? `${JSON.stringify(done, null, 2)}\n` : ledgerText(done));
          return exit.done;
        }
        if (recipe === undefined)
          fail(
            'recipe-missing',
            'explain needs a recipe beside the model.',
            'Give one, or --ledger for what was done to a compiled model.',
          );
        const found = await explain(await planOptions(io, host, model!, recipe!, options), selection);
        io.out(options.json ? `${JSON.stringify(found, null, 2)}\n` : explanationText(found));
        return exit.done;
      } finally {
        await host.close();
      }
    },
  );
