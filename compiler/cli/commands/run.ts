import type { Value } from '../../host.ts';
import { exit } from '../exit.ts';
import type { Io } from '../io.ts';
import type { Cli, Common } from '../run.ts';
import { style, table } from '../style.ts';

interface Options extends Common {
  readonly output?: string;
  readonly force?: boolean;
}

/** `qc run`: outputs of a model on given data, summed up or written as .npz. */
export default (cli: Cli): void =>
  cli.command<Options>(
    'run <model> <data>',
    'run a model on an .npz file or a folder of them',
    (c) =>
      c
        .option('-o, --output <path>', 'write the outputs: one .npz file, or a folder with one for each batch')
        .option('--force', 'replace existing files'),
    async ([model, data], options, io) => {
      const [{ resolve, join, basename, relative }, { nodeHost }, { loadModel }, { dataSource }, { fail }] = await Promise.all([
        import('node:path'),
        import('../../node/host.ts'),
        import('../../graph/load.ts'),
        import('../../calibrate/index.ts'),
        import('../../../grammar/diagnostics.ts'),
      ]);
      const host = await nodeHost({ kernels: true, ...(options.threads === undefined ? {} : { threads: options.threads }) });
      try {
        const loaded = await loadModel(host, resolve(io.cwd, model!));
        const source = await dataSource(host, resolve(io.cwd, data!));
        const single = /\.npz$/.test(options.output ?? '');
        if (single && (source.batches ?? 2) > 1)
          fail(
            'many-batches',
            `${data} has ${source.batches ?? 'several'} batches, ${options.output} can hold one`,
            'give a folder with -o',
          );
        const session = await host.session(loaded.model, loaded.dir);
        const batches: { batch: string; ms: number; outputs: Summary[] }[] = [];
        try {
          for await (const batch of source.read(loaded.model.graph)) {
            const started = host.now();
            const outputs = await session.run(batch.feeds);
            const ms = host.now() - started;
            batches.push({
              batch: relative(io.cwd, batch.label),
              ms,
              outputs: await Promise.all(Object.entries(outputs).map(([n, v]) => summary(n, v))),
            });
            if (options.output) {
              const to = resolve(
                io.cwd,
                single ? options.output : join(options.output, `${basename(batch.label).replace(/[*]|\.np[yz]$/g, '')}.npz`),
              );
              await write(host, to, outputs, options.force === true);
            }
          }
        } finally {
          await session.close();
        }
        if (options.json) io.out(`${JSON.stringify({ ok: true, model, batches }, null, 2)}\n`);
        else show(io, batches);
        return exit.done;
      } finally {
        await host.close();
      }
    },
  );

interface Summary {
  readonly name: string;
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly min?: number;
  readonly mean?: number;
  readonly max?: number;
  readonly nan?: number;
}

async function summary(name: string, v: Value): Promise<Summary> {
  const { floats } = await import('../../calibrate/values.ts');
  const base = { name, dtype: v.dtype, shape: v.shape };
  if (v.shape.some((d) => d === 0)) return base;
  const x = floats(v);
  let [min, max, sum, nan] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 0, 0];
  for (const value of x) {
    if (Number.isNaN(value)) nan++;
    else {
      if (value < min) min = value;
      if (value > max) max = value;
      sum += value;
    }
  }
  return nan === x.length ? { ...base, nan } : { ...base, min, mean: sum / (x.length - nan), max, ...(nan ? { nan } : {}) };
}

async function write(
  host: Pick<import('../../host.ts').Host, 'create'>,
  path: string,
  outputs: Record<string, Value>,
  force: boolean,
): Promise<void> {
  const [{ encodeNpz }, { mkdir }, { dirname }, { guarded }] = await Promise.all([
    import('../../calibrate/npz.ts'),
    import('node:fs/promises'),
    import('node:path'),
    import('../../node/errors.ts'),
  ]);
  await guarded(dirname(path), () => mkdir(dirname(path), { recursive: true }));
  const file = await host.create(path, force);
  try {
    await file.write(encodeNpz(new Map(Object.entries(outputs))));
    await file.commit();
  } catch (e) {
    await file.abort();
    throw e;
  }
}

function show(io: Io, batches: readonly { batch: string; ms: number; outputs: readonly Summary[] }[]): void {
  const s = style(io);
  const number = (x: number | undefined) => (x === undefined ? '' : x.toPrecision(4));
  for (const [i, b] of batches.entries()) {
    io.out(`${s.bold(b.batch)}  ${b.ms.toFixed(1)} ms\n`);
    // The outputs of one batch say what there is to see; of the others the time, and what is wrong with them.
    if (i > 0 && !b.outputs.some((o) => o.nan)) continue;
    const rows = b.outputs.map((o) => [
      o.name,
      `${o.dtype}[${o.shape.join(', ')}]`,
      number(o.min),
      number(o.mean),
      number(o.max),
      o.nan ? s.red(`${o.nan} NaN`) : '',
    ]);
    io.out(table(['output', 'type', 'min', 'mean', 'max', ''], rows, s, [2, 3, 4]));
  }
}
