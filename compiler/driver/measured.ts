/** What conditions can ask of a plan and of measurements: `size`, `mean_bits(…)`, `sqnr(output("logits"))`. */

import type { Comparison } from '../evaluate/index.ts';
import type { Model } from '../graph/types.ts';
import type { Speedup } from '../host.ts';
import { type Call, evaluate, failAt, type Scope, truth, type Val } from '../plan/bind.ts';
import type { Planned } from '../plan/plan.ts';
import { select } from '../plan/select.ts';
import { coverage, meanBits, type Sizes } from '../plan/size.ts';
import type { Expr, Selection } from '../recipe.ts';
import type { Unit } from '../schema.ts';
import type { Site } from '../sites.ts';
import { metricOf, scopeOf } from './metrics.ts';
import { speedupOf } from './speed.ts';

export interface Known {
  readonly plan: Planned;
  readonly model: Model;
  readonly sizes: Sizes;
  /** Bytes that were written; computed ones before that. */
  readonly written?: number;
  readonly comparison?: Comparison;
  /** Beside the float model, where a condition asks. */
  readonly speed?: readonly Speedup[];
}

const num = (value: number, unit?: Unit): Val => ({ kind: 'number', value, ...(unit ? { unit } : {}) });

/** Names of the graph outputs that a metric's argument means: one by name; else the model's first float output. */
export function outputsOf(call: Call, scope: Scope, model: Model): string[] {
  const of = call.args['of'] ? evaluate(call.args['of'], scope) : undefined;
  if (of?.kind === 'selection') {
    const name = outputName(of.selection);
    if (name === undefined)
      failAt('metric-where', `\`${call.name}\` is measured on outputs of the model here.`, call.span, `Write ${call.name}(output("…")).`);
    const real = model.graph.outputs.map((o) => o.name);
    if (!real.includes(name))
      failAt('dead-selection', `The model has no output "${name}".`, call.span, `Its outputs are ${real.join(', ')}.`);
    return [name];
  }
  return model.graph.outputs
    .filter((o) => o.dtype?.includes('float') ?? true)
    .map((o) => o.name)
    .slice(0, 1);
}

export const outputName = (s: Selection): string | undefined =>
  s.kind === 'output' ? s.name : s.kind === 'named' ? outputName(s.of) : undefined;

/** Is it a number of the model's outputs? */
const whole = (call: Call, scope: Scope): boolean =>
  (call.of === 'metric' || call.of === 'objective') &&
  !['layer', 'block'].includes(scopeOf(call, scope) ?? '') &&
  metricOf(call, scope) !== undefined;

/** Calls of metrics inside a condition, also through `let`. */
export function metricCalls(e: Expr, scope: Scope): Call[] {
  const of = (x: Expr | undefined): Call[] => (x ? metricCalls(x, scope) : []);
  switch (e.kind) {
    case 'call':
      return [...(whole(e, scope) ? [e] : []), ...Object.values(e.args).flatMap(of)];
    case 'op':
      return [...of(e.left), ...of(e.right)];
    case 'not':
    case 'neg':
      return of(e.of);
    case 'var':
      return of(scope.recipe.lets.get(e.name));
    default:
      return [];
  }
}

/** The scope in which a condition is evaluated: measured names have values. */
export function measuring(scope: Scope, known: Known): Scope {
  return { ...scope, whole: known.sizes.before, measured: (call, at) => measure(call, at, known) };
}

function sitesOf(call: Call, scope: Scope, known: Known): readonly Site[] {
  const of = call.args['of'] ? evaluate(call.args['of'], scope) : undefined;
  return of?.kind === 'selection' ? select(of.selection, { model: known.model, sites: known.plan.sites }).sites : known.plan.sites.sites;
}

function measure(call: Call, scope: Scope, known: Known): Val | undefined {
  const { plan, sizes } = known;
  switch (call.name) {
    case 'size':
      if (!call.args['of']) return num(known.written ?? sizes.after, 'B');
      return num(sum(sitesOf(call, scope, known).map((s) => sizes.weights.get(s.id)?.after ?? 0)), 'B');
    case 'mean_bits':
      return num(meanBits(sitesOf(call, scope, known), plan.slots, sizes));
    case 'coverage':
      return num(coverage({ sites: { ...plan.sites, sites: sitesOf(call, scope, known) }, slots: plan.slots }, sizes));
    case 'speedup':
      return known.speed && num(speedupOf(call, kindOf(call, scope), known.speed), 'x');
    case 'fraction':
      return num(fraction(call, scope, known));
  }
  if (!known.comparison || !whole(call, scope)) return undefined;
  const metric = metricOf(call, scope)!;
  const values = outputsOf(call, scope, known.model).map((o) => known.comparison!.outputs.get(o)?.[metric.name] ?? Number.NaN);
  return num(sum(values) / values.length, metric.unit === 'dB' ? 'dB' : undefined);
}

function kindOf(call: Call, scope: Scope): string | undefined {
  const of = call.args['of'] ? evaluate(call.args['of'], scope) : undefined;
  return of?.kind === 'ref' ? of.name : of?.kind === 'string' ? of.value : undefined;
}

/** Share of the weights of the tied groups for which a condition on their variables holds. */
function fraction(call: Call, scope: Scope, known: Known): number {
  const condition = call.args['condition'];
  if (!condition) return 0;
  const units = new Set(Object.keys(known.plan.binding).flatMap((k) => (k.includes('@') ? [k.slice(k.indexOf('@') + 1)] : [])));
  let [some, all] = [0, 0];
  for (const unit of units) {
    const weight = sum(known.plan.sites.sites.filter((s) => s.tied === unit).map((s) => s.size));
    all += weight;
    if (truth(condition, { ...scope, unit, binding: known.plan.binding })) some += weight;
  }
  return all === 0 ? 0 : some / all;
}

const sum = (xs: readonly number[]): number => xs.reduce((a, b) => a + b, 0);
