/** Scales and shifts of channels between a producer and everything that reads it: x' = x / r + e, W' = W · diag(r), b' = b − W (r e). */

import type { Site } from '../sites.ts';
import { Refusal, refuse } from './refuse.ts';
import type { Rewriter } from './rewriter.ts';
import { foldScale, type ScaleSet } from './scale.ts';

/** Can what the site yields be moved? */
export const shifts = (site: Site): boolean => site.bias !== undefined || site.role === 'linear';

/**
 * Folds one set. `r` has a positive number for each channel, `e` any; pinned channels have 1 and 0. Without a shift no bias is touched.
 * Errors: Refusal no-bias, no-producer.
 */
export function foldAffine(rewriter: Rewriter, set: ScaleSet, r: Float64Array, e: Float64Array): void {
  const { producer } = set;
  if (!producer) throw new Refusal('no-producer', `${set.name}: a shift folds into what makes the value`);
  if (e.some((x) => x !== 0)) {
    // The readers' products see the weight as it was before the scale.
    for (const { site, channels } of set.readings) {
      const port = site.ports['weight']!;
      const vector = Float64Array.from(channels, (c) => -r[c]! * e[c]!);
      rewriter.fold(site, rewriter.bias(site), {
        kind: 'product',
        weight: rewriter.tensor(port.value) ?? refuse('not-constant', `${port.value} of ${site.path} is no constant`),
        reduce: port.axes['reduce']!,
        vector,
      });
    }
  }
  foldScale(rewriter, set, r);
  if (e.every((x) => x === 0)) return;
  const values = Float64Array.from(producer.channels, (c) => e[c]!);
  rewriter.fold(producer.site, rewriter.bias(producer.site), { kind: 'offset', axis: 0, values });
}
