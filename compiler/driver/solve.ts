import type { Batch } from '../calibrate/index.ts';
import type { Crunch } from '../crunch.ts';
import type { Model } from '../graph/types.ts';
import { failAt } from '../plan/bind.ts';
import type { Planned } from '../plan/plan.ts';
import { simulate } from '../simulate/simulate.ts';
import type { EncodedWeight, Simulated } from '../simulated.ts';
import { adapted, openSource } from './data.ts';
import { decide, tensorsOf } from './decide.ts';
import { sha256 } from './hash.ts';
import { inputKey, momentsOf } from './inputs.ts';
import { type Job, jobsOf, nameOf, placesOf, stagesOf, Work } from './jobs.ts';
import { type Entry, Kept } from './kept.ts';
import { VERSION } from './metadata.ts';
import type { Source } from './model.ts';
import type { Moments } from './moments.ts';
import type { Run } from './run.ts';
import { Shelf } from './shelf.ts';
import { gathered, Stream } from './stream.ts';
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
  const stream = new Stream(options.host, source.dir, batches);
  const float = wants.some((w) => w.float) && sequential ? new Stream(options.host, source.dir, batches) : undefined;
  const kept = await Kept.open(options.host, options.output, await keyOf(s, batches), options.resume ?? false);
  run.atEnd.push(() => kept.remove());
  const shelf = new Shelf(options.host, async () => kept.dir);
  const work = new Work(jobs);
  const solved = new Map<EncodedWeight, EncodedWeight>();
  const narrow: { job: Job; rows: number }[] = [];
  let block: number | undefined;

  /** The model whose layers before a place are quantized, and the inputs of those that want their own so. */
  const modelUpTo = (at: number, own: ReadonlySet<string>): Model =>
    sequential
      ? simulate({
          ...simulated,
          weights: simulated.weights.filter((w) => place(w.site) < at).map((w) => solved.get(w) ?? w),
          values: simulated.values.filter((v) => place(v.site) < at || (v.port === 'input' && own.has(v.site.id))),
        })
      : source.model;

  const done = (job: Job, { tensors, note }: Entry) => {
    const now = solved.get(job.weight) ?? job.weight;
    const found = tensors['weight'];
    if (found) solved.set(job.weight, { ...now, source: found, reweighted: true });
    else solved.set(job.weight, { ...now, solved: tensors as NonNullable<EncodedWeight['solved']> });
    run.note(`solve ${job.solver.name}`, note, job.planned.site.id);
    run.onEvent({ phase: 'solve', done: work.done(job), total: work.total });
  };

  for (const stage of stagesOf(
    jobs,
    wants.some((w) => w.inputs === 'layer'),
  )) {
    const front = stage.block === block ? undefined : frontOf(s, stage.block, block);
    block = stage.block;
    const known = stage.jobs.every((j) => kept.get(nameOf(j)));
    if (!known || front) {
      const sites = stage.jobs.map((j) => j.planned.site);
      const own = stage.jobs.some((j) => j.solver.wants(j.planned.solver.args as never).own);
      const on = { model: modelUpTo(stage.from, new Set(own ? sites.map((x) => x.id) : [])), stream, own };
      // Where all is known the pass runs only to bring the front to the next block, with the same values as the first time.
      const moments = await momentsOf(sites, on, float && { model: source.model, stream: float }, crunch, shelf, front, known);
      const finished = new Map<string, Promise<Moments>>();
      let writing: Promise<void> = Promise.resolve();
      for (const [i, job] of stage.jobs.entries()) {
        options.signal?.throwIfAborted();
        const before = kept.get(nameOf(job));
        if (before) {
          done(job, before);
          continue;
        }
        const key = inputKey(job.planned.site);
        const m = await (finished.get(key) ?? moments.get(key)!.finish());
        const again = stage.jobs.slice(i + 1).some((j) => inputKey(j.planned.site) === key);
        if (again) finished.set(key, Promise.resolve(m));
        else finished.delete(key);
        const weight = solved.get(job.weight) ?? job.weight;
        const decision = await decide({ ...job, weight }, m, s);
        const found = tensorsOf(weight, decision);
        await writing;
        options.signal?.throwIfAborted();
        // the next layer is solved while this one is written, unless it is the same weight
        writing = kept.keep(nameOf(job), found, decision.note).then((tensors) => done(job, { tensors, note: decision.note }));
        // whoever waits for it learns of an error
        writing.catch(() => {});
        if (stage.jobs[i + 1]?.weight === job.weight) await writing;
        if (m.rows < job.weight.reduce) narrow.push({ job, rows: m.rows });
      }
      await writing;
    } else for (const job of stage.jobs) done(job, kept.get(nameOf(job))!);
  }
  warnOfFewRows(narrow, run);
  return { ...simulated, weights: simulated.weights.map((w) => solved.get(w) ?? w) };
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
  const worst = [...narrow].sort((a, b) => a.rows / a.job.weight.reduce - b.rows / b.job.weight.reduce)[0];
  if (!worst) return;
  const others = narrow.length > 1 ? ` (and ${narrow.length - 1} more)` : '';
  run.warnings.push({
    code: 'few-rows',
    message: `${worst.job.planned.site.path}${others} has ${worst.job.weight.reduce} inputs and only ${worst.rows} rows of calibration data: its Hessian knows less than its weight.`,
    hint: 'Calibrate on more samples.',
  });
}
