import { exit } from '../exit.ts';
import type { Cli, Common } from '../run.ts';

/** `qc lsp`: the language server for editors. */
export default (cli: Cli): void =>
  cli.command<Common>(
    'lsp',
    'serve editors over stdin and stdout (language server protocol)',
    // Editors add --stdio by habit.
    (c) => c.option('--stdio', 'the only transport; accepted, since clients pass it'),
    async () => {
      const { serve } = await import('../../server/stdio/main.ts');
      await serve(process.stdin, process.stdout);
      return exit.done;
    },
  );
