import type { Batch } from '../calibrate/index.ts';
import type { Crunch } from '../crunch.ts';
import type { Model } from '../graph/types.ts';
import { failAt } from '../plan/bind.ts';
import type { Planned } from '../plan/plan.ts';
import { simulate } from '../simulate/simulate.ts';
import type { Simulated } from '../simulated.ts';
import type { Site } from '../sites.ts';
import { adapted, openSource } from './data.ts';
import { decide, tensorsOf } from './decide.ts';
import { sha256 } from './hash.ts';
import { inputKey, inputsOf, momentsOf } from './inputs.ts';
import { type Job, jobsOf, nameOf, placesOf, stagesOf, Work, workOf } from './jobs.ts';
import { type Entry, Kept } from './kept.ts';
import { Latest } from './latest.ts';
import { VERSION } from './metadata.ts';
import type { Source } from './model.ts';
import type { Moments } from './moments.ts';
import { Parts } from './parts.ts';
import type { Run } from './run.ts';
import { Shelf } from './shelf.ts';
import { gathered, Stream, type Wanted } from './stream.ts';
import type { CompileOptions } from './types.ts';

export interface Solving {
  readonly plan: Planned;
  /** The float model that is quantized. */
  readonly source: Source;
  readonly simulated: Simulated;
  readonly crunch: Crunch;
  /** What the result depends on, beside the data that is solved on. */
  readonly ingredients: () => Promise<object>;
  readonly options: CompileOptions;
  readonly run: Run;
}

/** Elements of a Hessian whose layer does not keep all cores busy. */
const SMALL = 1 << 21;

/** The simulated level with the codes that the plan's solvers found. Errors: `solve-refused`, `calibration-missing`, `data-unbound`, those of data and solvers. */
export async function solve(s: Solving): Promise<Simulated> {
  const { plan, source, simulated, crunch, options, run } = s;
  if (!plan.solves.some((p) => p.decides !== 'correction')) return simulated;
  const place = placesOf(source.model);
  const jobs = jobsOf(plan, simulated, place);
  const data = await sourceOf(s);
  const batches = await gathered(data.read(source.model.graph), data.describe);
  const wants = jobs.map((j) => j.solver.wants(j.planned.solver.args as never));
  const sequential = wants.some((w) => w.inputs !== 'float');
  const parts = new Parts(options.host, source.dir);
  run.atEnd.push(() => parts.close());
  const stream = new Stream(options.host, parts, batches);
  const float = wants.some((w) => w.float) && sequential ? new Stream(options.host, parts, batches) : undefined;
  const kept = await Kept.open(options.host, options.output, await keyOf(s, batches), options.resume ?? false);
  run.atEnd.push(() => kept.remove());
  const shelf = new Shelf(options.host, async () => kept.dir);
  const work = new Work(jobs);
  const latest = new Latest(source.reader);
  const narrow: { job: Job; rows: number }[] = [];
  const stages = stagesOf(
    jobs,
    wants.some((w) => w.inputs === 'layer'),
  );

  /** The model, or a part of it, whose layers before a place are quantized. */
  const quantized = (model: Model, at: number): Model => {
    const made = new Set(model.graph.nodes.map((n) => n.outputs[0]));
    const there = (site: Site) => place(site) < at && (model === source.model || site.nodes.some((n) => made.has(n.outputs[0])));
    const weights = simulated.weights.filter((w) => there(w.site));
    const values = simulated.values.filter((v) => there(v.site));
    return weights.length + values.length ? simulate({ ...simulated, model, weights, values }, latest) : model;
  };
  /** Weights change nothing around them, so that the part which is run is enough. */
  const weightsOnly = simulated.values.length === 0;

  /** What a stage reads; the same object each time, made when it is first asked for. */
  const wantedBy = stages.map((stage, i): { readonly on: () => Wanted; readonly float: () => Wanted } => {
    const last = stages[i - 1]?.block;
    const front = i > 0 && stage.block === last ? undefined : frontOf(s, stage.block, last);
    const values = inputsOf(stage.jobs.map((j) => j.planned.site));
    return {
      on: once((): Wanted => {
        if (!sequential) return { model: source.model, values, front };
        const change = (part: Model) => quantized(part, stage.from);
        return weightsOnly ? { model: source.model, change, values, front } : { model: change(source.model), values, front };
      }),
      float: once(() => ({ model: source.model, values, front })),
    };
  });

  const notes = new Map<Job, string>();
  const done = (job: Job, { tensors, note }: Entry) => {
    latest.found(job.weight, tensors, sequential && job.at < stages.at(-1)!.from);
    notes.set(job, note);
    run.onEvent({ phase: 'solve', done: work.done(job), total: work.total });
  };

  for (const [i, stage] of stages.entries()) {
    const known = stage.jobs.every((j) => kept.get(nameOf(j)));
    const wanted = wantedBy[i]!;
    if (known && !wanted.float().front) {
      for (const job of stage.jobs) done(job, kept.get(nameOf(job))!);
      continue;
    }
    const reading = (by: Stream, which: 'on' | 'float') => ({
      stream: by,
      wanted: wanted[which](),
      next: () => wantedBy[i + 1]?.[which](),
    });
    const sites = stage.jobs.map((j) => j.planned.site);
    // Where all is known the pass runs only to bring the front to the next block, with the same values as the first time.
    const moments = await momentsOf(sites, reading(stream, 'on'), float && reading(float, 'float'), crunch, shelf, known);
    const finished = new Map<string, Promise<Moments>>();
    // Small layers leave cores idle: two are solved at once, the longest first. Of large ones the next is solved while the last is written.
    const small = [...moments.values()].every((m) => m.n ** 2 <= SMALL);
    const order = small ? [...stage.jobs].sort((a, b) => workOf(b) - workOf(a)) : stage.jobs;
    const open = new Set<Promise<void>>();
    try {
      for (const [at, job] of order.entries()) {
        options.signal?.throwIfAborted();
        const before = kept.get(nameOf(job));
        if (before) {
          done(job, before);
          continue;
        }
        const key = inputKey(job.planned.site);
        const m = await (finished.get(key) ?? moments.get(key)!.finish());
        const again = order.slice(at + 1).some((j) => inputKey(j.planned.site) === key);
        if (again) finished.set(key, Promise.resolve(m));
        else finished.delete(key);
        const weight = latest.of(job.weight);
        const decision = decide({ ...job, weight }, m, s);
        const stored = decision.then(async (d) => {
          options.signal?.throwIfAborted();
          const tensors = await kept.keep(nameOf(job), tensorsOf(weight, d), d.note);
          options.signal?.throwIfAborted();
          open.delete(stored);
          done(job, { tensors, note: d.note });
        });
        // whoever waits for it learns of an error
        stored.catch(() => {});
        open.add(stored);
        if (m.rows < job.weight.reduce) narrow.push({ job, rows: m.rows });
        if (!small) await decision;
        if (order[at + 1]?.weight === job.weight) await stored;
        else if (open.size > 1) await Promise.race(open);
      }
      await Promise.all(open);
    } finally {
      // after an error nothing goes on that would write while what was stored is removed
      await Promise.allSettled(open);
    }
  }
  for (const [job, note] of [...notes].sort(([a], [b]) => jobs.indexOf(a) - jobs.indexOf(b)))
    run.note(`solve ${job.solver.name}`, note, job.planned.site.id);
  warnOfFewRows(narrow, run);
  return { ...simulated, weights: simulated.weights.map((w) => latest.of(w)) };
}

