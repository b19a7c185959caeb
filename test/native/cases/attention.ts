import type { Tensor } from '../../../compiler/graph/types.ts';
import { attentionBody } from '../../../compiler/lower/native/attentionbody.ts';
import { type CacheOp, cacheAttributes, cacheBody, cacheName, type Store, sideNames } from '../../../compiler/lower/native/cachebody.ts';
import { bytes, type Family, filled, floats, one, positive, type Size, type Stock } from './case.ts';

const stores: readonly Store[] = ['floats', 'rounded', 'half', 'q8', 'q4'];
const ops: readonly CacheOp[] = stores.flatMap((store) => [true, false].map((zeros) => ({ store, zeros })));
const limits = (bits: number) => ({
  lo: { float: 0 },
  hi: { float: 2 ** bits - 1 },
  shift: { float: 0 },
  top: { float: 2 ** (bits - 1) - 1 },
  middle: { float: 2 ** (bits - 1) },
});

/** Tokens before and new ones. */
const lengths: Readonly<Record<string, readonly [past: number, fresh: number]>> = {
  'after 256': [256, 1],
  'after 1024': [1024, 1],
  'causal 256': [0, 256],
  'causal 1024': [0, 1024],
};
/** What attention is measured at; nothing of another operator. */
export const attentionSizes = (name: string): readonly Size[] | undefined =>
  ops.some((o) => cacheName(o) === name) ? Object.keys(lengths) : name === 'Attention' ? ['usual', 'of 256', 'of 1024'] : undefined;

/** 32 heads of 64 over a cache of 4 heads. */
const attention: Family = (name, size) => {
  const op = ops.find((o) => cacheName(o) === name);
  if (!op) return undefined;
  const [past, fresh] = lengths[size] ?? (size === 'small' ? [5, 3] : [1023, 1]);
  const [heads, kv, d] = size === 'small' ? [4, 2, 8] : [32, 4, 64];
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
      // What comes later is masked.
      bias: fresh > 3 ? filled('float32', [1, 1, fresh, fresh], (i) => (i % fresh > Math.floor(i / fresh) ? -3.4e38 : 0)) : one(0),
      ...Object.fromEntries(sides.flatMap((s) => ['key', 'value'].map((c) => [`past_${c}_${s}`, side(s)]))),
    },
    attrs: { heads: [heads, kv, d], scale: { float: 1 / Math.sqrt(d) }, ...attrs },
    outputs: ['y', 'key', 'value', ...sides.flatMap((s) => ['key', 'value'].map((c) => `${c}_${s}`))],
    body: (opset) => cacheBody(op, opset),
    ...(size === 'small' ? {} : { stock: grouped(heads, kv, d, past, fresh) }),
  };
};

/** The same over a cache of floats, with rotary embedding and a causal mask of its own. */
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
    cos: floats([past + fresh, d / 2], 6),
    sin: floats([past + fresh, d / 2], 7),
  },
  attrs: { num_heads: heads, kv_num_heads: kv, do_rotary: 1 },
  outputs: ['y', 'key', 'value'],
});
export default attention;

/** `Attention` without a cache: 197 tokens of 6 heads of 64, or more of 16. */
export const plain: Family = (name, size) => {
  if (name !== 'Attention') return undefined;
  const [tokens, heads, d] = size === 'small' ? [5, 2, 8] : [Number(size.slice(3)) || 197, size === 'usual' ? 6 : 16, 64];
  const shape = [1, tokens, heads * d];
  return {
    inputs: { q: floats(shape, 1), k: floats(shape, 2), v: floats(shape, 3), bias: one(0) },
    attrs: { heads: [heads, heads, d], at: [0, 0, 0], scale: { float: 1 / Math.sqrt(d) } },
    outputs: ['y'],
    body: (opset) => attentionBody(name, opset),
    ...(size !== 'small'
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
