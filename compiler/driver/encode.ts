/** From a plan and its statistics to the simulated level: encoded weights and quantized values. */
import { rangeOf, type Statistics } from '../calibrate/index.ts';
import type { Crunch } from '../crunch.ts';
import { elements } from '../graph/dtype.ts';
import type { Model, Tensor } from '../graph/types.ts';
import { tensorsOf } from '../plan/size.ts';
import type { Plan, Slot } from '../plan/types.ts';
import { quantParams } from '../simulate/params.ts';
import type { EncodedWeight, QuantizedValue, Simulated } from '../simulated.ts';
import type { Site } from '../sites.ts';
import { secondMoments } from './errors.ts';

/** The static activations of a plan: what has to be observed. */
export const observed = (plan: Pick<Plan, 'slots'>): readonly Slot[] =>
  plan.slots.filter(
    (s) => s.type?.codes && s.type.mode === 'static' && s.site.ports[s.port]?.kind === 'activation' && !migrated(s) && !fixed(s),
  );

/** Scale and zero point that a transform chose together with its map. */
const fixed = (s: { readonly site: Site; readonly port: string }): readonly number[] | undefined => {
  const at = s.site.facts[`fixed_${s.port}`];
  return Array.isArray(at) ? at : undefined;
};

/** `transform migrate` has put the steps into the norm: what it yields is rounded as it is. */
const migrated = (s: { readonly site: Site; readonly port: string }): boolean => s.port === 'input' && s.site.members.includes('migrated');

/** Builds the simulated level. `statistics` may be missing where nothing static is quantized. Nothing is computed yet: weights are lazy. */
export async function encode(plan: Plan, model: Model, statistics: Statistics | undefined, crunch: Crunch): Promise<Simulated> {
  const s = await simulated(plan, model, (v) => scaled(v, statistics, crunch));
  return { ...s, weights: s.weights.map((w) => weighed(w, statistics)) };
}

/** Does the law of a weight look at its inputs? */
export const weighsInputs = (slot: Pick<Slot, 'site' | 'port' | 'type'>): boolean =>
  slot.type?.law.name === 'grid' && slot.site.ports[slot.port]?.kind === 'weight';

/** The clip search of weights counts by their inputs; members that it shall skip keep their whole range. */
function weighed(w: EncodedWeight, statistics: Statistics | undefined): EncodedWeight {
  if (!weighsInputs(w)) return w;
  const skip = (w.type.law.args['skip'] ?? []) as readonly string[];
  if (w.site.members.some((m) => skip.includes(m.slice(m.indexOf('.') + 1))))
    return { ...w, type: { ...w.type, law: { name: 'minmax', args: {} } } };
  const importance = secondMoments(w, statistics);
  return importance ? { ...w, importance: Float32Array.from(importance) } : w;
}

/** The simulated level of a plan; `finish` gives static values their scales. */
export async function simulated(plan: Plan, model: Model, finish: (v: QuantizedValue) => Promise<QuantizedValue>): Promise<Simulated> {
  const tensors = tensorsOf(model);
  const weights: EncodedWeight[] = [];
  const values: QuantizedValue[] = [];
  for (const slot of plan.slots) {
    const { site, port, type } = slot;
    const at = site.ports[port];
    if (!at || !type) continue;
    if (at.kind === 'weight') weights.push(weightOf(slot, tensors.get(at.value)));
    else values.push(await finish({ site, port, type, value: at.value }));
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

/** Scale and zero point of a static value, from its statistics. */
async function scaled(v: QuantizedValue, statistics: Statistics | undefined, crunch: Crunch): Promise<QuantizedValue> {
  const { type } = v;
  if (type.mode === 'dynamic' || !type.codes) return v;
  if (migrated(v)) return { ...v, scale: Float32Array.of(1), zero: Float32Array.of(0) };
  const chosen = fixed(v);
  if (chosen) return { ...v, scale: Float32Array.of(chosen[0]!), zero: Float32Array.of(chosen[1]!) };
  if (!statistics) throw new Error(`${v.site.id}.${v.port}: static without statistics`);
  const { lo, hi } = await rangeOf(statistics, v.value, type.law, type.codes, type.symmetric, crunch);
  const { scale, zero } = quantParams(lo, hi, type);
  return { ...v, scale: Float32Array.of(scale), zero: Float32Array.of(zero) };
}