function once<T>(make: () => T): () => T {
  let made: { readonly value: T } | undefined;
  return () => {
    made ??= { value: make() };
    return made.value;
  };
}

/** Equal keys give equal integers on one machine. */
async function keyOf(s: Solving, batches: readonly Batch[]): Promise<string> {
  const feeds = batches.flatMap((b) => Object.entries(b.feeds));
  const data = await Promise.all(feeds.map(async ([name, v]) => `${name} ${v.dtype} ${v.shape.join('x')} ${await sha256(v.bytes)}`));
  const text = JSON.stringify([VERSION, await s.ingredients(), s.plan.binding, data]);
  return sha256(new TextEncoder().encode(text));
}

/** What enters a block; behind the last one, what left it. */
export function frontOf({ source }: Solving, block: number | undefined, last: number | undefined): readonly string[] | undefined {
  const { blocks } = source.sites;
  const values = block === undefined ? blocks.find((b) => b.index === last)?.outputs : blocks.find((b) => b.index === block)?.inputs;
  const constant = new Set(source.model.graph.initializers.keys());
  return values?.filter((v) => !constant.has(v));
}

export async function sourceOf({ plan, source, options }: Solving) {
  const by = plan.solves[0]!.by;
  if (!plan.calibration)
    return failAt(
      'calibration-missing',
      `\`${plan.solves[0]!.solver.name}\` solves on calibration data, and the recipe names none.`,
      by.span,
      'Add `calibrate data("calib")` to the recipe and give --data calib=DIR.',
    );
  const { source: ref, fields } = plan.calibration;
  return adapted(await openSource(ref, fields, plan.calibration.by, source.dir, options), source);
}

function warnOfFewRows(narrow: readonly { job: Job; rows: number }[], run: Run): void {
  const worst = [...narrow].sort((a, b) => a.rows / a.job.weight.reduce - b.rows / b.job.weight.reduce || a.job.at - b.job.at)[0];
  if (!worst) return;
  const others = narrow.length > 1 ? ` (and ${narrow.length - 1} more)` : '';
  run.warnings.push({
    code: 'few-rows',
    message: `${worst.job.planned.site.path}${others} has ${worst.job.weight.reduce} inputs and only ${worst.rows} rows of calibration data: its Hessian knows less than its weight.`,
    hint: 'Calibrate on more samples.',
  });
}
