import { exit } from '../exit.ts';
import type { Cli, Common } from '../run.ts';

interface Options extends Common {
  readonly misses?: boolean;
}

/** `qc inspect`: what is in a model, by role. */
export default (cli: Cli): void =>
  cli.command<Options>(
    'inspect <model>',
    'print the roles and sites that were found in a model',
    (c) => c.option('--misses', 'also print what looked like a role and was none, with the reason'),
    async ([model], options, io) => {
      const [{ resolve }, { nodeHost }, { loadModel }, { inspect, inspectionText }, { originText, readOrigin }] = await Promise.all([
        import('node:path'),
        import('../../node/host.ts'),
        import('../../graph/load.ts'),
        import('../../inspect.ts'),
        import('../../driver/origin.ts'),
      ]);
      const host = await nodeHost();
      try {
        const loaded = await loadModel(host, resolve(io.cwd, model!));
        const found = inspect(loaded.model);
        const origin = readOrigin(loaded.model);
        io.out(
          options.json
            ? `${JSON.stringify({ ...found, ...(origin ? { origin } : {}) }, null, 2)}\n`
            : `${origin ? `${originText(origin)}\n` : ''}${inspectionText(found, { misses: options.misses === true })}`,
        );
        return exit.done;
      } finally {
        await host.close();
      }
    },
  );
