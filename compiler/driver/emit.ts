/** Writes the result: model, external data, statistics. Everything appears, or nothing. */
import { encodeStatistics } from '../calibrate/index.ts';
import type { Crunch } from '../crunch.ts';
import { type Reader, sizeOf } from '../graph/bytes.ts';
import type { Model, Tensor } from '../graph/types.ts';
import { alignment, encodeModel, INLINE_LIMIT, writeModel } from '../graph/write.ts';
import type { WriteFile } from '../host.ts';
import type { Source } from './model.ts';
import type { Run } from './run.ts';
import type { Calibrated } from './statistics.ts';
import type { CompileOptions, CompileResult } from './types.ts';

/** Where the statistics of a model go: `small.onnx` → `small.qstats`. */
export const statisticsPath = (output: string): string => `${output.replace(/\.onnx$/, '')}.qstats`;

/** Fails now, not after the work: an output that exists (without `force`) or a folder that cannot be written. */
export async function checkWritable(options: CompileOptions): Promise<void> {
  const file = await options.host.create(options.output, options.force ?? false);
  await file.abort();
}

/** Bytes that a model will take when it is written: its graph, its tensors, their alignment. Evaluates nothing. */
export async function writtenSize(model: Model, reader: Reader): Promise<number> {
  const tensors = [...model.graph.initializers.values()];
  const total = tensors.reduce((n, t) => n + sizeOf(t), 0);
  const gaps = total > INLINE_LIMIT ? tensors.reduce((n, t) => n + (sizeOf(t) > 1024 ? alignment(sizeOf(t)) / 2 : 0), 0) : 0;
  const empty = (t: Tensor): Tensor => ({ ...t, source: { kind: 'bytes', bytes: new Uint8Array(0) } });
  const bare: Model = {
    ...model,
    graph: { ...model.graph, initializers: new Map([...model.graph.initializers].map(([k, t]) => [k, empty(t)])) },
  };
  return (await encodeModel(bare, reader, async () => new Uint8Array(0))).length + total + gaps;
}

/** Writes the model and, when they are new, its statistics. `made` gives the model its metadata: the identity of the source is known when its weights went by. */
export async function emit(
  model: Model,
  source: Source,
  made: (fingerprint: string) => Promise<Model>,
  crunch: Crunch,
  calibrated: Calibrated | undefined,
  options: CompileOptions,
  run: Run,
): Promise<CompileResult['files']> {
  const { host } = options;
  const record = calibrated?.fresh ? encodeStatistics(calibrated.statistics) : undefined;
  let stats: WriteFile | undefined;
  try {
    if (record) {
      stats = await host.create(statisticsPath(options.output), options.force ?? false);
      await stats.write(record);
    }
    const written = await writeModel({ open: host.open, create: host.create, crunch }, model, options.output, {
      dir: source.dir,
      finish: async () => made(await source.fingerprint()),
      ...(options.force === undefined ? {} : { force: options.force }),
      ...(options.external === undefined ? {} : { external: options.external }),
      progress: (done, total) => {
        options.signal?.throwIfAborted();
        run.onEvent({ phase: 'write', done, total });
      },
    });
    await stats?.commit();
    return [...written.files, ...(stats && record ? [{ path: stats.path, bytes: record.length }] : [])];
  } catch (e) {
    await stats?.abort();
    throw e;
  }
}
