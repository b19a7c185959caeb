/** `CachedAttention…`: softmax(rope(q)·rope(k)ᵀ·scale + bias)·v, keys and values appended to a cache. */
import type { Node } from '../../../graph/types.ts';
import { attrInts, type View } from '../../../match/view.ts';
import { float32s } from '../../make.ts';
import { type CacheOp, cacheAttributes, cacheBody, cacheName, type Store } from '../cachebody.ts';
import type { Fusion, Place } from '../fuse.ts';
import { lastOf, made, permuted } from '../walk.ts';
import { type Cache, cacheOf } from './cache.ts';
import { flat, unrepeated, unscaled, written } from './scores.ts';

interface Turned {
  readonly x: string;
  readonly cos?: string;
  readonly sin?: string;
}
/** x of x·cos + (−second half, first half)·sin; the value itself where it is not turned. */
function turned(v: View, value: string): Turned {
  const add = made(v, value, 'Add');
  const sides = add?.inputs.map((i) => made(v, i, 'Mul'));
  for (const [a, b] of sides ? [sides, [...sides].reverse()] : [])
    for (const [i, j] of [
      [0, 0],
      [0, 1],
      [1, 0],
      [1, 1],
    ] as const) {
      const concat = b && made(v, b.inputs[j]!, 'Concat');
      if (!a || !b || !concat || concat.inputs.length !== 2 || !lastOf(concat, 4)) continue;
      const x = a.inputs[i]!;
      const high = made(v, made(v, concat.inputs[0]!, 'Neg')?.inputs[0] ?? '', 'Slice');
      const low = made(v, concat.inputs[1]!, 'Slice');
      if (high?.inputs[0] === x && low?.inputs[0] === x && halves(v, low, high)) return { x, cos: a.inputs[1 - i]!, sin: b.inputs[1 - j]! };
    }
  return { x: value };
}
/** Are these the first and the second half of the last axis? Bounds that are computed from the shape are taken to be its middle. */
function halves(v: View, low: Node, high: Node): boolean {
  const [start, end, from] = [v.scalar(low.inputs[1]!), v.scalar(low.inputs[2]!), v.scalar(high.inputs[1]!)];
  const whole = v.shape(low.inputs[0]!)?.at(-1);
  const step = [low, high].every((n) => n.inputs[4] === undefined || v.scalar(n.inputs[4]) === 1);
  const axis = [low, high].every((n) => [3, -1].includes(v.scalar(n.inputs[3] ?? '') ?? 0));
  const middle = end === from && (end === undefined || typeof whole !== 'number' || end * 2 === whole);
  return step && axis && start === 0 && middle;
}

/** Angles have one head: [batch, 1, tokens, dim]. */
function forAllHeads(v: View, angles: string): boolean {
  const n = made(v, angles, 'Unsqueeze');
  const axes = n && (v.numbers(n.inputs[1] ?? '') ?? attrInts(n, 'axes'));
  const shape = v.shape(angles);
  return shape ? shape.length === 4 && shape[1] === 1 : axes?.join() === '1';
}

interface Parts {
  readonly inputs: readonly [q: string, k: string, v: string];
  readonly caches: readonly [key: Cache, value: Cache];
  readonly angles?: readonly [cos: string, sin: string];
  readonly bias?: string;
  readonly scale: number;
  readonly output: string;
}

function parts(v: View, soft: Node): Parts | undefined {
  for (const w of written(v, soft)) {
    const inner = permuted(v, w.kt, [0, 1, 3, 2]);
    if (inner === undefined) continue;
    const k = unscaled(v, inner, w.scale);
    const [key, value] = [unrepeated(v, k.value), unrepeated(v, w.value)];
    const [keys, values] = [cacheOf(v, key), cacheOf(v, value)];
    if (!keys || !values || cacheName(keys.op) !== cacheName(values.op) || JSON.stringify(keys.type) !== JSON.stringify(values.type))
      continue;
    const [tq, tk] = [turned(v, w.q), turned(v, keys.fresh)];
    const [fq, fk, fv] = [flat(v, tq.x), flat(v, tk.x), flat(v, values.fresh)];
    if (fq === undefined || fk === undefined || fv === undefined) continue;
    if (v.origin(tq.cos ?? '') !== v.origin(tk.cos ?? '') || v.origin(tq.sin ?? '') !== v.origin(tk.sin ?? '')) continue;
    if (tq.cos !== undefined && !(forAllHeads(v, tq.cos) && forAllHeads(v, tq.sin!))) continue;
    return {
      inputs: [fq, fk, fv],
      caches: [keys, values],
      ...(tq.cos === undefined ? {} : { angles: [tq.cos, tq.sin!] }),
      ...(w.bias === undefined ? {} : { bias: w.bias }),
      scale: k.factor,
      output: w.output,
    };
  }
  return undefined;
}

/** Key and value of each part of the caches in turn. */
const both = (p: Parts, of: (c: Cache) => readonly string[]): string[] => of(p.caches[0]).flatMap((_, i) => p.caches.map((c) => of(c)[i]!));

const fusion = (op: CacheOp): Fusion => ({
  name: cacheName(op),
  body: (_, opset) => cacheBody(op, opset),
  find(v, e): Place[] {
    return v.nodes('Softmax').flatMap((soft): Place[] => {
      const p = parts(v, soft);
      if (!p || cacheName(p.caches[0].op) !== cacheName(op)) return [];
      const [q, k] = p.inputs;
      const past = v.shape(p.caches[0].pasts[0]!);
      const wide = op.store === 'q4' ? 2 : 1;
      const [kvHeads, dim] = [past?.[1], typeof past?.[3] === 'number' ? past[3] * wide : undefined];
      const [width, kvWidth] = [v.shape(q)?.at(-1), v.shape(k)?.at(-1)];
      if (![kvHeads, dim, width, kvWidth].every((n) => typeof n === 'number') || v.dtype(p.output) !== 'float32') return [];
      const [kv, d, w] = [kvHeads as number, dim as number, width as number];
      if (kvWidth !== kv * d || w % (kv * d) !== 0 || v.shape(p.output)?.at(-1) !== w) return [];
      const constant = (value: number) => e.shared(`qc/one/${value}`, () => float32s([value], [1]));
      const [cos, sin] = p.angles ?? [constant(1), constant(0)];
      const [pasts, presents] = [both(p, (c) => c.pasts), both(p, (c) => c.presents)];
      const inputs = [...p.inputs, ...pasts.slice(0, 2), cos, sin, p.bias ?? constant(0), ...pasts.slice(2)];
      const of = p.caches[0].type as Readonly<Record<string, number>> | undefined;
      const codes = Object.fromEntries(cacheAttributes(op).map((name) => [name, { float: of?.[name] ?? 0 }]));
      const attrs = { heads: [w / d, kv, d], scale: { float: p.scale }, ...codes };
      return [{ inputs, attrs, outputs: [p.output, ...presents] }];
    });
  },
});

const stores: readonly Store[] = ['floats', 'rounded', 'half', 'q8', 'q4'];
/** One for each kind of cache. */
export const attentions: readonly Fusion[] = stores.flatMap((store) =>
  (store === 'floats' || store === 'half' ? [false] : [true, false]).map((zeros) => fusion({ store, zeros })),
);
