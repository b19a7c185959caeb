/** One metric of one output against the float model, whose answers are computed once and held. */
import { fail } from '../../grammar/diagnostics.ts';
import type { Source as DataSource } from '../calibrate/index.ts';
import { unpadded } from '../calibrate/padding.ts';
import { tapped } from '../calibrate/tap.ts';
import { floats } from '../calibrate/values.ts';
import type { Metric } from '../define.ts';
import type { Model } from '../graph/types.ts';
import type { Host, Value } from '../host.ts';
import { metrics } from '../metrics/index.ts';
import type { Source } from './model.ts';

export interface Yardstick {
  readonly metric: Metric;
  readonly output: string;
  readonly batches: number;
  measure(model: Model, adapt?: Source['adapt']): Promise<number>;
  /** How much worse `a` is than `b`, in the metric's unit. */
  worse(a: number, b: number): number;
}

/**
 * `metric` and `output`: by default kl of an output "logits", else sqnr of the first float output.
 * Errors: `unknown-name`, `compare-output`, `data-empty`.
 */
export async function yardstick(
  host: Host,
  source: Source,
  data: DataSource,
  asked: { readonly metric?: string; readonly output?: string },
): Promise<Yardstick> {
  const outputs = source.model.graph.outputs.filter((o) => o.dtype === undefined || o.dtype.includes('float')).map((o) => o.name);
  const output = asked.output ?? (outputs.includes('logits') ? 'logits' : outputs[0]);
  if (output === undefined || !outputs.includes(output))
    return fail('compare-output', `the model has no float output "${output}"`, `its outputs are ${outputs.join(', ')}`);
  const name = asked.metric ?? (output === 'logits' ? 'kl' : 'sqnr');
  const known = metrics as readonly Metric[];
  const metric = known.find((m) => m.name === name);
  if (!metric) return fail('unknown-name', `\`${name}\` is not a metric`, `known: ${known.map((m) => m.name).join(', ')}`);
  const truth: { feeds: Readonly<Record<string, Value>>; wanted: Value }[] = [];
  const given = (names: readonly string[], feeds: Readonly<Record<string, Value>>) => Object.fromEntries(names.map((n) => [n, feeds[n]!]));
  const float = await host.session(tapped(source.model, [output]), source.dir);
  try {
    for await (const { feeds } of data.read(source.model.graph))
      truth.push({ feeds, wanted: (await float.run(given(float.inputs, feeds)))[output]! });
  } finally {
    await float.close();
  }
  if (truth.length === 0) fail('data-empty', `${data.describe} gives no batch`);
  return {
    metric,
    output,
    batches: truth.length,
    async measure(model, adapt) {
      const session = await host.session(tapped(model, [output]), source.dir);
      const acc = metric.start();
      try {
        for (const { feeds, wanted } of truth) {
          const found = (await session.run(given(session.inputs, adapt?.({ ...feeds }) ?? feeds)))[output]!;
          const [a, b] = [wanted, found].map((v) => unpadded(floats(v), v.shape, feeds['attention_mask']));
          metric.fold(acc, a!, b!, wanted.shape.at(-1) ?? 1);
        }
        return metric.finish(acc);
      } finally {
        await session.close();
      }
    },
    worse: (a, b) => (metric.better === 'smaller' ? a - b : b - a),
  };
}
