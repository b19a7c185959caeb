/** Sizes of a plan, computed: codes, scales and zero points are what will be written. */
import { bitsOf, elements } from '../graph/dtype.ts';
import type { Model, Tensor } from '../graph/types.ts';
import { allGraphs } from '../graph/walk.ts';
import type { Port, Site } from '../sites.ts';
import { outOf, reduceOf } from './resolve.ts';
import type { Plan, QType, Slot } from './types.ts';

/** Bits in which ONNX stores codes: 3 lie in 4, 5 to 7 in 8. */
export const storedBits = (bits: number): number => [2, 4, 8, 16].find((w) => w >= bits) ?? 32;

/** Scales of a weight [out, reduce] under a grain. */
function scalesOf(type: QType, out: number, reduce: number): number {
  const { grain } = type;
  if (grain.per === 'group') return out * Math.ceil(reduce / grain.group);
  if (grain.per === 'block') return Math.ceil(out / grain.rows) * Math.ceil(reduce / grain.cols);
  return grain.per === 'channel' ? out : 1;
}

/** Bytes of a quantized weight: codes, scales, zero points. `float`: bytes of an element of the float weight. */
export function weightBytes(type: QType, port: Port, float: number): number {
  const out = outOf(port) ?? 1;
  const reduce = reduceOf(port) ?? 1;
  if (!type.codes) return (out * reduce * type.bits) / 8;
  const bits = storedBits(type.bits);
  const scales = scalesOf(type, out, reduce);
  const over = type.scaleType === 'nv' ? 4 : type.outer ? out * float : 0;
  const scaleBytes = type.scaleType === 'model' ? scales * float : scales + over;
  return Math.ceil((out * reduce * bits) / 8) + scaleBytes + (type.symmetric ? 0 : Math.ceil((scales * bits) / 8));
}

/** Every initializer of a model by name, those of subgraphs too. */
export const tensorsOf = (model: Model): Map<string, Tensor> => new Map([...allGraphs(model.graph)].flatMap((g) => [...g.initializers]));
export const tensorBytes = (t: Tensor): number => Math.ceil((elements(t.shape) * bitsOf(t.dtype)) / 8);

export interface PortSize {
  readonly parameters: number;
  readonly before: number;
  readonly after: number;
}
export interface Sizes {
  /** Bytes of the model as it is, and as it will be. */
  readonly before: number;
  readonly after: number;
  /** By site id, weights only. */
  readonly weights: ReadonlyMap<string, PortSize>;
}

/**
 * Sizes under a plan. `bytes`: the model's files. A weight that several sites share (an embedding and its head) is stored once for each type that it
 * gets, and in float too while one of them stays float.
 */
export function sizesOf(plan: Pick<Plan, 'sites' | 'slots'>, model: Model, bytes: number): Sizes {
  const tensors = tensorsOf(model);
  const typed = new Map(plan.slots.filter((s) => s.type).map((s) => [`${s.site.id}\n${s.port}`, s]));
  const weights = new Map<string, PortSize>();
  const forms = new Map<string, Map<string, number>>();
  for (const site of plan.sites.sites)
    for (const port of Object.values(site.ports)) {
      if (port.kind !== 'weight') continue;
      const tensor = tensors.get(port.value);
      const parameters = tensor ? elements(tensor.shape) : site.size;
      const before = tensor ? tensorBytes(tensor) : site.size * 4;
      const type = typed.get(`${site.id}\n${port.name}`)?.type;
      const after = type ? weightBytes(type, port, before / Math.max(1, parameters)) : before;
      weights.set(site.id, { parameters, before, after });
      const of = forms.get(port.value) ?? new Map<string, number>();
      of.set(type?.text ?? 'float', after);
      forms.set(port.value, of);
    }
  let after = bytes;
  for (const [name, of] of forms) {
    const tensor = tensors.get(name);
    if (tensor) after += [...of.values()].reduce((a, b) => a + b, 0) - tensorBytes(tensor);
  }
  return { before: bytes, after, weights };
}

/** Mean bits of the codes over the weight parameters of some sites; float weights count with their own width. */
export function meanBits(sites: readonly Site[], slots: readonly Slot[], sizes: Sizes): number {
  const types = new Map(slots.filter((s) => s.port === 'weight').map((s) => [s.site.id, s.type]));
  let [bits, n] = [0, 0];
  for (const site of sites) {
    const size = sizes.weights.get(site.id);
    if (!size) continue;
    n += size.parameters;
    bits += size.parameters * (types.get(site.id)?.bits ?? (size.before * 8) / Math.max(1, size.parameters));
  }
  return n === 0 ? 0 : bits / n;
}

/** Share of the weight parameters of linear and conv sites that have codes. */
export function coverage(plan: Pick<Plan, 'sites' | 'slots'>, sizes: Sizes): number {
  const coded = new Set(plan.slots.filter((s) => s.port === 'weight' && s.type?.codes).map((s) => s.site.id));
  let [some, all] = [0, 0];
  for (const site of plan.sites.sites) {
    if (site.role !== 'linear' && site.role !== 'conv') continue;
    const n = sizes.weights.get(site.id)?.parameters ?? 0;
    all += n;
    if (coded.has(site.id)) some += n;
  }
  return all === 0 ? 0 : some / all;
}
