/** Constants of the recurrent operators as their kernels read them: transposed once, when they are written. */
import { bitsOf } from '../../../graph/dtype.ts';
import type { Tensor } from '../../../graph/types.ts';
import type { EvalContext } from '../../../host.ts';
import type { QuantizedValue } from '../../../simulated.ts';
import { float32s } from '../../make.ts';

/** A matrix [rows, columns] of whole bytes as [columns, rows]. `key` tells tensors apart. */
export function transposed(t: Tensor, rows: number, columns: number, key: string): Tensor {
  const size = bitsOf(t.dtype) / 8;
  const { source } = t;
  const evaluate = async (ctx: EvalContext): Promise<Record<string, Uint8Array>> => {
    const from = source.kind === 'lazy' ? (await source.lazy.evaluate(ctx))[source.lazy.part]! : await ctx.bytes(t);
    const to = new Uint8Array(from.length);
    for (let r = 0; r < rows; r++)
      for (let c = 0; c < columns; c++) for (let i = 0; i < size; i++) to[(c * rows + r) * size + i] = from[(r * columns + c) * size + i]!;
    return { turned: to };
  };
  return { dtype: t.dtype, shape: [columns, rows], source: { kind: 'lazy', lazy: { key: `${key}|turned`, part: 'turned', evaluate } } };
}

/** Scales of `shape`, which broadcast to `dims`, one for each position. */
export function positions(scale: Float32Array, shape: readonly number[], dims: readonly number[]): Float32Array {
  const steps = dims.map((_, i) => {
    const at = i - (dims.length - shape.length);
    if (at < 0 || shape[at] === 1) return 0;
    return shape.slice(at + 1).reduce((a, b) => a * b, 1);
  });
  const size = dims.reduce((a, b) => a * b, 1);
  return Float32Array.from({ length: size }, (_, i) => {
    let [rest, at] = [i, 0];
    for (let axis = dims.length - 1; axis >= 0; axis--) {
      at += (rest % dims[axis]!) * steps[axis]!;
      rest = Math.floor(rest / dims[axis]!);
    }
    return scale[at]!;
  });
}

/** The lowest code under each scale, counted from its zero point: −128 where codes are signed and around zero. Error: codes that are no integers. */
export function lowest(q: QuantizedValue): Float32Array {
  const { codes } = q.type;
  if (codes?.kind !== 'int' || !q.scale) throw new Error(`${q.site.id}.${q.port}: no static integer codes`);
  return Float32Array.from(q.scale, (_, i) => codes.lo - (q.zero?.[i] ?? 0));
}

/** Are its codes something else than signed bytes around zero? */
export const isShifted = (q: QuantizedValue): boolean =>
  q.type.codes?.kind === 'int' && q.scale !== undefined && lowest(q).some((x) => x !== -128);

/** Steps of a port as its operator reads them, [n]; `bounded`: with the lowest codes under them, [2, n]. `at`: sizes of the port's last axes. */
export function portSteps(q: QuantizedValue, at: readonly number[], bounded: boolean): Tensor {
  const shape = q.scale!.length === 1 ? [] : (q.shape ?? [q.scale!.length]);
  const each = (x: Float32Array) => (x.length === 1 ? x : positions(x, shape, at));
  return rows(each(q.scale!), bounded ? each(lowest(q)) : undefined, []);
}

/** Steps of the state [channels, states] as the operator reads them, [states, channels]; one for all is [1, 1]. `bounded`: two of them, the lowest codes second. */
export function stateSteps(q: QuantizedValue, dims: readonly number[], bounded: boolean): Tensor {
  const states = dims.at(-1)!;
  const turned = (x: Float32Array) => {
    if (x.length === 1) return x;
    const each = positions(x, q.shape ?? [], dims);
    const channels = each.length / states;
    return Float32Array.from(each, (_, i) => each[(i % channels) * states + Math.floor(i / channels)]!);
  };
  const scale = turned(q.scale!);
  return rows(scale, bounded ? turned(lowest(q)) : undefined, scale.length === 1 ? [1] : [states]);
}

const rows = (scale: Float32Array, low: Float32Array | undefined, outer: readonly number[]): Tensor => {
  const shape = [...outer, scale.length / outer.reduce((a, b) => a * b, 1)];
  return low ? float32s(Float32Array.from([...scale, ...low]), [2, ...shape]) : float32s(scale, shape);
};
