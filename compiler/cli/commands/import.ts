import { exit } from '../exit.ts';
import type { Cli, Common } from '../run.ts';

interface Options extends Common {
  readonly output?: string;
  readonly from?: string;
  readonly force?: boolean;
}

/** `qc import`: a configuration of another tool as a recipe. */
export default (cli: Cli): void =>
  cli.command<Options>(
    'import <config>',
    'turn a configuration of another tool into a recipe',
    (c) =>
      c
        .option('-o, --output <file>', 'where to (default: <config>.qrecipe here; - prints it)')
        .option(
          '--from <kind>',
          'llm-compressor, compressed-tensors, gptq, awq, fp8, ai-edge, olive, onnxruntime or llama.cpp (default: found out)',
        )
        .option('--force', 'replace an existing file'),
    async ([config], options, io) => {
      const [{ basename, dirname, resolve }, { nodeHost }, { importRecipe }, { readText, writeText }] = await Promise.all([
        import('node:path'),
        import('../../node/host.ts'),
        import('../../import.ts'),
        import('../files.ts'),
      ]);
      const text = config === '-' ? await io.stdin() : await readText(io, config!);
      const stem = config === '-' ? 'imported' : basename(config!).replace(/\.(ya?ml|jsonc?|txt|sh)$/, '');
      // A folder says more than `config.json` or `recipe.yaml`.
      const folder = config === '-' ? '' : basename(dirname(resolve(io.cwd, config!)));
      const name = /^(config|recipe|quant\w*_config|ort_config|olive_config)$/.test(stem) && folder ? folder : stem;
      const found = importRecipe(text, {
        file: config === '-' ? 'stdin' : basename(config!),
        name,
        ...(options.from === undefined ? {} : { from: options.from }),
      });
      const to = options.output ?? `${name}.qrecipe`;
      if (to === '-') io.out(found.text);
      else {
        const host = await nodeHost();
        try {
          await writeText(host, io, to, found.text, options.force === true);
        } finally {
          await host.close();
        }
      }
      if (options.json && to !== '-')
        io.out(`${JSON.stringify({ ok: true, recipe: to, kind: found.kind, planned: found.planned }, null, 2)}\n`);
      else if (!options.quiet && to !== '-') io.out(`${to}\n`);
      if (!options.json && !options.quiet && found.planned.length)
        io.err(`planned, not built yet: ${found.planned.join(', ')}: the recipe says where\n`);
      return exit.done;
    },
  );
