import { exit } from '../exit.ts';
import type { Cli, Common } from '../run.ts';

interface Options extends Common {
  readonly output?: string;
  readonly force?: boolean;
}

/** `qc ingest`: a quantized model back into a recipe. */
export default (cli: Cli): void =>
  cli.command<Options>(
    'ingest <model>',
    'read a quantized model back into the recipe that describes it',
    (c) =>
      c
        .option('-o, --output <file>', 'where to (default: <model>.qrecipe here; - prints it)')
        .option('--force', 'replace an existing file'),
    async ([model], options, io) => {
      const [{ basename, dirname, resolve }, { nodeHost }, { ingest }, { writeText }] = await Promise.all([
        import('node:path'),
        import('../../node/host.ts'),
        import('../../ingest.ts'),
        import('../files.ts'),
      ]);
      const host = await nodeHost();
      try {
        const full = resolve(io.cwd, model!);
        const stem = basename(full).replace(/\.onnx$/, '');
        const name = stem === 'model' ? basename(dirname(full)) || stem : stem;
        const found = await ingest(host, full, { name, of: basename(full) });
        const to = options.output ?? `${name}.qrecipe`;
        if (to === '-') io.out(found.text);
        else {
          await writeText(host, io, to, found.text, options.force === true);
          if (options.json)
            io.out(`${JSON.stringify({ ok: true, recipe: to, types: Object.fromEntries(found.types), notes: found.notes }, null, 2)}\n`);
          else if (!options.quiet) io.out(`${to}\n`);
        }
        return exit.done;
      } finally {
        await host.close();
      }
    },
  );
