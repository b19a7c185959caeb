/** `Attention`: softmax(q·kᵀ·scale + bias)·v without a cache, heads as columns of the projections. */
import type { Node } from '../../../graph/types.ts';
import { attrInt, type View } from '../../../match/view.ts';
import { float32s } from '../../make.ts';
import { attentionBody } from '../attentionbody.ts';
import type { Fusion, Place } from '../fuse.ts';
import { made, permuted } from '../walk.ts';
import { flat, unrepeated, unscaled, written } from './scores.ts';

/** Columns of a value [batch, tokens, width], from `at` on. */
interface Columns {
  readonly x: string;
  readonly at: number;
}

/** Which of several a value [batch, heads, tokens, dim] is, where one projection yields all of them: Transpose to [which, …], Split or Gather. */
function ofPacked(v: View, value: string): Columns | undefined {
  const squeeze = made(v, value, 'Squeeze');
  const apart = squeeze ? made(v, squeeze.inputs[0], 'Split') : made(v, value, 'Gather');
  if (!apart || attrInt(apart, 'axis', 0) !== 0) return undefined;
  const index = squeeze ? apart.outputs.indexOf(squeeze.inputs[0]!) : v.scalar(apart.inputs[1]!);
  const inner = permuted(v, apart.inputs[0], [2, 0, 3, 1, 4]);
  const [, , count, heads, dim] = (inner !== undefined && v.shape(inner)) || [];
  const x = made(v, inner, 'Reshape')?.inputs[0];
  const sizes = [count, heads, dim].every((n) => typeof n === 'number') ? [count, heads, dim].map(Number) : undefined;
  if (x === undefined || !sizes || index === undefined || index < 0) return undefined;
  if (v.shape(value)?.length !== 4 || index >= sizes[0]! || v.shape(x)?.at(-1) !== sizes[0]! * sizes[1]! * sizes[2]!) return undefined;
  return { x, at: index * sizes[1]! * sizes[2]! };
}

function columns(v: View, value: string): Columns | undefined {
  const x = flat(v, value);
  return x === undefined ? ofPacked(v, value) : { x, at: 0 };
}

/** kᵀ is the transpose of keys, or of what they were before their heads came first. */
function keysOf(v: View, kt: string, scale: number): { k: Columns; heads: number | string | undefined; scale: number } | undefined {
  const direct = made(v, permuted(v, kt, [0, 2, 3, 1]), 'Reshape');
  if (direct) return { k: { x: direct.inputs[0]!, at: 0 }, heads: v.shape(kt)?.[1], scale };
  const inner = permuted(v, kt, [0, 1, 3, 2]);
  const bare = inner === undefined ? undefined : unscaled(v, inner, scale);
  const key = bare && unrepeated(v, bare.value);
  const k = key === undefined ? undefined : columns(v, key);
  return k && { k, heads: v.shape(key!)?.[1], scale: bare!.factor };
}

function place(v: View, soft: Node, nothing: () => string): Place[] {
  for (const w of written(v, soft)) {
    const value = unrepeated(v, w.value);
    const [q, k, val] = [columns(v, w.q), keysOf(v, w.kt, w.scale), columns(v, value)];
    const [, heads, , dim] = v.shape(w.q) ?? [];
    const sizes = [heads, k?.heads, dim, v.shape(value)?.[1], v.shape(value)?.[3], v.shape(w.output)?.at(-1)];
    if (!q || !k || !val || !sizes.every((n) => typeof n === 'number')) continue;
    const [h, kv, d, valueHeads, valueDim, width] = sizes.map(Number) as [number, number, number, number, number, number];
    const inputs = [q.x, k.k.x, val.x];
    const three = [...inputs, w.output].every((x) => v.shape(x)?.length === 3 && v.dtype(x) === 'float32');
    const plain = [q, k.k, val].every((c, i) => c.at > 0 || isAtLeast(v, c.x, (i === 0 ? h : kv) * d));
    if (!three || !plain || kv !== valueHeads || d !== valueDim || width !== h * d || h % kv !== 0) continue;
    if (w.bias !== undefined && (v.dtype(w.bias) !== 'float32' || (v.shape(w.bias)?.length ?? 5) > 4)) continue;
    const attrs = { heads: [h, kv, d], at: [q.at, k.k.at, val.at], scale: { float: k.scale } };
    return [{ inputs: [...inputs, w.bias ?? nothing()], attrs, outputs: [w.output] }];
  }
  return [];
}
const isAtLeast = (v: View, x: string, width: number): boolean => {
  const n = v.shape(x)?.at(-1);
  return typeof n === 'number' && n >= width;
};

const fusion: Fusion = {
  name: 'Attention',
  body: attentionBody,
  find: (v, e) => v.nodes('Softmax').flatMap((soft) => place(v, soft, () => e.shared('qc/one/0', () => float32s([0], [1])))),
};
export default fusion;
