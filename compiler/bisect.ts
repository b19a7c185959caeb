/** `bisect`: what of a recipe hurts a metric most. Statements are left out one by one, ports by halving; nothing is written. */
import { QcError } from '../grammar/diagnostics.ts';
import { bench } from './driver/bench.ts';
import { firstBatches, judgingSource } from './driver/data.ts';
import { encode } from './driver/encode.ts';
import { saidOf } from './driver/explanation.ts';
import { dearest } from './driver/halves.ts';
import { openModel, type Source } from './driver/model.ts';
import { planner } from './driver/planner.ts';
import { readRecipe } from './driver/recipe.ts';
import { chooseRestarts, type Restarts, withRestarts } from './driver/restarts.ts';
import { Run } from './driver/run.ts';
import { searchAll } from './driver/search.ts';
import { solve } from './driver/solve.ts';
import { staging } from './driver/stage.ts';
import { trialPlans } from './driver/trials.ts';
import type { CompileOptions } from './driver/types.ts';
import { type Yardstick, yardstick } from './driver/yardstick.ts';
import type { Planned } from './plan/plan.ts';
import type { Decider } from './plan/types.ts';
import type { Binding, Recipe, Statement } from './recipe.ts';
import { simulate } from './simulate/simulate.ts';
import type { Simulated } from './simulated.ts';

export interface BisectOptions extends Omit<CompileOptions, 'output' | 'force' | 'resume' | 'io' | 'external' | 'dumps' | 'histograms'> {
  /** A metric by name; default kl for logits, else sqnr. */
  readonly metric?: string;
  /** The output that is measured. */
  readonly of?: string;
  /** Batches of data that it is measured on; default 4. */
  readonly batches?: number;
  /** Ports that are looked for; default 8. */
  readonly top?: number;
}

export interface SuspectStatement {
  readonly text: string;
  readonly at: string;
  /** The metric without the statement; absent where the rest does not stand alone. */
  readonly value?: number;
  /** What the statement costs, in the metric's unit: below zero it helps. */
  readonly costs?: number;
  /** Why the rest does not stand alone. */
  readonly needed?: string;
}
export interface SuspectPort {
  readonly site: string;
  readonly port: string;
  readonly type: string;
  readonly at: string;
  /** The metric with this port in float and everything else as it is. */
  readonly value: number;
  readonly costs: number;
}
export interface Bisection {
  readonly metric: string;
  readonly output: string;
  readonly unit: string;
  readonly batches: number;
  /** With everything that the recipe says. */
  readonly value: number;
  /** Dearest first. */
  readonly statements: readonly SuspectStatement[];
  readonly ports: readonly SuspectPort[];
  /** Ports that are quantized in all. */
  readonly quantized: number;
  readonly trials: number;
}

interface Built {
  readonly simulated: Simulated;
  readonly source: Source;
  readonly plan: Planned;
  readonly restarts: Restarts;
}
interface Part {
  readonly site: string;
  readonly port: string;
  readonly type: string;
  readonly by: Decider;
}

const VERBS = new Set(['transform', 'quantize', 'solve']);

/** Errors: those of a compile, and `unknown-name`, `compare-output` for what is measured. */
export async function bisect(options: BisectOptions): Promise<Bisection> {
  const { host } = options;
  const inner: CompileOptions = { ...options, output: `${await host.scratch()}/bisect.onnx`, force: true };
  const run = new Run(inner);
  const { recipe } = await run.phase('check', () => readRecipe(inner));
  const source = await run.phase('load', () => openModel(host, inner.model));
  try {
    const whole = await run.phase('solve', () => build(recipe, source, inner, run, options.replay));
    const data = firstBatches(await judgingSource(whole.plan, source.dir, inner, undefined), options.batches ?? 4);
    const { metric, of } = options;
    const stick = await yardstick(host, source, data, { ...(metric ? { metric } : {}), ...(of ? { output: of } : {}) });
    let trials = 0;
    const counted = async (b: Built, left?: ReadonlySet<string>) => {
      options.signal?.throwIfAborted();
      run.onEvent({ phase: 'bisect', done: ++trials });
      return stick.measure(simulate(left ? apart(b.simulated, left) : b.simulated), b.source.adapt);
    };
    const value = await counted(whole);
    const ports = await portsOf(whole, value, options.top ?? 8, stick, counted);
    const statements: SuspectStatement[] = [];
    for (const by of decidersOf(whole.plan))
      statements.push(
        await left(by, value, stick, async () =>
          counted(await build(recipe, source, inner, run, whole.plan.binding, whole.restarts, by.statement)),
        ),
      );
    const last = (s: SuspectStatement) => s.costs ?? Number.NEGATIVE_INFINITY;
    return {
      metric: stick.metric.name,
      output: stick.output,
      unit: stick.metric.unit ?? '',
      batches: stick.batches,
      value,
      statements: statements.toSorted((a, b) => last(b) - last(a)),
      ports,
      quantized: partsOf(whole.plan).length,
      trials,
    };
  } finally {
    for (const end of run.atEnd) await end();
    await source.close();
  }
}

