import { exit } from '../exit.ts';
import type { Cli, Common } from '../run.ts';

/** `qc docs`: the reference in the terminal. */
export default (cli: Cli): void =>
  cli.command<Common>(
    'docs [name]',
    'print the reference of a name, or all names',
    (c) => c,
    async ([name], options, io) => {
      const { reference } = await import('../../check/docs.ts');
      const page = reference(name);
      io.out(options.json ? `${JSON.stringify(page, null, 2)}\n` : `${page.text.trimEnd()}\n`);
      return exit.done;
    },
  );
