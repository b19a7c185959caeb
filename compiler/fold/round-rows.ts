/** What rounding does to sample rows of an activation, so that a choice can be judged before anything is quantized. */
import type { QType } from '../plan/types.ts';
import { quantParams } from '../simulate/params.ts';

/**
 * Rows [count, n] as the codes of a type stand for them. Static: by the range of the sample; `steps: channel` by that of each channel (migrated
 * inputs). Types without integer codes leave them as they are.
 */
export function roundRows(x: Float32Array, n: number, type: QType | undefined, steps: 'tensor' | 'channel' = 'tensor'): Float32Array {
  if (type?.codes?.kind !== 'int') return x;
  const { lo, hi } = type.codes;
  const out = new Float32Array(x.length);
  const round = (indices: Iterable<number>, from: number, to: number) => {
    const { scale, zero } = quantParams(from, to, type);
    for (const i of indices) out[i] = scale * (Math.min(hi, Math.max(lo, Math.round(x[i]! / scale) + zero)) - zero);
  };
  const span = (start: number, end: number, step = 1) => {
    let [from, to] = [0, 0];
    const indices: number[] = [];
    for (let i = start; i < end; i += step) {
      indices.push(i);
      from = Math.min(from, x[i]!);
      to = Math.max(to, x[i]!);
    }
    round(indices, from, to);
  };
  const { grain, mode } = type;
  if (mode === 'static' && steps === 'channel') for (let c = 0; c < n; c++) span(c, x.length, n);
  else if (mode === 'static' || grain.per === 'tensor') span(0, x.length);
  else {
    const width = grain.per === 'group' ? grain.group : n;
    for (let i = 0; i < x.length; i += width) span(i, i + width);
  }
  return out;
}
