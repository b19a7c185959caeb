import { type Bindings, binding } from '../bindings.ts';
import { exit } from '../exit.ts';
import type { Cli, Common } from '../run.ts';

interface Options extends Common {
  readonly target?: string;
  readonly param?: Bindings;
}

/** `qc explain`: what a recipe would do, and which statement decides. Nothing is computed or written. */
export default (cli: Cli): void =>
  cli.command<Options>(
    'explain <model> <recipe> [selection]',
    'print what would become of every layer, and which statement decides',
    (c) =>
      c
        .option('--target <name>', 'where it is to run (default: what the recipe says, else portable)')
        .option('--param <name=value>', 'a parameter of the recipe; repeatable', binding),
    async ([model, recipe, selection], options, io) => {
      const [{ nodeHost }, { explain, explanationText }, { planOptions }] = await Promise.all([
        import('../../node/host.ts'),
        import('../../explain.ts'),
        import('../options.ts'),
      ]);
      const host = await nodeHost();
      try {
        const found = await explain(await planOptions(io, host, model!, recipe!, options), selection);
        io.out(options.json ? `${JSON.stringify(found, null, 2)}\n` : explanationText(found));
        return exit.done;
      } finally {
        await host.close();
      }
    },
  );
