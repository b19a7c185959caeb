/** From a plan and its statistics to the simulated level: encoded weights and quantized values. */
import { rangeOf, type Statistics } from '../calibrate/index.ts';
import type { Crunch } from '../crunch.ts';
import { elements } from '../graph/dtype.ts';
import type { Model, Tensor } from '../graph/types.ts';
import { tensorsOf } from '../plan/size.ts';
import type { Plan, Slot } from '../plan/types.ts';
import { quantParams } from '../simulate/params.ts';
import type { EncodedWeight, QuantizedValue, Simulated } from '../simulated.ts';

/** The static activations of a plan: what has to be observed. */
export const observed = (plan: Pick<Plan, 'slots'>): readonly Slot[] =>
  plan.slots.filter((s) => s.type?.codes && s.type.mode === 'static' && s.site.ports[s.port]?.kind === 'activation');

/** Builds the simulated level. `statistics` may be missing where nothing static is quantized. Nothing is computed yet: weights are lazy. */
export async function encode(plan: Plan, model: Model, statistics: Statistics | undefined, crunch: Crunch): Promise<Simulated> {
  const tensors = tensorsOf(model);
  const weights: EncodedWeight[] = [];
  const values: QuantizedValue[] = [];
  for (const slot of plan.slots) {
    const port = slot.site.ports[slot.port];
    if (!port || !slot.type) continue;
    if (port.kind === 'weight') weights.push(weightOf(slot, tensors.get(port.value)));
    else values.push(await quantizedValue(slot, port.value, statistics, crunch));
  }
  return { model, weights, values, sites: plan.sites };
}

function weightOf(slot: Slot, source: Tensor | undefined): EncodedWeight {
  const { site, port } = slot;
  const axes = site.ports[port]!.axes;
  if (!source) throw new Error(`${site.id}: its weight ${site.ports[port]!.value} is no initializer`);
  const outAxis = axes['out'] ?? 0;
  const out = source.shape[outAxis] ?? 1;
  return {
    site,
    port,
    type: slot.type!,
    source,
    out,
    reduce: elements(source.shape) / Math.max(1, out),
    order: outAxis === 0 ? 'or' : 'ro',
  };
}

async function quantizedValue(slot: Slot, value: string, statistics: Statistics | undefined, crunch: Crunch): Promise<QuantizedValue> {
  const { site, port } = slot;
  const type = slot.type!;
  const base = { site, port, type, value };
  if (type.mode === 'dynamic' || !type.codes) return base;
  if (!statistics) throw new Error(`${site.id}.${port}: static without statistics`);
  const { lo, hi } = await rangeOf(statistics, value, type.law, type.codes, type.symmetric, crunch);
  const { scale, zero } = quantParams(lo, hi, type);
  return { ...base, scale: Float32Array.of(scale), zero: Float32Array.of(zero) };
}
