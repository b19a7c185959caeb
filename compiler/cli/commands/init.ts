import { exit } from '../exit.ts';
import type { Cli, Common } from '../run.ts';

interface Options extends Common {
  readonly output?: string;
  readonly force?: boolean;
}

/** `qc init`: a commented starter recipe for a model. */
export default (cli: Cli): void =>
  cli.command<Options>(
    'init <model>',
    'write a commented starter recipe for a model',
    (c) =>
      c
        .option('-o, --output <file>', 'where to (default: <model>.qrecipe here; - prints it)')
        .option('--force', 'replace an existing file'),
    async ([model], options, io) => {
      const [{ resolve, basename, dirname }, { nodeHost }, { openModel }, { starter }, { writeText }] = await Promise.all([
        import('node:path'),
        import('../../node/host.ts'),
        import('../../driver/model.ts'),
        import('../starter.ts'),
        import('../files.ts'),
      ]);
      const host = await nodeHost();
      try {
        const full = resolve(io.cwd, model!);
        const source = await openModel(host, full);
        const stem = basename(full).replace(/\.onnx$/, '');
        // A folder says more than `model.onnx`.
        const name = stem === 'model' ? basename(dirname(full)) || stem : stem;
        const { inputs, outputs } = source.model.graph;
        const text = starter(source.sites, {
          model: model!,
          name,
          inputs: inputs.map((i) => i.name),
          outputs: outputs.map((o) => o.name),
        });
        const to = options.output ?? `${name}.qrecipe`;
        await source.close();
        if (to === '-') io.out(text);
        else {
          await writeText(host, io, to, text, options.force === true);
          if (options.json) io.out(`${JSON.stringify({ ok: true, recipe: to }, null, 2)}\n`);
          else if (!options.quiet) io.out(`${to}\n`);
        }
        return exit.done;
      } finally {
        await host.close();
      }
    },
  );
