/** What a trial of a search is worth: its objective (smaller is better) and whether it keeps the budget. */
import type { Crunch } from '../crunch.ts';
import type { Metric, Objective, SiteError, Trial } from '../define.ts';
import type { Comparison } from '../evaluate/index.ts';
import type { Reader } from '../graph/bytes.ts';
import { type Call, describe, evaluate, failAt, numberOf, type Scope, truth, type Val } from '../plan/bind.ts';
import type { Planned } from '../plan/plan.ts';
import { select } from '../plan/select.ts';
import { sizesOf } from '../plan/size.ts';
import type { Expr } from '../recipe.ts';
import { encode } from './encode.ts';
import { siteError } from './errors.ts';
import { layerRows } from './layer-rows.ts';
import { measuring, outputName, outputsOf } from './measured.ts';
import { argumentsOf, metricOf, objectiveOf, scopeOf } from './metrics.ts';
import type { Staged } from './stage.ts';

/** What trials share. */
export interface Bench {
  readonly bytes: number;
  readonly crunch: Crunch;
  readonly reader: Reader;
  /** The model, plan and statistics after a plan's transforms. */
  readonly stage: (plan: Planned) => Promise<Staged>;
  /** Runs a plan's simulated model beside the float one on some outputs; `inner`: beside the float model as transforms left it, on any values. */
  readonly compare: (plan: Planned, on: Compared) => Promise<Comparison>;
  /** Errors of sites by type, remembered between trials. */
  readonly errors: Map<string, Promise<SiteError>>;
  /** What objectives made of rows of sites. */
  readonly rows: Map<string, Promise<number>>;
}
export interface Compared {
  readonly outputs: readonly string[];
  readonly metrics: readonly Metric[];
  readonly inner?: boolean;
}

type Where = 'sites' | 'blocks' | 'outputs';
/** Where an objective is measured: a scope, a selection of sites, or outputs of the model. Error: `planned` for rollouts. */
function whereOf(call: Call, scope: Scope): Where {
  const named = scopeOf(call, scope);
  if (named === 'rollout')
    return failAt('planned', 'Rollouts are not built yet: objectives are measured on layers, blocks and outputs.', call.span);
  if (named === 'block') return 'blocks';
  if (named !== undefined) return named === 'layer' ? 'sites' : 'outputs';
  const of = call.args['of'] ? evaluate(call.args['of'], scope) : undefined;
  if (of === undefined) return objectiveOf(call.name)?.metric === undefined ? 'sites' : 'outputs';
  return of.kind === 'selection' && outputName(of.selection) === undefined ? 'sites' : 'outputs';
}

/** Every objective that an expression calls. */
export function calls(e: Expr, scope: Scope): Call[] {
  if (e.kind === 'call') return objectiveOf(e.name) && (e.of === 'objective' || e.of === 'metric') ? [e] : [];
  if (e.kind === 'op') return [...calls(e.left, scope), ...calls(e.right, scope)];
  if (e.kind === 'neg') return calls(e.of, scope);
  const given = e.kind === 'var' ? scope.recipe.lets.get(e.name) : undefined;
  return given ? calls(given, scope) : [];
}

/** Does scoring need calibration statistics of every site's input? */
export const onLayers = (e: Expr, scope: Scope): boolean => calls(e, scope).some((c) => whereOf(c, scope) === 'sites');

/** Scores a plan. Larger-is-better objectives are turned round, so that smaller is better in every term. */
export async function score(asked: Planned, objective: Expr, budget: Expr | undefined, scope: Scope, bench: Bench): Promise<Trial> {
  const staged = await bench.stage(asked);
  const { plan } = staged;
  const { model } = staged.source;
  const bound: Scope = { ...scope, binding: plan.binding };
  const sizes = sizesOf(plan, model, bench.bytes);
  const wanted = calls(objective, bound);
  const values = new Map<Call, number>();
  const whole = wanted.filter((c) => whereOf(c, bound) === 'outputs');
  for (const c of whole)
    if (!objectiveOf(c.name)?.metric)
      failAt('metric-where', `\`${c.name}\` is measured on layers, not on outputs of the model.`, c.span, `Write ${c.name}(layer).`);
  const outputs = [...new Set(whole.flatMap((c) => outputsOf(c, bound, model)))];
  const asks = new Map(whole.map((c) => [c, metricOf(c, bound)!]));
  const metrics = [...new Map([...asks.values()].map((m) => [m.name, m])).values()];
  const comparison = outputs.length ? await bench.compare(asked, { outputs, metrics }) : undefined;
  for (const call of wanted) {
    const o = objectiveOf(call.name)!;
    const metric = asks.get(call);
    const value = metric
      ? mean(outputsOf(call, bound, model).map((n) => comparison?.outputs.get(n)?.[metric.name] ?? Number.NaN))
      : whereOf(call, bound) === 'blocks'
        ? await overBlocks(call, asked, staged, bound, bench)
        : await overSites(call, o, staged, bound, bench);
    values.set(call, o.better === 'larger' ? -value : value);
  }
  const known = { plan, model, sizes };
  const base = measuring(bound, known);
  const measured: Scope = { ...base, measured: (c, s) => (values.has(c) ? number(values.get(c)!) : base.measured?.(c, s)) };
  const total = evaluate(objective, measured);
  if (total.kind !== 'number') return failAt('not-a-number', `An objective is a number; this is a ${describe(total)}.`, objective.span);
  return { objective: total.value, ...(budget ? limits(budget, base) : { feasible: true }) };
}

