import type { Tensor } from '../../../compiler/graph/types.ts';
import { attentionBody } from '../../../compiler/lower/native/attentionbody.ts';
import { type CacheOp, cacheAttributes, cacheBody, cacheName, type Store, sideNames } from '../../../compiler/lower/native/cachebody.ts';
import { bytes, type Family, filled, floats, one, positive, type Stock } from './case.ts';

const stores: readonly Store[] = ['floats', 'rounded', 'half', 'q8', 'q4'];
const ops: readonly CacheOp[] = stores.flatMap((store) => [true, false].map((zeros) => ({ store, zeros })));
const limits = (bits: number) => ({
  lo: { float: 0 },
  hi: { float: 2 ** bits - 1 },
  shift: { float: 0 },
  top: { float: 2 ** (bits - 1) - 1 },
  middle: { float: 2 ** (bits - 1) },
});

/** One token of 32 heads of 64 over a cache of 4 heads and 1023 tokens. */
const attention: Family = (name, size) => {
  const op = ops.find((o) => cacheName(o) === name);
  if (!op) return undefined;
  const [heads, kv, d, past, fresh] = size === 'small' ? [4, 2, 8, 5, 3] : [32, 4, 64, 1023, 1];
  const cache = (seed: number): Tensor => {
    if (op.store === 'q8') return bytes('uint8', [1, kv, past, d]);
    if (op.store === 'q4') return bytes('uint8', [1, kv, past, d / 2]);
    return floats([1, kv, past, d], seed, 1, op.store === 'half' ? 'float16' : 'float32');
  };
  const side = (kind: string): Tensor => (kind === 'scale' ? positive([1, kv, past, 1]) : bytes('uint8', [1, kv, past, 1], 15));
  const sides = sideNames(op);
  const angle = (f: (x: number) => number): Tensor =>
    filled('float32', [1, 1, fresh, d], (i) => f(Math.floor(i / d) + past) / 10 ** (i % (d / 2)));
  const all = limits(op.store === 'q4' ? 4 : 8);
  const attrs = Object.fromEntries(cacheAttributes(op).map((a) => [a, all[a as keyof typeof all]]));
  return {
    inputs: {
      q: floats([1, fresh, heads * d], 1),
      k: floats([1, fresh, kv * d], 2),
      v: floats([1, fresh, kv * d], 3),
      past_key: cache(4),
      past_value: cache(5),
      cos: angle(Math.cos),
      sin: angle(Math.sin),
      bias: one(0),
      ...Object.fromEntries(sides.flatMap((s) => ['key', 'value'].map((c) => [`past_${c}_${s}`, side(s)]))),
    },
    attrs: { heads: [heads, kv, d], scale: { float: 1 / Math.sqrt(d) }, ...attrs },
    outputs: ['y', 'key', 'value', ...sides.flatMap((s) => ['key', 'value'].map((c) => `${c}_${s}`))],
    body: (opset) => cacheBody(op, opset),
    ...(op.store === 'floats' ? { stock: grouped(heads, kv, d, past, fresh) } : {}),
  };
};

const grouped = (heads: number, kv: number, d: number, past: number, fresh: number): Stock => ({
  op: 'GroupQueryAttention',
  domain: 'com.microsoft',
  inputs: {
    k: floats([1, fresh, kv * d], 2),
    v: floats([1, fresh, kv * d], 3),
    past_key: floats([1, kv, past, d], 4),
    past_value: floats([1, kv, past, d], 5),
    seqlens_k: filled('int32', [1], () => past + fresh - 1),
    total: filled('int32', [1], () => past + fresh),
  },
  attrs: { num_heads: heads, kv_num_heads: kv },
  outputs: 3,
});
export default attention;

/** `Attention` without a cache: 197 tokens of 6 heads of 64, from one projection of all three. */
export const plain: Family = (name, size) => {
  if (name !== 'Attention') return undefined;
  const [tokens, heads, d] = size === 'small' ? [5, 2, 8] : [197, 6, 64];
  const shape = [1, tokens, heads * d];
  return {
    inputs: { q: floats(shape, 1), k: floats(shape, 2), v: floats(shape, 3), bias: one(0) },
    attrs: { heads: [heads, heads, d], at: [0, 0, 0], scale: { float: 1 / Math.sqrt(d) } },
    outputs: ['y'],
    body: (opset) => attentionBody(name, opset),
    ...(size === 'usual'
      ? {
          stock: {
            op: 'MultiHeadAttention',
            domain: 'com.microsoft',
            inputs: { k: floats(shape, 2), v: floats(shape, 3) },
            attrs: { num_heads: heads },
          },
        }
      : {}),
  };
};
