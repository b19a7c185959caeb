import { type Exit, exit } from '../exit.ts';
import type { Cli, Common } from '../run.ts';

interface Options extends Common {
  readonly check?: boolean;
}

/** `qc fmt`: the canonical text, in place. */
export default (cli: Cli): void =>
  cli.command<Options>(
    'fmt <recipe...>',
    'format recipes in place; - reads stdin and writes stdout',
    (c) => c.option('--check', 'change nothing; status 1 if a file is not formatted'),
    async (files, options, io) => {
      const [{ parse }, { print }, { QcError }, { readText, writeText }, { nodeHost }] = await Promise.all([
        import('../../../grammar/parser.ts'),
        import('../../../grammar/printer.ts'),
        import('../../../grammar/diagnostics.ts'),
        import('../files.ts'),
        import('../../node/host.ts'),
      ]);
      const canonical = (text: string, name: string): string => {
        const { ast, diagnostics } = parse(text, name);
        const errors = diagnostics.filter((d) => d.severity === 'error');
        if (errors.length) throw new QcError(errors);
        return print(ast);
      };
      const host = await nodeHost();
      const changed: string[] = [];
      try {
        for (const file of files) {
          const text = file === '-' ? await io.stdin() : await readText(io, file);
          const formatted = canonical(text, file === '-' ? 'stdin' : file);
          if (formatted !== text) changed.push(file);
          if (file === '-' && !options.check) io.out(formatted);
          else if (formatted !== text && !options.check) await writeText(host, io, file, formatted, true);
        }
      } finally {
        await host.close();
      }
      if (options.json) io.out(`${JSON.stringify({ ok: !options.check || !changed.length, changed }, null, 2)}\n`);
      else if (!options.quiet)
        for (const file of changed) if (file !== '-') io.err(`${options.check ? 'not formatted' : 'formatted'}: ${file}\n`);
      const status: Exit = options.check && changed.length ? exit.failed : exit.done;
      return status;
    },
  );
