/** Restarts of learnt transforms: of the models that each start leads to, rounded to nearest, the one that `select` finds best. */
import type { Model } from '../graph/types.ts';
import { failAt, type Val } from '../plan/bind.ts';
import type { Planned } from '../plan/plan.ts';
import type { PlannedTransform } from '../plan/types.ts';
import type { Statement } from '../recipe.ts';
import type { Ref } from '../schema.ts';
import { outputName } from './measured.ts';
import { metricNamed, objectiveOf } from './metrics.ts';
import type { Run } from './run.ts';
import type { Bench } from './score.ts';

/** Which restart each statement took. */
export type Restarts = ReadonlyMap<Statement, number>;

/** Is `select` measured on the model? What is measured on rows a transform decides by itself. */
function selectionOf({ args }: PlannedTransform): Ref | undefined {
  const select = args['select'] as Ref | undefined;
  return select && !objectiveOf(select.name)?.rows ? select : undefined;
}

/** The restart of each such transform, one after the other. Errors: `metric-where`, `dead-selection`, `data-unbound`. */
export async function chooseRestarts(plan: Planned, model: Model, bench: Pick<Bench, 'compare'>, run: Run): Promise<Restarts> {
  const chosen = new Map<Statement, number>();
  for (const t of plan.transforms) {
    const select = selectionOf(t);
    if (!select) continue;
    const metric = metricNamed(select);
    if (!metric) return failAt('metric-where', `\`${select.name}\` cannot choose among restarts.`, t.by.span, 'Write kl_top(1000) or kl.');
    const output = outputOf(select, model, t);
    const values: number[] = [];
    for (let restart = 0; restart < Number(t.args['restarts']); restart++) {
      const tried = withRestarts(plan, new Map([...chosen, [t.by.statement, restart]]));
      const { outputs } = await bench.compare(tried, { outputs: [output], metrics: [metric] });
      values.push(outputs.get(output)?.[metric.name] ?? Number.NaN);
    }
    const sign = metric.better === 'smaller' ? 1 : -1;
    const best = values.reduce((b, v, i) => (sign * v < sign * values[b]! || Number.isNaN(values[b]!) ? i : b), 0);
    chosen.set(t.by.statement, best);
    run.note(
      `transform ${t.kind}`,
      `restart ${best} of ${values.length}: ${metric.name} ${values.map((v) => v.toPrecision(4)).join(', ')}`,
    );
  }
  return chosen;
}

export const withRestarts = (plan: Planned, restarts: Restarts): Planned =>
  restarts.size === 0
    ? plan
    : {
        ...plan,
        transforms: plan.transforms.map((t) => {
          const restart = restarts.get(t.by.statement);
          return restart === undefined ? t : { ...t, restart };
        }),
      };

function outputOf(select: Ref, model: Model, t: PlannedTransform): string {
  const floats = model.graph.outputs.filter((o) => o.dtype?.includes('float') ?? true).map((o) => o.name);
  const of = select.args['of'] as Val | undefined;
  const asked = of?.kind === 'selection' ? outputName(of.selection) : undefined;
  const output = asked ?? (floats.includes('logits') ? 'logits' : floats[0]);
  if (output === undefined || !floats.includes(output))
    return failAt('dead-selection', `The model has no output "${asked}".`, t.by.span, `Its outputs are ${floats.join(', ')}.`);
  return output;
}
