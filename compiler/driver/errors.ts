/** How far quantized weights are from the float ones, site by site: the sums that objectives on sites are made of. */
import type { Need, Statistics } from '../calibrate/index.ts';
import type { SiteError } from '../define.ts';
import type { EvalContext } from '../host.ts';
import { dequantizedRows, sourceRows } from '../simulate/dequantized.ts';
import { quantizeWeight, storedFormat } from '../simulate/encode.ts';
import type { EncodedWeight } from '../simulated.ts';
import type { Site } from '../sites.ts';

const moments = (axis: number) => ({ name: 'moments', args: { axis } });
const channelOf = (site: Site): number => site.ports['input']?.axes['channel'] ?? -1;

/** What has to be observed so that a site's error can be weighed by its inputs. */
export const needOf = (site: Site): Need | undefined => {
  const input = site.ports['input'];
  return input && site.ports['weight'] ? { value: input.value, observer: moments(channelOf(site)) } : undefined;
};

/** Second moments E[x²] of the input's channels, one for each element of the reduction; undefined: taken as white. */
function secondMoments(w: EncodedWeight, statistics: Statistics | undefined): Float64Array | undefined {
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
 * where there are none: error = Σ_k E[x_k²] Σ_o (w_ok − ŵ_ok)².
 */
export async function siteError(w: EncodedWeight, statistics: Statistics | undefined, ctx: EvalContext): Promise<SiteError> {
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
