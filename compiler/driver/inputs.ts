/** The second moments of the inputs of layers, folded batch by batch. */
import { floats, ofFloats } from '../calibrate/values.ts';
import type { Crunch } from '../crunch.ts';
import type { Model } from '../graph/types.ts';
import type { Value } from '../host.ts';
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

/** By name of the input value. `float`: the float model on its own stream, where the cross moments are wanted too. `front`: where the streams move to. `passing`: only that they move. */
export async function momentsOf(
  sites: readonly Site[],
  on: { readonly model: Model; readonly stream: Stream },
  float: { readonly model: Model; readonly stream: Stream } | undefined,
  crunch: Crunch,
  front?: readonly string[],
  passing = false,
): Promise<Map<string, Moments>> {
  const axes = new Map(sites.map((s) => [inputOf(s), channelOf(s)]));
  const values = [...axes.keys()];
  const moments = new Map<string, { hessian: Float64Array; rows: number; cross?: Float64Array }>();
  const beside = float?.stream.read(float.model, values, front);
  const matrix = (v: Value, axis: number, n: number) => byChannel(ofFloats(v.shape, floats(v)), axis, n);
  try {
    for await (const found of on.stream.read(on.model, values, front)) {
      const exact = beside ? (await beside.next()).value : undefined;
      if (passing) continue;
      for (const [value, axis] of axes) {
        const before = moments.get(value);
        const { x, rows, channels: n } = matrix(found[value]!, axis, Math.sqrt(before?.hessian.length ?? 0));
        const m = before ?? { hessian: new Float64Array(n * n), rows: 0, ...(exact ? { cross: new Float64Array(n * n) } : {}) };
        await crunch.cross(m.hessian, x, x, n);
        if (exact && m.cross) await crunch.cross(m.cross, x, matrix(exact[value]!, axis, n).x, n);
        moments.set(value, { ...m, rows: m.rows + rows });
      }
    }
    // the end of the other stream, where its front moves
    await beside?.next();
  } finally {
    await beside?.return(undefined);
  }
  return moments;
}
