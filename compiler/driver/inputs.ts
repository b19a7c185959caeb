/** What enters the layers that are solved, batch by batch, as rows of a matrix. */
import { attended } from '../calibrate/padding.ts';
import { floats, ofFloats } from '../calibrate/values.ts';
import type { Crunch } from '../crunch.ts';
import type { Value } from '../host.ts';
import { byChannel } from '../observers/_values.ts';
import { patches, unfolded } from '../simulate/unfold.ts';
import type { Site } from '../sites.ts';
import { Folding } from './moments.ts';
import type { Shelf } from './shelf.ts';
import type { Found, Stream, Wanted } from './stream.ts';

const inputOf = (site: Site): string => site.ports['input']!.value;
export const channelOf = (site: Site): number => site.ports['input']!.axes['channel'] ?? -1;

/** Sites with equal keys have the same matrix of inputs. */
export const inputKey = (site: Site): string =>
  site.role === 'conv' ? `${inputOf(site)} ${JSON.stringify(patches(site))}` : inputOf(site);

/** The inputs of a site as a matrix [rows, n], of a convolution those of every place of its kernel. Error: observer-channels, where n is not `before` (0: unknown). */
function rowsOf(site: Site, v: Value, mask: Value | undefined, before: number): { x: Float32Array; channels: number } {
  const value = ofFloats(v.shape, floats(v));
  return site.role === 'conv' ? unfolded(value, patches(site)) : byChannel(attended(value, mask), channelOf(site), before);
}

/** Values that are read, by whom, and what is read after them. */
export interface Reading {
  readonly stream: Stream;
  readonly wanted: Wanted;
  readonly next?: () => Wanted | undefined;
}

/** What the sites read. */
export const inputsOf = (sites: readonly Site[]): string[] => [...new Set(sites.map(inputOf))];

/**
 * By `inputKey`. `on` and `float` read the `inputsOf` these sites; `float`: the float model on its own stream, where the cross moments are wanted too.
 * `passing`: only that the streams move.
 */
export async function momentsOf(
  sites: readonly Site[],
  on: Reading,
  float: Reading | undefined,
  crunch: Crunch,
  shelf: Shelf,
  passing = false,
): Promise<Map<string, Folding>> {
  const inputs = new Map(sites.map((s) => [inputKey(s), s]));
  const { values } = on.wanted;
  const moments = new Map<string, Folding>();
  const beside = float?.stream.read(float.wanted, float.next);
  try {
    for await (const found of on.stream.read(on.wanted, on.next)) {
      const exact: Found | undefined = beside ? (await beside.next()).value || undefined : undefined;
      const left = new Map(values.map((v) => [v, 0]));
      const done = (v: string) => {
        left.set(v, left.get(v)! - 1);
        if (left.get(v)! > 0) return;
        found.done(v);
        exact?.done(v);
      };
      for (const site of passing ? [] : inputs.values()) left.set(inputOf(site), left.get(inputOf(site))! + 1);
      if (passing) values.forEach(done);
      for (const [key, site] of passing ? [] : inputs) {
        const v = inputOf(site);
        const before = moments.get(key);
        const { x, channels: n } = rowsOf(site, found.values[v]!, found.mask, before?.n ?? 0);
        const m = before ?? new Folding(crunch, shelf, n);
        moments.set(key, m);
        await m.add(x, exact && rowsOf(site, exact.values[v]!, exact.mask, n).x, () => done(v));
      }
    }
    // the end of the other stream, where its front moves
    await beside?.next();
  } finally {
    await beside?.return(undefined);
  }
  return moments;
}
