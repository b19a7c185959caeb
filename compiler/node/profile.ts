import { randomBytes } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { fail } from '../../grammar/diagnostics.ts';
import { makers, numbered, type Part, partsOf, type Timed, timesOf } from '../driver/slower.ts';
import { canonicalize } from '../graph/canonical.ts';
import { infer } from '../graph/infer.ts';
import { loadModel } from '../graph/load.ts';
import type { Model } from '../graph/types.ts';
import { writeModel } from '../graph/write.ts';
import type { Host } from '../host.ts';
import { findSites } from '../match/find.ts';

const RUNS = 9;
const WARM = 2;

/** Where a compiled model spends its time beside the float one. */
export interface Profiled {
  /** Sums of the operators' microseconds. */
  readonly float: number;
  readonly quantized: number;
  readonly parts: readonly Part[];
}

/** Events of the operators in the profile that lies in `folder` under `prefix`. */
async function eventsIn(folder: string, prefix: string): Promise<Timed[]> {
  const file = (await readdir(folder)).find((f) => f.startsWith(prefix) && f.endsWith('.json'));
  if (!file) return fail('bench-run', 'ONNX Runtime wrote no profile');
  const events = JSON.parse(await readFile(join(folder, file), 'utf8')) as {
    cat: string;
    name: string;
    dur: number;
    args?: { op_name?: string };
  }[];
  return events
    .filter((e) => e.cat === 'Node' && e.name.endsWith('_kernel_time'))
    .map((e) => ({ name: e.name, op: e.args?.op_name ?? '', us: e.dur }));
}

/** Profiles both models on the same inputs (usual sizes, or those of `sizes`), run by run in turn. Errors: those of loading and running. */
export async function profileModels(
  host: Host,
  paths: readonly [float: string, quantized: string],
  sizes: Readonly<Record<string, number>>,
  threads: number,
): Promise<Profiled> {
  const [{ made, shapesOf }] = await Promise.all([import('../../runtime/bench-feeds.ts'), import('../../runtime/index.ts')]);
  const ort = createRequire(import.meta.url)('onnxruntime-node') as typeof import('onnxruntime-node');
  const folder = await host.scratch();
  const open = async (path: string) => {
    const loaded = await loadModel(host, path);
    const prefix = `profile-${randomBytes(4).toString('hex')}`;
    const file = join(folder, `${prefix}.onnx`);
    await writeModel({ open: host.open, create: host.create, crunch: host.crunch }, numbered(loaded.model), file, { dir: loaded.dir });
    const session = await ort.InferenceSession.create(file, {
      intraOpNumThreads: threads,
      logSeverityLevel: 3,
      enableProfiling: true,
      profileFilePrefix: join(folder, `${prefix}-`),
    });
    const shapes = shapesOf(session.inputMetadata, sizes);
    const feeds = Object.fromEntries(session.inputMetadata.map((m) => [m.name, made(ort, m, shapes.get(m.name)!)]));
    return { model: loaded.model, prefix: `${prefix}-`, session, feeds };
  };
  const both = [await open(paths[0]), await open(paths[1])] as const;
  try {
    for (let i = 0; i < WARM + RUNS; i++) for (const { session, feeds } of both) await session.run(feeds);
  } catch (e) {
    fail('bench-run', e instanceof Error ? e.message : String(e));
  } finally {
    for (const { session } of both) {
      session.endProfiling();
      await session.release();
    }
  }
  const times = await Promise.all(both.map(async (b) => timesOf(await eventsIn(folder, b.prefix), WARM + RUNS, makers(b.model))));
  const of = (i: 0 | 1): { model: Model; times: (typeof times)[0] } => ({ model: both[i].model, times: times[i]! });
  const { sites } = findSites(infer(canonicalize(both[0].model)));
  const parts = partsOf(of(0), of(1), sites);
  const sum = (key: 'float' | 'quantized') => parts.reduce((n, p) => n + p[key], 0);
  return { float: sum('float'), quantized: sum('quantized'), parts };
}
