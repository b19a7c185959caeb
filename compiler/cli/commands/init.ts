import type { WriteFile } from '../../host.ts';
import { type Exit, exit } from '../exit.ts';
import type { Io } from '../io.ts';
import type { Cli, Common } from '../run.ts';

interface Options extends Common {
  readonly output?: string;
  readonly force?: boolean;
  readonly package?: string;
}

/** `qc init`: a commented starter recipe for a model. */
export default (cli: Cli): void =>
  cli.command<Options>(
    'init [model]',
    'write a commented starter recipe for a model, or a new recipe package',
    (c) =>
      c
        .option('-o, --output <file>', 'where to (default: <model>.qrecipe here; - prints it)')
        .option('--package <name>', 'write a new recipe package here instead: @scope/name')
        .option('--force', 'replace an existing file'),
    async ([model], options, io) => {
      if (options.package !== undefined) return initPackage(options.package, options, io);
      if (model === undefined) {
        const { fail } = await import('../../../grammar/diagnostics.ts');
        fail('recipe-missing', 'nothing says what to begin with', 'Write qc init model.onnx, or qc init --package @scope/name.');
      }
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

async function initPackage(spec: string, options: Options, io: Io): Promise<Exit> {
  const [{ newPackage }, { packageSpec }, { nodeHost }, { resolve }] = await Promise.all([
    import('../new-package.ts'),
    import('../../node/npm.ts'),
    import('../../node/host.ts'),
    import('node:path'),
  ]);
  const files = Object.entries(newPackage(packageSpec(spec).name));
  const host = await nodeHost();
  const open: WriteFile[] = [];
  try {
    // All of them, or none.
    for (const [name] of files) open.push(await host.create(resolve(io.cwd, name), options.force === true));
    for (const [i, [, text]] of files.entries()) await open[i]!.write(new TextEncoder().encode(text));
    for (const f of open) await f.commit();
  } catch (e) {
    for (const f of open) await f.abort();
    throw e;
  } finally {
    await host.close();
  }
  const names = files.map(([name]) => name);
  if (options.json) io.out(`${JSON.stringify({ ok: true, files: names }, null, 2)}\n`);
  else if (!options.quiet) io.out(`${names.join('\n')}\n`);
  return exit.done;
}
