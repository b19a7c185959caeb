/** The second moments of the inputs of layers, folded batch by batch. */
import { floats, ofFloats } from '../calibrate/values.ts';
import type { Crunch } from '../crunch.ts';
import type { Model } from '../graph/types.ts';
import hessian from '../observers/hessian.ts';
import { byChannel } from '../observers/_values.ts';
import type { Site } from '../sites.ts';
import type { Stream } from './stream.ts';

export interface Moments {
  /** XᵀX [n, n]. */
  readonly hessian: Float64Array;
  readonly rows: number;
  /** XᵀX_float [n, n]. */
  readonly cross?: Float64Array;
}

const inputOf = (site: Site): string => site.ports['input']!.value;
export const channelOf = (site: Site): number => site.ports['input']!.axes['channel'] ?? -1;

/** By name of the input value. `float`: the float model on its own stream, where the cross moments are wanted too. `front`: where the streams move to. */
export async function momentsOf(
  sites: readonly Site[],
  on: { readonly model: Model; readonly stream: Stream },
  float: { readonly model: Model; readonly stream: Stream } | undefined,
  crunch: Crunch,
  front?: readonly string[],
): Promise<Map<string, Moments>> {
  const axes = new Map(sites.map((s) => [inputOf(s), channelOf(s)]));
  const values = [...axes.keys()];
  const states = new Map(values.map((v) => [v, hessian.start({ axis: -1 })]));
  const crosses = new Map<string, Float64Array>();
  const beside = float?.stream.read(float.model, values, front);
  try {
    for await (const found of on.stream.read(on.model, values, front)) {
      const exact = beside ? (await beside.next()).value : undefined;
      for (const [value, axis] of axes) {
        const batch = ofFloats(found[value]!.shape, floats(found[value]!));
        states.set(value, await hessian.fold(states.get(value)!, batch, crunch, { axis }));
        if (!exact) continue;
        const { x, channels: n } = byChannel(batch, axis, 0);
        const y = byChannel(ofFloats(exact[value]!.shape, floats(exact[value]!)), axis, n).x;
        const c = crosses.get(value) ?? new Float64Array(n * n);
        await crunch.cross(c, x, y, n);
        crosses.set(value, c);
      }
    }
    // the end of the other stream, where its front moves
    await beside?.next();
  } finally {
    await beside?.return(undefined);
  }
  return new Map(
    values.map((v) => {
      const { h, count } = hessian.finish(states.get(v)!) as { h: Float64Array; count: Float64Array };
      const cross = crosses.get(v);
      return [v, { hessian: h, rows: count[0]!, ...(cross ? { cross } : {}) }];
    }),
  );
}