/** The pipeline up to the simulated level, without one statement. */
async function build(
  recipe: Recipe,
  source: Source,
  options: CompileOptions,
  run: Run,
  binding: Binding | undefined,
  taken?: Restarts,
  without?: Statement,
): Promise<Built> {
  const gone = without ? new Set([without]) : undefined;
  const planOn = (on: Source, b: Binding) => planner(recipe, on, options, gone)(b);
  const planAt = (b: Binding) => planOn(source, b);
  const first = planAt(binding ?? {});
  const stage = staging(source, planOn, trialPlans(first, planAt), options, run);
  await stage.open(first);
  const trying = bench(source, planAt, stage, options, run);
  const chosen = planAt(binding ?? (await searchAll(first.nested, first.binding, trying)));
  const restarts = taken ?? (await chooseRestarts(chosen, source.model, trying.bench, run));
  const { plan, source: rewritten, calibrated } = await stage.of(withRestarts(chosen, restarts));
  const { crunch } = options.host;
  const simulated = await solve({
    plan,
    source: rewritten,
    simulated: await encode(plan, rewritten.model, calibrated?.statistics, crunch),
    crunch,
    ingredients: async () => ({ bisect: saidOfStatement(without) }),
    options,
    run,
  });
  return { simulated, source: rewritten, plan, restarts };
}
const saidOfStatement = (s: Statement | undefined): unknown => s?.span ?? null;

const keyOf = (p: { readonly site: { readonly id: string }; readonly port: string }): string => `${p.site.id}\n${p.port}`;
/** The model with some ports left in float. */
const apart = (s: Simulated, left: ReadonlySet<string>): Simulated => ({
  ...s,
  weights: s.weights.filter((w) => !left.has(keyOf(w))),
  values: s.values.filter((v) => !left.has(keyOf(v))),
});

const partsOf = (plan: Planned): (Part & { readonly key: string })[] =>
  plan.slots.flatMap((s) =>
    s.what === 'type' && s.type ? [{ key: keyOf(s), site: s.site.path, port: s.port, type: s.type.text, by: s.by }] : [],
  );

async function portsOf(
  whole: Built,
  value: number,
  top: number,
  stick: Yardstick,
  measure: (b: Built, left: ReadonlySet<string>) => Promise<number>,
): Promise<SuspectPort[]> {
  const without = (group: readonly { key: string }[]) => measure(whole, new Set(group.map((p) => p.key)));
  const values = new Map<string, number>();
  const found = await dearest(partsOf(whole.plan), top, async (group) => {
    const v = await without(group);
    if (group.length === 1) values.set(group[0]!.key, v);
    return stick.worse(value, v);
  });
  return found.map(({ part, cost }) => ({
    site: part.site,
    port: part.port,
    type: part.type,
    at: saidOf(part.by).at,
    value: values.get(part.key)!,
    costs: cost,
  }));
}

/** Statements that change numbers, in the order of the plan. */
function decidersOf(plan: Planned): Decider[] {
  const all = [...plan.transforms, ...plan.slots, ...plan.solves].map((x) => x.by).filter((by) => VERBS.has(by.statement.verb));
  return [...new Map(all.map((by) => [by.statement, by])).values()];
}

async function left(by: Decider, value: number, stick: Yardstick, measure: () => Promise<number>): Promise<SuspectStatement> {
  const said = saidOf(by);
  try {
    const without = await measure();
    return { text: said.text, at: said.at, value: without, costs: stick.worse(value, without) };
  } catch (e) {
    if (!(e instanceof QcError)) throw e;
    return { text: said.text, at: said.at, needed: e.diagnostics[0]!.message };
  }
}
