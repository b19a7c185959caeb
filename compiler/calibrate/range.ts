/** From a scale law to the statistic that it needs, and from the statistic to the range that is quantized. */
import { fail } from '../../grammar/diagnostics.ts';
import type { CodeFormat, Crunch } from '../crunch.ts';
import type { Law } from '../define.ts';
import { laws } from '../laws/index.ts';
import type { Ref, Schema } from '../schema.ts';
import type { Arrays, Statistics } from './statistics.ts';

const ranged = new Set(['minmax', 'absmax_signed']);
const clipped = new Set(['grid', 'share', 'percentile', 'entropy', 'mse']);

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

/** How much wider than what was seen the range shall be. */
const marginOf = (law: Ref): number => (typeof law.args['margin'] === 'number' ? law.args['margin'] : 1);

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
  const margin = marginOf(law);
  if (ranged.has(law.name)) return { lo: margin * arrays['min']![0]!, hi: margin * arrays['max']![0]! };
  const definition = laws.find((l: Law<Schema>) => l.name === law.name) as Law<Schema>;
  const args = Object.fromEntries(Object.entries(definition.params).map(([key, param]) => [key, law.args[key] ?? param.default]));
  const [min, max] = [arrays['min']![0]!, arrays['max']![0]!];
  const seen = trimmed(arrays, min, max);
  const clip = await crunch.clip(seen.counts, seen.lo, seen.hi, format, symmetric, definition.crunch(args));
  const [lowest, highest] = symmetric ? [-Math.max(-min, max), Math.max(-min, max)] : [min, max];
  return { lo: Math.max(clip.lo, lowest), hi: Math.min(clip.hi, highest) };
}

/** The bins that cover [min, max]: a range that grew by doubling has empty ends. */
function trimmed(arrays: Arrays, min: number, max: number): { counts: Float64Array; lo: number; hi: number } {
  const counts = arrays['counts']!;
  const [lo, hi] = [arrays['range']![0]!, arrays['range']![1]!];
  const width = (hi - lo) / counts.length;
  const first = Math.max(0, Math.floor((min - lo) / width));
  const last = Math.min(counts.length, Math.max(first + 1, Math.ceil((max - lo) / width)));
  return { counts: Float64Array.from(counts.slice(first, last)), lo: lo + first * width, hi: lo + last * width };
}

/** The range of each position of a static activation whose positions share scales by `groups`. Error: law-activation (only extremes are kept of each). */
export function rangesOf(
  arrays: Arrays,
  law: Ref,
  groups: (min: ArrayLike<number>, max: ArrayLike<number>) => Int32Array,
): { readonly lo: Float64Array; readonly hi: Float64Array } {
  if (law.name !== 'minmax')
    fail(
      'law-activation',
      `the scale law ${law.name} gives one scale a tensor, not several`,
      'use minmax, with a margin where it shall not clip',
    );
  const [min, max, margin] = [arrays['min']!, arrays['max']!, marginOf(law)];
  const group = groups(min, max);
  const count = group.reduce((n, g) => Math.max(n, g + 1), 0);
  const lo = new Float64Array(count).fill(Number.POSITIVE_INFINITY);
  const hi = new Float64Array(count).fill(Number.NEGATIVE_INFINITY);
  for (const [i, g] of group.entries()) {
    lo[g] = Math.min(lo[g]!, margin * min[i]!);
    hi[g] = Math.max(hi[g]!, margin * max[i]!);
  }
  const spread = (x: Float64Array) => Float64Array.from(group, (g) => x[g]!);
  return { lo: spread(lo), hi: spread(hi) };
}
