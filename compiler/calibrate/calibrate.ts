import { fail } from '../../grammar/diagnostics.ts';
import type { Observer } from '../define.ts';
import { cut } from '../graph/cut.ts';
import type { Model } from '../graph/types.ts';
import type { Host, Value } from '../host.ts';
import type { Ref, Schema } from '../schema.ts';
import { resolveObserver } from './observer.ts';
import { attended } from './padding.ts';
import type { Source } from './source.ts';
import { type Entry, refText, Statistics } from './statistics.ts';
import { passes, tapped } from './tap.ts';
import { floats, ofFloats } from './values.ts';

/** One thing to be observed. */
export interface Need {
  readonly value: string;
  readonly observer: Ref;
}
/** Where a calibration stands: batches done of the current pass, passes. */
export interface Progress {
  readonly pass: number;
  readonly passes: number;
  readonly batch: number;
  /** Undefined until the first pass is through, unless the source knows. */
  readonly batches: number | undefined;
}
export interface CalibrateRequest {
  readonly host: Host;
  readonly model: Model;
  /** The folder of the model's external data. */
  readonly dir: string;
  readonly source: Source;
  readonly needs: readonly Need[];
  /** Hash of the graph, which the record is bound to. */
  readonly hash: string;
  /** Bytes of activations that may be held at a time; default 1 GiB. Above it the model is run in several passes. */
  readonly memory?: number;
  readonly onProgress?: (progress: Progress) => void;
  readonly signal?: AbortSignal;
}

interface Fold {
  readonly value: string;
  readonly ref: Ref;
  readonly observer: Observer<Schema>;
  state: unknown;
}

/**
 * Runs the model on the source's batches and folds what is asked for, batch by batch: memory does not grow with the number of samples.
 * Errors: tap-*, data-*, data-empty (no batch), calibrate-nan (an activation is not finite), session-*.
 */
export async function calibrate(request: CalibrateRequest): Promise<Statistics> {
  const { host, model, source, signal } = request;
  const folds = foldsOf(request.needs);
  const inputs = new Set(model.graph.inputs.map((i) => i.name));
  const values = [...new Set(folds.map((f) => f.value))];
  const taps = values.filter((v) => !inputs.has(v));
  const first = await firstBatch(source, model);
  const plan = taps.length ? passes(model.graph, taps, first.feeds, request.memory ?? 2 ** 30) : [[]];
  let samples = 0;
  let batches = source.batches;
  for (const [pass, chosen] of plan.entries()) {
    // only what the values need: folded weights are computed for every session
    const session = chosen.length ? await host.session(cut(tapped(model, chosen), new Map(), chosen), request.dir) : undefined;
    const here = folds.filter((f) => chosen.includes(f.value) || (pass === 0 && inputs.has(f.value)));
    let batch = 0;
    samples = 0;
    try {
      for await (const { label, feeds, samples: n } of source.read(model.graph)) {
        signal?.throwIfAborted();
        const given = Object.fromEntries((session?.inputs ?? []).map((name) => [name, feeds[name]!]));
        const seen = { ...feeds, ...(await session?.run(given, chosen)) };
        for (const fold of here) await step(fold, seen[fold.value]!, feeds['attention_mask'], label, host);
        samples += n;
        batch++;
        request.onProgress?.({ pass, passes: plan.length, batch, batches });
      }
      batches = batch;
    } finally {
      await session?.close();
    }
  }
  const entries = folds.map((f): Entry => ({ value: f.value, observer: f.ref, arrays: f.observer.finish(f.state) }));
  return new Statistics({ graph: request.hash, source: source.describe, samples, batches: batches ?? 0 }, entries);
}

/** Each different need once. */
function foldsOf(needs: readonly Need[]): Fold[] {
  const folds = new Map<string, Fold>();
  for (const need of needs) {
    const { observer, ref } = resolveObserver(need.observer);
    folds.set(`${need.value}\u0000${refText(ref)}`, { value: need.value, ref, observer, state: observer.start(ref.args) });
  }
  return [...folds.values()];
}

async function firstBatch(source: Source, model: Model) {
  for await (const batch of source.read(model.graph)) return batch;
  return fail('data-empty', `${source.describe} gives no batch`, 'calibration needs data');
}

async function step(fold: Fold, value: Value, mask: Value | undefined, label: string, host: Host): Promise<void> {
  const x = floats(value);
  if (!finite(x)) {
    const bad = x.findIndex((v) => !Number.isFinite(v));
    fail(
      'calibrate-nan',
      `${label}: the activation "${fold.value}" holds ${x[bad]} at element ${bad}`,
      'the float model overflows on this data: leave the file out, or run the model in float32',
    );
  }
  const all = ofFloats(value.shape, x);
  const batch = fold.observer.positions ? all : attended(all, mask);
  fold.state = await fold.observer.fold(fold.state, batch, host.crunch, fold.ref.args);
}

/** 0·x is NaN for infinities and NaN, so one sum tells of them all. */
function finite(x: Float32Array): boolean {
  let sum = 0;
  for (let i = 0; i < x.length; i++) sum += 0 * x[i]!;
  return sum === 0;
}
