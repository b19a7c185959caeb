/**
 * Quantization step migration: a norm divides by a step for each channel, its readers' weights are multiplied, and the value between is rounded as it is.
 * The channels then have steps of their own, and nothing computes them at run time.
 */
import type { QType } from '../plan/types.ts';
import { topCode } from '../simulate/params.ts';
import type { Job, Need } from './job.ts';
import { refuse } from './refuse.ts';
import { foldScale, type ScaleSet } from './scale.ts';
import { channelMax, setsOf } from './scaling.ts';

const absmax = { name: 'absmax', args: { axis: -1 } };
const rows = { name: 'rows', args: { axis: -1, count: 512 } };

/** What is observed of the values on these edges. */
export const migrationNeeds = (edges: Job['edges']): Need[] =>
  edges.flatMap((e) => {
    const port = e.to.ports['input'];
    return port ? [absmax, rows].map((observer) => ({ value: port.value, observer })) : [];
  });

/** Folds the steps of every edge. `margin`: how much wider than what was seen. Errors: Refusal no-producer, reader-left-out, not-quantized … */
export async function migrateEdges(job: Job, margin: number): Promise<void> {
  const sets = setsOf(job, {});
  const seen = await job.observe(
    sets.flatMap((s) => s.readings.flatMap((r) => [absmax, rows].map((observer) => ({ value: r.site.ports['input']!.value, observer })))),
  );
  for (const set of sets) {
    if (set.producer?.site.role !== 'norm')
      refuse('no-producer', `${set.name}: steps migrate into a norm, not into a ${set.producer?.site.role}`);
    if (set.pinned.some((x) => x)) refuse('reader-left-out', `${set.name}: somebody else reads some of its channels`);
    const type = typeOf(job, set);
    const most = channelMax(set, (value) => seen.get(value, absmax)['absmax']!).map((x) => x * margin);
    const first = set.readings[0]!;
    const sample = seen.get(first.site.ports['input']!.value, rows);
    const ratio = clips(type, most, first.channels, sample['rows']! as Float32Array);
    const steps = usable(most.map((a, c) => (a * ratio[c]!) / topCode(type)));
    foldScale(job.rewriter, set, steps);
    const clipped = ratio.filter((r) => r < 1).length;
    job.applied({
      name: set.name,
      detail: `${set.channels} steps ${Math.min(...steps).toPrecision(3)} to ${Math.max(...steps).toPrecision(3)} moved from rounding into ${set.producer!.site.path} and the weights${clipped ? `; ${clipped} channels clipped` : ''}`,
      touched: [...set.values.keys(), ...set.readings.map((r) => r.site.ports['input']!.value)],
      same: set.same,
    });
  }
}

/** The one type under which all readers round. */
function typeOf(job: Job, set: ScaleSet): QType {
  const all = set.readings.filter((r) => r.site.role === 'linear').map((r) => ({ path: r.site.path, type: job.typeOf(r.site, 'input') }));
  for (const { path, type } of all)
    if (type?.codes?.kind !== 'int' || type.mode !== 'static' || !type.symmetric || !type.codes.signed)
      refuse(
        'not-quantized',
        `${set.name}: the input of ${path} is ${type?.text ?? 'float'}; migration needs signed integers, symmetric and static`,
      );
  const odd = all.find((x) => x.type!.text !== all[0]!.type!.text);
  if (odd) refuse('not-quantized', `${set.name}: ${all[0]!.path} and ${odd.path} read it under two types`);
  return all[0]!.type!;
}

/** Channels that were never seen away from zero take the median step. */
function usable(steps: Float64Array): Float64Array {
  const real = steps.filter((s) => s > 0).sort();
  const middle = real[real.length >> 1] ?? 1;
  return steps.map((s) => (s > 0 ? s : middle));
}

/** For each channel the share of its range that is kept: the one with the least rounding and clipping error on the sample, under laws with a grid. */
function clips(type: QType, most: Float64Array, channels: Int32Array, sample: Float32Array): Float64Array {
  const ratio = new Float64Array(most.length).fill(1);
  if (type.law.name === 'minmax') return ratio;
  const { steps, shrink, p } = type.law.args as { steps?: number; shrink?: number; p?: number };
  if (steps === undefined || shrink === undefined || type.codes?.kind !== 'int')
    return refuse(
      'not-quantized',
      `the scale law ${type.law.name} has no grid: channels are clipped under minmax (not at all), mse or grid`,
    );
  const { lo, hi } = type.codes;
  const width = channels.length;
  const count = sample.length / width;
  const power = p ?? 2;
  const done = new Uint8Array(most.length);
  for (let k = 0; k < width; k++) {
    const c = channels[k]!;
    if (done[c]! || most[c] === 0) continue;
    done[c] = 1;
    let best = Number.POSITIVE_INFINITY;
    for (let i = 0; i < steps; i++) {
      const r = 1 - (i * (1 - shrink)) / Math.max(1, steps - 1);
      const s = (most[c]! * r) / topCode(type);
      let error = 0;
      for (let row = 0; row < count; row++) {
        const x = sample[row * width + k]!;
        error += Math.abs(x - s * Math.min(hi, Math.max(lo, Math.round(x / s)))) ** power;
      }
      if (error < best) [best, ratio[c]] = [error, r];
    }
  }
  return ratio;
}
