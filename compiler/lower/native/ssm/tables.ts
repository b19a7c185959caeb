/** Constants of the recurrent operators as their kernels read them: transposed once, when they are written. */
import { bitsOf } from '../../../graph/dtype.ts';
import type { Tensor } from '../../../graph/types.ts';
import type { EvalContext } from '../../../host.ts';
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

/** Scales of the state [channels, states] as the operator reads them, [states, channels]; one for all is [1, 1]. */
export function stateScales(scale: Float32Array, shape: readonly number[] | undefined, dims: readonly number[]): Tensor {
  if (scale.length === 1) return float32s(scale, [1, 1]);
  const each = positions(scale, shape ?? [], dims);
  const states = dims.at(-1)!;
  const channels = each.length / states;
  const turned = Float32Array.from(each, (_, i) => each[(i % channels) * states + Math.floor(i / channels)]!);
  return float32s(turned, [states, channels]);
}
