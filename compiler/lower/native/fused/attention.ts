/** `CachedAttention…`: softmax(rope(q)·rope(k)ᵀ·scale + bias)·v, keys and values appended to a cache. */
import type { Node } from '../../../graph/types.ts';
import { attrInts, typeOf, type View } from '../../../match/view.ts';
import { float32s } from '../../make.ts';
import { type CacheOp, cacheAttributes, cacheBody, cacheName, type Store } from '../cachebody.ts';
import type { Fusion, Place } from '../fuse.ts';
import { lastOf, made, only, permuted } from '../walk.ts';
import { type Cache, cacheOf } from './cache.ts';

/** A value without the constant factors before it, and their product. */
function unscaled(v: View, value: string, factor = 1): { value: string; factor: number } {
  const n = made(v, value, 'Mul', 'Div');
  for (const i of n?.op === 'Mul' ? [0, 1] : [1]) {
    const c = n && v.scalar(n.inputs[i]!);
    if (n && c !== undefined) return unscaled(v, n.inputs[1 - i]!, n.op === 'Mul' ? factor * c : factor / c);
  }
  return { value, factor };
}

/** Heads that are repeated for a group of query heads: Unsqueeze, Expand, Reshape. */
function unrepeated(v: View, value: string): string {
  const expand = made(v, made(v, value, 'Reshape')?.inputs[0] ?? '', 'Expand');
  const unsqueeze = expand && made(v, expand.inputs[0]!, 'Unsqueeze');
  const axes = unsqueeze && (v.numbers(unsqueeze.inputs[1] ?? '') ?? attrInts(unsqueeze, 'axes'));
  return unsqueeze && axes?.join() === '2' ? unsqueeze.inputs[0]! : value;
}

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

/** [batch, tokens, heads·dim] behind [batch, heads, tokens, dim]. */
const flat = (v: View, value: string): string | undefined => made(v, permuted(v, value, [0, 2, 1, 3]) ?? '', 'Reshape')?.inputs[0];

/** The product with v, behind the replacement of NaN in rows without a key. */
function applied(v: View, probs: string): Node | undefined {
  const users = v.consumers(probs);
  const where = users.find((n) => typeOf(n) === 'Where' && n.inputs[2] === probs && v.scalar(n.inputs[1]!) === 0);
  const cleaned = where && made(v, where.inputs[0]!, 'IsNaN')?.inputs[0] === probs && users.length === 2 ? where.outputs[0]! : probs;
  const product = only(v, cleaned);
  return product && typeOf(product) === 'MatMul' && product.inputs[0] === cleaned ? product : undefined;
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
  const product = applied(v, soft.outputs[0]!);
  const next = product && only(v, product.outputs[0]!);
  const idle = next && typeOf(next) === 'Reshape' && v.shape(next.outputs[0]!)?.join() === v.shape(next.inputs[0]!)?.join();
  const context = idle ? only(v, next.outputs[0]!) : next;
  const merged = context && permuted(v, context.outputs[0]!, [0, 2, 1, 3]) !== undefined ? only(v, context.outputs[0]!) : undefined;
  if (!product || !merged || typeOf(merged) !== 'Reshape' || !lastOf(soft, 4)) return undefined;
  const sum = made(v, soft.inputs[0]!, 'Add');
  for (const side of sum ? [0, 1] : [-1]) {
    const scores = unscaled(v, side < 0 ? soft.inputs[0]! : sum!.inputs[side]!);
    const qk = made(v, scores.value, 'MatMul');
    const q = qk && unscaled(v, qk.inputs[0]!, scores.factor);
    const kt = qk && q && unscaled(v, qk.inputs[1]!, q.factor);
    const inner = kt && permuted(v, kt.value, [0, 1, 3, 2]);
    const k = kt && inner !== undefined ? unscaled(v, inner, kt.factor) : undefined;
    if (!q || !k) continue;
    const [key, value] = [unrepeated(v, k.value), unrepeated(v, product.inputs[1]!)];
    const [keys, values] = [cacheOf(v, key), cacheOf(v, value)];
    if (!keys || !values || cacheName(keys.op) !== cacheName(values.op) || JSON.stringify(keys.type) !== JSON.stringify(values.type))
      continue;
    const [tq, tk] = [turned(v, q.value), turned(v, keys.fresh)];
    const [fq, fk, fv] = [flat(v, tq.x), flat(v, tk.x), flat(v, values.fresh)];
    if (fq === undefined || fk === undefined || fv === undefined) continue;
    if (v.origin(tq.cos ?? '') !== v.origin(tk.cos ?? '') || v.origin(tq.sin ?? '') !== v.origin(tk.sin ?? '')) continue;
    if (tq.cos !== undefined && !(forAllHeads(v, tq.cos) && forAllHeads(v, tq.sin!))) continue;
    return {
      inputs: [fq, fk, fv],
      caches: [keys, values],
      ...(tq.cos === undefined ? {} : { angles: [tq.cos, tq.sin!] }),
      ...(sum ? { bias: sum.inputs[1 - side]! } : {}),
      scale: k.factor,
      output: merged.outputs[0]!,
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
