/** How far quantized weights are from the float ones, site by site: the sums that objectives on sites are made of. */
import type { Need, Statistics } from '../calibrate/index.ts';
import type { SiteError } from '../define.ts';
import type { EvalContext } from '../host.ts';
import { dequantizedRows, sourceRows } from '../simulate/dequantized.ts';
import { quantizeWeight, storedFormat } from '../simulate/encode.ts';
import { quantizedRows } from '../simulate/rows.ts';
import type { EncodedWeight, QuantizedValue } from '../simulated.ts';
import type { Site } from '../sites.ts';

const moments = (axis: number) => ({ name: 'moments', args: { axis } });
const channelOf = (site: Site): number => site.ports['input']?.axes['channel'] ?? -1;

/** What has to be observed so that a site's error can be weighed by its inputs. */
export const needOf = (site: Site): Need | undefined => {
  const input = site.ports['input'];
  return input && site.ports['weight'] ? { value: input.value, observer: moments(channelOf(site)) } : undefined;
};

/** What has to be observed so that the error of a quantized input is known: it depends on whole rows. */
export const rowsOf = (site: Site): Need | undefined => {
  const input = site.ports['input'];
  return input && site.role === 'linear' ? { value: input.value, observer: { name: 'rows', args: { axis: channelOf(site) } } } : undefined;
};

/** Σ(y − ŷ)² and Σy² on observed rows, where the input is rounded too: y = x·Wᵀ, ŷ = Q(x)·Ŵᵀ. undefined where that cannot be known. */
async function rowsError(
  w: EncodedWeight,
  input: QuantizedValue,
  statistics: Statistics | undefined,
  ctx: EvalContext,
): Promise<SiteError | undefined> {
  const need = rowsOf(w.site);
  if (!statistics || !need || !statistics.has(need.value, need.observer)) return undefined;
  const x = Float32Array.from(statistics.get(need.value, need.observer)['rows']!);
  const fixed = input.scale?.length === 1 ? { scale: input.scale[0]!, zero: input.zero?.[0] ?? 0 } : undefined;
  const rounded = quantizedRows(x, w.reduce, input.type, fixed);
  if (!rounded || x.length % w.reduce !== 0) return undefined;
  const [exact, actual] = [await sourceRows(w, ctx), await dequantizedRows(w, ctx)];
  let [error, energy] = [0, 0];
  for (let at = 0; at < x.length; at += w.reduce)
    for (let o = 0, i = 0; o < w.out; o++) {
      let [y, off] = [0, 0];
      for (let k = 0; k < w.reduce; k++, i++) {
        const p = x[at + k]! * exact[i]!;
        y += p;
        off += p - rounded[at + k]! * actual[i]!;
      }
      error += off * off;
      energy += y * y;
    }
  return { error, energy, count: (w.out * x.length) / w.reduce };
}

/** Second moments E[x²] of the input's channels, one for each element of the reduction; undefined: taken as white. */
export function secondMoments(w: Pick<EncodedWeight, 'site' | 'reduce'>, statistics: Statistics | undefined): Float64Array | undefined {
  const need = needOf(w.site);
  if (!statistics || !need || !statistics.has(need.value, need.observer)) return undefined;
  const { mean, variance } = statistics.get(need.value, need.observer);
  const channels = mean!.length;
  const taps = w.reduce / channels;
  // A grouped convolution sees a part of the channels in each output; their mean stands for all of them.
  if (!Number.isInteger(taps)) return undefined;
  return Float64Array.from({ length: w.reduce }, (_, i) => {
    const c = Math.floor(i / taps);
    return variance![c]! + mean![c]! ** 2;
  });
}

/**
 * Σ(y−ŷ)² and Σy² of a weight's output for inputs with the calibration's second moments (channels taken as uncorrelated), or of the weight itself
 * where there are none; with a quantized `input`, on observed rows that are rounded too. error = Σ_k E[x_k²] Σ_o (w_ok − ŵ_ok)².
 */
export async function siteError(
  w: EncodedWeight,
  statistics: Statistics | undefined,
  ctx: EvalContext,
  input?: QuantizedValue,
): Promise<SiteError> {
  const onRows = w.type.codes && input ? await rowsError(w, input, statistics, ctx) : undefined;
  if (onRows) return onRows;
  const weigh = secondMoments(w, statistics);
  if (!w.type.codes) return { error: 0, energy: 1, count: w.out * w.reduce };
  if (!weigh) {
    const { error, energy } = await quantizeWeight(w, 'plain', storedFormat(w.type.codes), ctx);
    return { error, energy, count: w.out * w.reduce };
  }
  const actual = await dequantizedRows(w, ctx);
  const exact = await sourceRows(w, ctx);
  let [error, energy] = [0, 0];
  for (let o = 0, i = 0; o < w.out; o++)
    for (let k = 0; k < w.reduce; k++, i++) {
      error += weigh[k]! * (exact[i]! - actual[i]!) ** 2;
      energy += weigh[k]! * exact[i]! ** 2;
    }
  return { error, energy, count: w.out };
}