const number = (value: number): Val => ({ kind: 'number', value });
const mean = (xs: readonly number[]): number => xs.reduce((a, b) => a + b, 0) / xs.length;

/** Both sides of a budget `cost <= limit`, for methods that trade. */
function limits(budget: Expr, scope: Scope): Pick<Trial, 'feasible' | 'cost' | 'limit'> {
  const feasible = truth(budget, scope);
  if (budget.kind !== 'op' || !['<=', '<', '>=', '>'].includes(budget.op)) return { feasible };
  const share = (side: Expr, other: Expr): number => {
    const [a, b] = [evaluate(side, scope), evaluate(other, scope)];
    const bytes = a.kind === 'number' && a.unit === 'B' && b.kind === 'number' && (b.unit === 'x' || b.unit === '%');
    return bytes && scope.whole ? a.value / scope.whole : numberOf(side, scope);
  };
  const [left, right] = [share(budget.left, budget.right), share(budget.right, budget.left)];
  return budget.op.startsWith('<') ? { feasible, cost: left, limit: right } : { feasible, cost: right, limit: left };
}

/** Σ of the metric over what leaves the blocks with a quantized layer. Error: `metric-where` without any. */
async function overBlocks(call: Call, asked: Planned, staged: Staged, scope: Scope, bench: Bench): Promise<number> {
  const { plan, source } = staged;
  const metric = metricOf(call, scope);
  if (!metric) return failAt('metric-where', `\`${call.name}\` has no meaning on blocks.`, call.span, `Write ${call.name}(layer).`);
  const numbers = new Set(plan.slots.flatMap((s) => (s.what === 'type' && s.type ? [s.site.block] : [])));
  const made = new Set(source.model.graph.nodes.flatMap((n) => n.outputs));
  const blocks = plan.sites.blocks.filter((b) => numbers.has(b.index));
  const outputs = [...new Set(blocks.flatMap((b) => b.outputs))].filter((v) => made.has(v));
  if (outputs.length === 0)
    return failAt('metric-where', 'No quantized layer lies in a block of this model.', call.span, 'Write layers, or mse(output("…")).');
  const { outputs: found } = await bench.compare(asked, { outputs, metrics: [metric], inner: true });
  return outputs.reduce((sum, v) => sum + (found.get(v)?.[metric.name] ?? Number.NaN), 0);
}

/** Σ of the objective over the sites of its argument; float sites have no error and count nothing. */
async function overSites(call: Call, o: Objective, staged: Staged, scope: Scope, bench: Bench): Promise<number> {
  const { plan, key } = staged;
  const { model } = staged.source;
  if (!o.site && !o.rows)
    return failAt('metric-where', `\`${o.name}\` has no meaning on a single layer.`, call.span, `Write ${o.name}(output("…")).`);
  const of = call.args['of'] ? evaluate(call.args['of'], scope) : undefined;
  const ids = of?.kind === 'selection' ? new Set(select(of.selection, { model, sites: plan.sites }).sites.map((s) => s.id)) : undefined;
  const weights = plan.slots.filter((s) => s.port === 'weight' && s.type?.codes && (!ids || ids.has(s.site.id)));
  const sites = new Set(weights.map((s) => s.site.id));
  const inputs = plan.slots.filter((s) => s.port === 'input' && s.type?.codes?.kind === 'int' && sites.has(s.site.id));
  const statistics = staged.calibrated?.statistics;
  const simulated = await encode({ ...plan, slots: [...weights, ...(statistics ? inputs : [])] }, model, statistics, bench.crunch);
  let total = 0;
  for (const w of simulated.weights) {
    if (o.rows) {
      const args = argumentsOf(o, call, scope);
      const at = `${key}\n${w.site.id}\n${o.name}${JSON.stringify(args)}`;
      const rows = o.rows;
      const value = bench.rows.get(at) ?? layerRows(w, statistics, bench, call.span).then((r) => rows(r, args as never));
      bench.rows.set(at, value);
      total += await value;
      continue;
    }
    const input = simulated.values.find((v) => v.site.id === w.site.id && v.port === 'input');
    const at = `${key}\n${w.site.id}\n${w.type.text}\n${input?.type.text ?? ''}`;
    let error = bench.errors.get(at);
    if (!error) {
      error = siteError(w, statistics, bench.reader, input);
      bench.errors.set(at, error);
    }
    total += o.site!(await error);
  }
  return total;
}
