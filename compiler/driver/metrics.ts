/** Which metric a call in a recipe means: of the catalogue, or made for the arguments of an objective. */
import type { Metric, Objective } from '../define.ts';
import { metrics } from '../metrics/index.ts';
import { objectives } from '../objectives/index.ts';
import { type Call, dataOf, evaluate, type Scope } from '../plan/bind.ts';
import { withDefaults } from '../plan/resolve.ts';
import type { Ref, Schema } from '../schema.ts';

const catalogue = metrics as readonly Metric[];
const aims = objectives as unknown as readonly Objective[];

export const objectiveOf = (name: string): Objective | undefined => aims.find((o) => o.name === name);

/** A call's arguments for the objective's own parameters, `of` aside. */
export function argumentsOf({ params }: Objective<Schema>, call: Call, scope: Scope): Record<string, unknown> {
  const given = Object.keys(params).filter((k) => k !== 'of' && call.args[k]);
  return withDefaults(params, Object.fromEntries(given.map((k) => [k, dataOf(evaluate(call.args[k]!, scope))])));
}

/** The metric of an objective under arguments; undefined: it is none of outputs. Its name holds the arguments. */
export const metricUnder = ({ metric }: Objective, args: Readonly<Record<string, unknown>>): Metric | undefined =>
  typeof metric === 'function' ? metric(args as never) : catalogue.find((m) => m.name === metric);

/** The scope that a call is measured in: one that it names, or its objective's own. */
export function scopeOf(call: Call, scope: Scope): string | undefined {
  const of = call.args['of'] ? evaluate(call.args['of'], scope) : undefined;
  if (of === undefined) return objectiveOf(call.name)?.scope;
  return of.kind === 'ref' ? of.name : of.kind === 'string' ? of.value : undefined;
}

/** The metric that a call means, if it is measured on outputs. */
export function metricOf(call: Call, scope: Scope): Metric | undefined {
  const o = objectiveOf(call.name);
  return o ? metricUnder(o, argumentsOf(o, call, scope)) : catalogue.find((m) => m.name === call.name);
}

/** The metric of an objective that is named in an argument: `select: kl_top(1000)`. */
export function metricNamed({ name, args }: Ref): Metric | undefined {
  const o = objectiveOf(name);
  return o && !o.scope ? metricUnder(o, withDefaults(o.params, args)) : undefined;
}
