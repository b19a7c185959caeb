/** From a plan and its statistics to the simulated level: encoded weights and quantized values. */
import { type Need, observerFor, rangeOf, rangesOf, type Statistics } from '../calibrate/index.ts';
import type { Crunch } from '../crunch.ts';
import { elements } from '../graph/dtype.ts';
import type { Model, Tensor } from '../graph/types.ts';
import { tensorsOf } from '../plan/size.ts';
import type { Plan, QType, Slot } from '../plan/types.ts';
import { quantParams } from '../simulate/params.ts';
import { sharing } from '../simulate/sharing.ts';
import type { EncodedWeight, QuantizedValue, Simulated } from '../simulated.ts';
import type { Site } from '../sites.ts';
import { secondMoments } from './errors.ts';

/** The static activations of a plan: what has to be observed. */
export const observed = (plan: Pick<Plan, 'slots'>): readonly Slot[] =>
  plan.slots.filter(
    (s) => s.type?.codes && s.type.mode === 'static' && s.site.ports[s.port]?.kind === 'activation' && !migrated(s) && !fixed(s),
  );

/** What is observed of a static activation; of a state every step, which is a value inside the recurrence. */
export function needOf({ site, port, type }: { readonly site: Site; readonly port: string; readonly type?: QType }): Need {
  const each = port === 'state' ? site.facts['next'] : undefined;
  const observer = sharing(site, port, type!.grain)?.observer ?? observerFor(type!.law);
  return { value: typeof each === 'string' ? each : site.ports[port]!.value, observer };
}

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
  const { value, observer } = needOf(v);
  const shared = sharing(v.site, v.port, type.grain);
  if (shared) {
    const { lo, hi } = rangesOf(statistics.get(value, observer), type.law, shared.groups);
    const count = elements(shared.shape);
    // axes along which a scale is shared by all are the last ones
    const params = Array.from({ length: count }, (_, i) => (i * lo.length) / count).map((i) => quantParams(lo[i]!, hi[i]!, type));
    return {
      ...v,
      scale: Float32Array.from(params, (p) => p.scale),
      zero: Float32Array.from(params, (p) => p.zero),
      shape: shared.shape,
    };
  }
  const { lo, hi } = await rangeOf(statistics, value, type.law, type.codes, type.symmetric, crunch);
  const { scale, zero } = quantParams(lo, hi, type);
  return { ...v, scale: Float32Array.of(scale), zero: Float32Array.of(zero) };
}
