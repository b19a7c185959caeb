import type { Scores } from '../../evaluate/task.ts';
import { exit } from '../exit.ts';
import type { Cli, Common } from '../run.ts';
import { style, table } from '../style.ts';

interface Options extends Common {
  readonly data?: string;
  readonly decode?: boolean;
  readonly samples?: number;
}

/** One number about a model: what it is, and what it is for the float model where that was asked. */
export interface Measured {
  readonly name: string;
  readonly value: number;
  readonly float?: number;
}

/** Numbers by name; those of a group as `eps_sqnr_db[999]`. */
const flat = (scores: Scores): [string, number][] =>
  Object.entries(scores).flatMap(([name, v]): [string, number][] =>
    typeof v === 'number' ? [[name, v]] : Object.entries(v as Readonly<Record<string, number>>).map(([key, n]) => [`${name}[${key}]`, n]),
  );

/** `qc eval`: task metrics on an evaluation folder, or the distance of two models on any data. */
export default (cli: Cli): void =>
  cli.command<Options>(
    'eval <model> [quantized]',
    'task metrics of a model, or the distance between two models',
    (c) =>
      c
        .option('--data <dir>', 'a folder with eval/ (task metrics) or with .npz files (distance); default: the folder of the model')
        .option('--decode', 'language models: token by token through the caches')
        .option('--samples <n>', 'at most so many samples', Number),
    async ([model, quantized], options, io) => {
      const [{ resolve, dirname }, { existsSync }, { nodeHost }, { progress }] = await Promise.all([
        import('node:path'),
        import('node:fs'),
        import('../../node/host.ts'),
        import('../progress.ts'),
      ]);
      const host = await nodeHost({ kernels: true, ...(options.threads === undefined ? {} : { threads: options.threads }) });
      const shown = await progress(io, options.quiet === true || options.json === true);
      let failed = true;
      try {
        const [float, other] = [model!, quantized].map((p) => (p === undefined ? undefined : resolve(io.cwd, p)));
        const data = resolve(io.cwd, options.data ?? dirname(model!));
        const metrics: Measured[] = [];
        if (existsSync(`${data}/eval`)) {
          const { evaluateFixture } = await import('../../evaluate/index.ts');
          const score = async (path: string, name: string) => {
            shown.phase(name);
            return evaluateFixture(host, data, path, {
              ...(options.decode ? { decode: true } : {}),
              ...(options.samples === undefined ? {} : { windows: options.samples }),
              onProgress: (done, of) => shown.phase(name, done, of),
            });
          };
          const floatScores = await score(float!, `evaluate ${model}`);
          const scores = other === undefined ? floatScores : await score(other, `evaluate ${quantized}`);
          const known = new Map(flat(floatScores));
          for (const [name, value] of flat(scores))
            metrics.push({ name, value, ...(other === undefined ? {} : { float: known.get(name)! }) });
        } else {
          const [{ compareModels }, { fail }] = await Promise.all([
            import('../../evaluate/index.ts'),
            import('../../../grammar/diagnostics.ts'),
          ]);
          if (other === undefined)
            fail(
              'eval-alone',
              `${options.data ?? dirname(model!)} has no eval folder; on plain data two models are compared`,
              'qc eval float.onnx quantized.onnx --data DIR',
            );
          shown.phase('compare');
          metrics.push(
            ...(await compareModels(host, float!, other!, data, options.samples === undefined ? {} : { samples: options.samples })),
          );
        }
        failed = false;
        await shown.end();
        if (options.json)
          io.out(`${JSON.stringify({ ok: true, model, ...(quantized === undefined ? {} : { quantized }), metrics }, null, 2)}\n`);
        else {
          const number = (x: number | undefined) => (x === undefined ? '' : String(Number(x.toPrecision(5))));
          const rows = metrics.map((m) =>
            quantized === undefined ? [m.name, number(m.value)] : [m.name, number(m.float), number(m.value)],
          );
          io.out(table(quantized === undefined ? ['metric', 'value'] : ['metric', 'float', 'quantized'], rows, style(io), [1, 2]));
        }
        return exit.done;
      } finally {
        if (failed) await shown.end(true);
        await host.close();
      }
    },
  );
