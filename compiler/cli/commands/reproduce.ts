import { type Bindings, binding } from '../bindings.ts';
import { exit } from '../exit.ts';
import type { Cli, Common } from '../run.ts';

interface Options extends Common {
  readonly model: string;
  readonly data?: Bindings;
  readonly stats?: string;
  readonly replay?: boolean;
}

/** `qc reproduce`: is a compiled model what it says that it is? */
export default (cli: Cli): void =>
  cli.command<Options>(
    'reproduce <compiled>',
    'build a compiled model again from its metadata and compare every byte',
    (c) =>
      c
        .requiredOption('--model <file>', 'the float model that it was made from')
        .option('--data <name=dir>', 'the folder behind data("name"); repeatable', binding)
        .option('--stats <file>', 'the statistics record (.qstats) of the first compile, instead of data')
        .option('--replay', 'take the stored search results instead of searching again'),
    async ([compiled], options, io) => {
      const [{ resolve }, { nodeHost }, { reproduce }] = await Promise.all([
        import('node:path'),
        import('../../node/host.ts'),
        import('../../reproduce.ts'),
      ]);
      const at = (path: string): string => resolve(io.cwd, path);
      const host = await nodeHost(options.threads === undefined ? {} : { threads: options.threads });
      try {
        const found = await reproduce({
          host,
          output: at(compiled!),
          model: at(options.model),
          ...(options.data ? { data: Object.fromEntries(Object.entries(options.data).map(([k, v]) => [k, at(v)])) } : {}),
          ...(options.stats === undefined ? {} : { stats: at(options.stats) }),
          ...(options.replay ? { replay: true } : {}),
          ...(options.threads === undefined ? {} : { threads: options.threads }),
        });
        if (options.json) io.out(`${JSON.stringify({ ok: found.same, ...found }, null, 2)}\n`);
        else {
          for (const d of found.differences) io.err(`differs  ${d}\n`);
          if (found.same && !options.quiet) for (const f of found.files) io.out(`same bytes  ${f.name}  ${f.bytes} B\n`);
        }
        return found.same ? exit.done : exit.failed;
      } finally {
        await host.close();
      }
    },
  );
