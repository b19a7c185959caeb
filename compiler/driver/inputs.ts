/** What enters the layers that are solved, batch by batch, as rows of a matrix. */
import { attended } from '../calibrate/padding.ts';
import { floats, ofFloats } from '../calibrate/values.ts';
import type { Crunch } from '../crunch.ts';
import type { Model } from '../graph/types.ts';
import type { Value } from '../host.ts';
import { byChannel } from '../observers/_values.ts';
import { patches, unfolded } from '../simulate/unfold.ts';
import type { Site } from '../sites.ts';
import { Folding } from './moments.ts';
import type { Shelf } from './shelf.ts';
import type { Found, Stream } from './stream.ts';

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

/** The value that a site reads in a model where its input may be quantized. */
function readIn(model: Model, site: Site): string {
  const [value, outputs] = [inputOf(site), new Set(site.nodes.flatMap((n) => n.outputs))];
  const [at, index] = site.nodes.flatMap((n) => (n.inputs.includes(value) ? [[n.outputs[0], n.inputs.indexOf(value)] as const] : []))[0] ?? [];
  const reader = at === undefined || !outputs.has(at) ? undefined : model.graph.nodes.find((n) => n.outputs[0] === at);
  return reader?.inputs[index!] ?? value;
}

/**
 * By `inputKey`. `float`: the float model on its own stream, where the cross moments are wanted too. `own`: inputs as the site reads them in the model,
 * quantized; beside them, without `float`, those before that. `front`: where the streams move to. `passing`: only that they move.
 */
export async function momentsOf(
  sites: readonly Site[],
  on: { readonly model: Model; readonly stream: Stream; readonly own?: boolean },
  float: { readonly model: Model; readonly stream: Stream } | undefined,
  crunch: Crunch,
  shelf: Shelf,
  front?: readonly string[],
  passing = false,
): Promise<Map<string, Folding>> {
  const inputs = new Map(sites.map((s) => [inputKey(s), s]));
  const values = [...new Set(sites.map(inputOf))];
  const quantized = new Map(on.own ? sites.map((s) => [inputKey(s), readIn(on.model, s)]) : []);
  const moments = new Map<string, Folding>();
  const beside = float?.stream.read(float.model, values, front);
  const tapped = [...new Set([...values, ...quantized.values()])];
  try {
    for await (const found of on.stream.read(on.model, tapped, front)) {
      const exact: Found | undefined = beside ? (await beside.next()).value || undefined : undefined;
      const left = new Map(tapped.map((v) => [v, 0]));
      const done = (v: string) => {
        left.set(v, left.get(v)! - 1);
        if (left.get(v)! > 0) return;
        found.done(v);
        if (values.includes(v)) exact?.done(v);
      };
      for (const [key, site] of passing ? [] : inputs)
        for (const v of new Set([inputOf(site), quantized.get(key) ?? inputOf(site)])) left.set(v, left.get(v)! + 1);
      if (passing) tapped.forEach(done);
      for (const [key, site] of passing ? [] : inputs) {
        const v = inputOf(site);
        const before = moments.get(key);
        const read = quantized.get(key) ?? v;
        const { x, channels: n } = rowsOf(site, found.values[read]!, found.mask, before?.n ?? 0);
        const m = before ?? new Folding(crunch, shelf, n);
        moments.set(key, m);
        const want = exact ?? (read === v ? undefined : found);
        await m.add(x, want && rowsOf(site, want.values[v]!, found.mask, n).x, () => {
          for (const name of new Set([v, read])) done(name);
        });
      }
    }
    // the end of the other stream, where its front moves
    await beside?.next();
  } finally {
    await beside?.return(undefined);
  }
  return moments;
}
