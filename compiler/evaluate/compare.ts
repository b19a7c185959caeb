/** Two models on the same data: every metric of each output, and how far each inner value drifted. */
import { fail } from '../../grammar/diagnostics.ts';
import { dataSource } from '../calibrate/data.ts';
import { unpadded } from '../calibrate/padding.ts';
import type { Batch, Source } from '../calibrate/source.ts';
import { passes, tapped } from '../calibrate/tap.ts';
import { floats } from '../calibrate/values.ts';
import type { Metric } from '../define.ts';
import { loadModel } from '../graph/load.ts';
import type { Host, Session, Value } from '../host.ts';
import { metrics as catalogue } from '../metrics/index.ts';
import sqnr from '../metrics/sqnr.ts';
import type { Located } from './task.ts';

export interface CompareRequest {
  readonly host: Host;
  /** The float model: the truth. */
  readonly reference: Located;
  readonly actual: Located;
  /** Checked against the reference's inputs. */
  readonly source: Source;
  /** Outputs to be compared, or inner values that both models compute; default all outputs. */
  readonly outputs?: readonly string[];
  /** What is measured on them; default the whole catalogue. */
  readonly metrics?: readonly Metric[];
  /** What the float model answered before on the same data, where that is kept. */
  readonly answers?: Answers;
  /** Inner values whose SQNR is asked for. Those that one of the models does not compute are left out of the result. */
  readonly layers?: readonly string[];
  /** Bytes of activations that may be held at a time, for the layers; default 512 MiB. */
  readonly memory?: number;
  readonly onProgress?: (batch: number, batches: number | undefined) => void;
  readonly signal?: AbortSignal;
}

/** Answers of the float model, held for those who ask again; beyond `limit` bytes they are computed again. */
export class Answers {
  readonly #known = new Map<string, Readonly<Record<string, Value>>>();
  #left: number;

  constructor(limit = 2 ** 28) {
    this.#left = limit;
  }

  async of(batch: number, values: readonly string[], run: () => Promise<Readonly<Record<string, Value>>>) {
    const key = `${batch}\n${values.join('\n')}`;
    const known = this.#known.get(key);
    if (known) return known;
    const found = await run();
    const bytes = Object.values(found).reduce((n, v) => n + v.bytes.byteLength, 0);
    if (bytes <= this.#left) {
      this.#left -= bytes;
      this.#known.set(key, found);
    }
    return found;
  }
}

export interface Comparison {
  /** By output name, then metric name. */
  readonly outputs: ReadonlyMap<string, Readonly<Record<string, number>>>;
  /** dB by value name. */
  readonly layers: ReadonlyMap<string, number>;
  readonly samples: number;
}

/** Runs both models batch by batch. Errors: compare-inputs, compare-output, compare-shape, data-*, session-*. */
export async function compare(request: CompareRequest): Promise<Comparison> {
  const { reference, actual } = request;
  const made = [reference, actual].map(({ model }) => new Set(model.graph.nodes.flatMap((n) => n.outputs)));
  const names = request.outputs ?? reference.model.graph.outputs.map((o) => o.name);
  for (const name of names)
    if (!actual.model.graph.outputs.some((o) => o.name === name) && !made.every((set) => set.has(name)))
      fail('compare-output', `the second model has no output "${name}"`, 'compare models with the same outputs');
  const outputs = new Map(
    names.map((name) => [name, (request.metrics ?? catalogue).map((metric: Metric) => ({ metric, acc: metric.start() }))]),
  );
  let samples = 0;
  await both(request, names, (batch, pair) => {
    samples += batch.samples;
    for (const [name, folds] of outputs) {
      const { a, b, last } = pair(name);
      for (const { metric, acc } of folds) metric.fold(acc, a, b, last);
    }
  });
  const shared = [...new Set(request.layers ?? [])].filter((v) => made.every((set) => set.has(v)));
  const layers = new Map<string, number>();
  for (const chosen of await plan(request, shared)) {
    const sums = new Map(chosen.map((name) => [name, sqnr.start()]));
    await both(request, chosen, (_, pair) => {
      for (const [name, acc] of sums) {
        const { a, b, last } = pair(name);
        sqnr.fold(acc, a, b, last);
      }
    });
    for (const [name, acc] of sums) layers.set(name, sqnr.finish(acc));
  }
  const finished = [...outputs].map(
    ([name, folds]) => [name, Object.fromEntries(folds.map(({ metric, acc }) => [metric.name, metric.finish(acc)]))] as const,
  );
  return { outputs: new Map(finished), layers, samples };
}

