/** From a scale law to the statistic that it needs, and from the statistic to the range that is quantized. */
import { fail } from '../../grammar/diagnostics.ts';
import type { CodeFormat, Crunch } from '../crunch.ts';
import type { Law } from '../define.ts';
import { laws } from '../laws/index.ts';
import type { Ref, Schema } from '../schema.ts';
import type { Statistics } from './statistics.ts';

const ranged = new Set(['minmax', 'absmax_signed']);
const clipped = new Set(['percentile', 'entropy', 'mse']);

/** What must be observed of a static activation for its scale law. Error: law-activation (a law for weights only). */
export function observerFor(law: Ref): Ref {
  if (ranged.has(law.name)) return { name: 'minmax', args: {} };
  if (clipped.has(law.name)) return { name: 'histogram', args: {} };
  return fail(
    'law-activation',
    `the scale law ${law.name} is for weights, not for static activations`,
    `use one of ${[...ranged, ...clipped].join(', ')}`,
  );
}

/** The range [lo, hi] of a static activation, one scale for the tensor, under its law and format. */
export async function rangeOf(
  statistics: Statistics,
  value: string,
  law: Ref,
  format: CodeFormat,
  symmetric: boolean,
  crunch: Crunch,
): Promise<{ lo: number; hi: number }> {
  const arrays = statistics.get(value, observerFor(law));
  if (ranged.has(law.name)) return { lo: arrays['min']![0]!, hi: arrays['max']![0]! };
  const definition = laws.find((l: Law<Schema>) => l.name === law.name) as Law<Schema>;
  const args = Object.fromEntries(Object.entries(definition.params).map(([key, param]) => [key, law.args[key] ?? param.default]));
  const { range, counts } = arrays;
  return crunch.clip(Float64Array.from(counts!), range![0]!, range![1]!, format, symmetric, definition.crunch(args));
}
