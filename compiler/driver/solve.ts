/** Solvers at work: block by block, each on inputs that went through what was solved before it. */
import { fail, QcError } from '../../grammar/diagnostics.ts';
import type { Batch } from '../calibrate/index.ts';
import type { Crunch } from '../crunch.ts';
import type { Decision, Reweighted, Solver } from '../define.ts';
import { fromFloat32 } from '../graph/numeric.ts';
import type { DType, Model, Tensor } from '../graph/types.ts';
import { failAt } from '../plan/bind.ts';
import type { Planned } from '../plan/plan.ts';
import type { PlannedSolve } from '../plan/types.ts';
import { matrixOf, outerOf, scaleTypeOf } from '../simulate/encode.ts';
import { simulate } from '../simulate/simulate.ts';
import type { EncodedWeight, Simulated } from '../simulated.ts';
import type { Site } from '../sites.ts';
import { solvers } from '../solvers/index.ts';
import { adapted, openSource } from './data.ts';
import { sha256 } from './hash.ts';
import { channelOf, inputKey, momentsOf } from './inputs.ts';
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

export interface Job {
  readonly planned: PlannedSolve;
  readonly solver: Solver;
  readonly weight: EncodedWeight;
  /** Index of the site's last node in the graph. */
  readonly at: number;
}

/** Layers that are solved on the same pass. `from`: where they begin in the graph. */
export interface Stage {
  readonly jobs: readonly Job[];
  readonly block: number | undefined;
  readonly from: number;
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

  /** The model whose layers before a place are quantized. */
  const modelUpTo = (at: number): Model =>
    sequential
      ? simulate({
          ...simulated,
          weights: simulated.weights.filter((w) => place(w.site) < at).map((w) => solved.get(w) ?? w),
          values: simulated.values.filter((v) => place(v.site) < at),
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
      const on = { model: modelUpTo(stage.from), stream };
      const sites = stage.jobs.map((j) => j.planned.site);
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
        const found = 'weight' in decision ? { weight: reweighted(weight, decision) } : tensorsOf(weight, decision);
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

/** How much of the work is done: factors cost n³, the sweep out·n². */
class Work {
  readonly total: number;
  #done = 0;

  constructor(jobs: readonly Job[]) {
    this.total = jobs.reduce((sum, j) => sum + Work.#of(j), 0);
  }

  done(job: Job): number {
    this.#done += Work.#of(job);
    return this.#done;
  }

  static #of({ weight: { out, reduce } }: Job): number {
    return reduce * reduce * (out + reduce);
  }
}

/** Where a layer is kept: one solver finds its weights, another their codes. */
const nameOf = ({ planned }: Job): string => (planned.decides === 'codes' ? planned.site.id : `${planned.site.id}#${planned.decides}`);

/** Weights in the place, order and type of those that they replace. */
function reweighted({ source, out, reduce, order }: EncodedWeight, { weight }: Reweighted): Tensor {
  const x =
    order === 'or' ? weight : Float32Array.from({ length: weight.length }, (_, i) => weight[(i % out) * reduce + Math.floor(i / out)]!);
  return { dtype: source.dtype, shape: source.shape, source: { kind: 'bytes', bytes: fromFloat32(source.dtype as 'float32', x) } };
}

/** Equal keys give equal integers on one machine. */
async function keyOf(s: Solving, batches: readonly Batch[]): Promise<string> {
  const feeds = batches.flatMap((b) => Object.entries(b.feeds));
  const data = await Promise.all(feeds.map(async ([name, v]) => `${name} ${v.dtype} ${v.shape.join('x')} ${await sha256(v.bytes)}`));
  const text = JSON.stringify([VERSION, await s.ingredients(), s.plan.binding, data]);
  return sha256(new TextEncoder().encode(text));
}

export function placesOf(model: Model): (site: Site) => number {
  const index = new Map(model.graph.nodes.flatMap((n, i) => n.outputs.map((o) => [o, i] as const)));
  return (site) => Math.max(...site.nodes.flatMap((n) => n.outputs.map((o) => index.get(o) ?? -1)));
}

function jobsOf(plan: Planned, simulated: Simulated, place: (s: Site) => number): Job[] {
  const jobs = plan.solves
    .filter((p) => p.decides !== 'correction')
    .map((planned): Job => {
      const solver = solvers.find((x) => x.name === planned.solver.name) as Solver | undefined;
      const weight = simulated.weights.find((w) => w.site.id === planned.site.id && w.port === 'weight');
      if (!solver || !weight) throw new Error(`${planned.site.id}: ${planned.solver.name} has nothing to solve`);
      const why =
        solver.covers(weight, planned.solver.args as never) ??
        (planned.site.ports['input'] ? undefined : 'its input is no value of the graph');
      if (why)
        failAt(
          'solve-refused',
          `\`${solver.name}\` cannot solve ${planned.site.path}: ${why}.`,
          planned.by.span,
          'Leave it out of the selection, or change its type.',
        );
      return { planned, solver, weight, at: place(planned.site) };
    });
  return jobs.sort((a, b) => a.at - b.at);
}

/** Runs of one block in the order of the graph; with `single`, cut again at each value that layers read. */
export function stagesOf(jobs: readonly Job[], single: boolean): Stage[] {
  const runs: Job[][] = [];
  const input = (j: Job) => j.planned.site.ports['input']!.value;
  for (const job of jobs) {
    const last = runs.at(-1);
    const mate = last?.[0];
    if (last && mate && mate.planned.site.block === job.planned.site.block && (!single || input(mate) === input(job))) last.push(job);
    else runs.push([job]);
  }
  return runs.map((jobs) => ({ jobs, block: jobs[0]!.planned.site.block, from: jobs[0]!.at }));
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

async function decide(job: Job, m: Moments, { source, crunch }: Solving): Promise<Decision | Reweighted> {
  const { weight, solver, planned } = job;
  const n = Math.sqrt(m.hessian.length);
  if (n !== weight.reduce)
    fail(
      'solve-shape',
      `${planned.site.path}: its input has ${n} channels on axis ${channelOf(planned.site)}, its weight ${weight.reduce}`,
    );
  const layer = { weight, matrix: await matrixOf(weight, source.reader), hessian: m.hessian, rows: m.rows, crunch };
  if (solver.decides === 'correction') throw new Error(`${solver.name} decides no weights`);
  try {
    return await solver.solve(m.cross ? { ...layer, cross: m.cross } : layer, planned.solver.args as never);
  } catch (e) {
    if (!(e instanceof QcError)) throw e;
    const [d] = e.diagnostics;
    return failAt(d!.code, `${planned.site.path}: ${d!.message}`, planned.by.span, d!.hint);
  }
}

function tensorsOf(w: EncodedWeight, d: Decision): NonNullable<EncodedWeight['solved']> {
  const groups = w.type.grain.per === 'group' ? Math.ceil(w.reduce / w.type.grain.group) : 0;
  const tensor = (dtype: DType, shape: readonly number[], bytes: Uint8Array): Tensor => ({
    dtype,
    shape,
    source: { kind: 'bytes', bytes },
  });
  const table = groups ? [w.out, groups] : [w.out];
  return {
    codes: tensor('uint8', [w.out, w.reduce], d.codes),
    scales: tensor(scaleTypeOf(w) as DType, table, d.scales),
    ...(d.outer ? { outer: tensor(outerOf(w).outer!.type, [w.out], d.outer) } : {}),
    ...(d.zeros ? { zeros: tensor('uint8', table, d.zeros) } : {}),
  };
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