async function plan(request: CompareRequest, values: readonly string[]): Promise<string[][]> {
  if (values.length === 0) return [];
  for await (const { feeds } of request.source.read(request.reference.model.graph))
    return passes(request.reference.model.graph, values, feeds, (request.memory ?? 2 ** 29) / 2);
  return fail('data-empty', `${request.source.describe} gives no batch`);
}

type Pair = (name: string) => { a: Float32Array; b: Float32Array; last: number };

/** Both models with `values` as their outputs, over all batches. */
async function both(request: CompareRequest, values: readonly string[], see: (batch: Batch, pair: Pair) => void): Promise<void> {
  if (values.length === 0) return;
  const { host, reference, actual, source } = request;
  const open = ({ model, dir }: Located) => host.session(tapped(model, values), dir);
  const first = await open(reference);
  try {
    const second = await open(actual);
    let done = 0;
    try {
      for await (const batch of source.read(reference.model.graph)) {
        request.signal?.throwIfAborted();
        const truth = () => first.run(given(seen(batch, reference), first, 'first'));
        const a = request.answers ? await request.answers.of(done, values, truth) : await truth();
        const b = await second.run(given(seen(batch, actual), second, 'second'));
        see(batch, (name) => paired(name, a[name]!, b[name]!, batch.feeds['attention_mask']));
        done++;
        request.onProgress?.(done, source.batches);
      }
    } finally {
      await second.close();
    }
  } finally {
    await first.close();
  }
}

const seen = (batch: Batch, { adapt }: Located): Batch => (adapt ? { ...batch, feeds: adapt(batch.feeds) } : batch);

/** A tapped model may need fewer inputs than there are. */
function given(batch: Batch, session: Session, which: string): Record<string, Value> {
  return Object.fromEntries(
    session.inputs.map((name) => [
      name,
      batch.feeds[name] ??
        fail(
          'compare-inputs',
          `${batch.label} has no array for the input "${name}" of the ${which} model`,
          'compare models with the same inputs',
        ),
    ]),
  );
}

function paired(name: string, a: Value, b: Value, mask: Value | undefined): ReturnType<Pair> {
  if (a.shape.join() !== b.shape.join())
    fail('compare-shape', `"${name}" is [${a.shape.join(', ')}] in the first model and [${b.shape.join(', ')}] in the second`);
  return { a: unpadded(floats(a), a.shape, mask), b: unpadded(floats(b), b.shape, mask), last: a.shape.at(-1) ?? 1 };
}

/** One number for people: what it is, and its value. */
export interface Measured {
  readonly name: string;
  readonly value: number;
}

/**
 * Two model files on a folder of arrays: every metric of the first output, the SQNR of the others.
 * Errors: those of loading, of the data and of `compare`.
 */
export async function compareModels(
  host: Host,
  reference: string,
  actual: string,
  data: string,
  options: { samples?: number } = {},
): Promise<Measured[]> {
  const [a, b] = [await loadModel(host, reference), await loadModel(host, actual)];
  const result = await compare({ host, reference: a, actual: b, source: await dataSource(host, data, options) });
  return [...result.outputs].flatMap(([output, values], i) =>
    Object.entries(values)
      .filter(([metric]) => i === 0 || metric === 'sqnr')
      .map(([metric, value]) => ({ name: `${metric} ${output}`, value })),
  );
}
