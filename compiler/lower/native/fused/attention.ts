/** `CachedAttention`: softmax(rope(q)·rope(k)ᵀ·scale + bias)·v, keys and values appended to a cache. */
import type { Node } from '../../../graph/types.ts';
import { attrInt, attrInts, typeOf, type View } from '../../../match/view.ts';
import { float32s } from '../../make.ts';
import { Body } from '../function.ts';
import type { Fusion, Place } from '../fuse.ts';

const NAME = 'CachedAttention';

/** The node of this type that yields a value. */
const made = (v: View, value: string, ...types: string[]): Node | undefined => {
  const n = v.producer(value);
  return n && types.includes(typeOf(n)) ? n : undefined;
};
/** The one node that reads a value, beside those that read its shape. */
const only = (v: View, value: string): Node | undefined => {
  const all = v.consumers(value).filter((n) => n.op !== 'Shape');
  return all.length === 1 && !v.isOutput(value) ? all[0] : undefined;
};
const permuted = (v: View, value: string, perm: string): string | undefined => {
  const n = made(v, value, 'Transpose');
  return n && attrInts(n, 'perm')?.join() === perm ? n.inputs[0] : undefined;
};
const lastOf = (n: Node, rank: number): boolean => [-1, rank - 1].includes(attrInt(n, 'axis', -1));

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
const flat = (v: View, value: string): string | undefined => made(v, permuted(v, value, '0,2,1,3') ?? '', 'Reshape')?.inputs[0];

/** The parts of a cache: what was there, what is new. */
function appended(v: View, value: string): { past: string; fresh: string } | undefined {
  const n = made(v, value, 'Concat');
  return n?.inputs.length === 2 && [2, -2].includes(attrInt(n, 'axis', 0)) ? { past: n.inputs[0]!, fresh: n.inputs[1]! } : undefined;
}

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
  readonly inputs: readonly [q: string, k: string, v: string, pastKey: string, pastValue: string];
  readonly angles?: readonly [cos: string, sin: string];
  readonly bias?: string;
  readonly scale: number;
  readonly outputs: readonly string[];
}

function parts(v: View, soft: Node): Parts | undefined {
  const product = applied(v, soft.outputs[0]!);
  const next = product && only(v, product.outputs[0]!);
  const idle = next && typeOf(next) === 'Reshape' && v.shape(next.outputs[0]!)?.join() === v.shape(next.inputs[0]!)?.join();
  const context = idle ? only(v, next.outputs[0]!) : next;
  const merged = context && permuted(v, context.outputs[0]!, '0,2,1,3') !== undefined ? only(v, context.outputs[0]!) : undefined;
  if (!product || !merged || typeOf(merged) !== 'Reshape' || !lastOf(soft, 4)) return undefined;
  const sum = made(v, soft.inputs[0]!, 'Add');
  for (const side of sum ? [0, 1] : [-1]) {
    const scores = unscaled(v, side < 0 ? soft.inputs[0]! : sum!.inputs[side]!);
    const qk = made(v, scores.value, 'MatMul');
    const q = qk && unscaled(v, qk.inputs[0]!, scores.factor);
    const kt = qk && q && unscaled(v, qk.inputs[1]!, q.factor);
    const inner = kt && permuted(v, kt.value, '0,1,3,2');
    const k = kt && inner !== undefined ? unscaled(v, inner, kt.factor) : undefined;
    if (!q || !k) continue;
    const [key, value] = [unrepeated(v, k.value), unrepeated(v, product.inputs[1]!)];
    const [keys, values] = [appended(v, key), appended(v, value)];
    if (!keys || !values) continue;
    const [tq, tk] = [turned(v, q.value), turned(v, keys.fresh)];
    const [fq, fk, fv] = [flat(v, tq.x), flat(v, tk.x), flat(v, values.fresh)];
    if (fq === undefined || fk === undefined || fv === undefined) continue;
    if (v.origin(tq.cos ?? '') !== v.origin(tk.cos ?? '') || v.origin(tq.sin ?? '') !== v.origin(tk.sin ?? '')) continue;
    if (tq.cos !== undefined && !(forAllHeads(v, tq.cos) && forAllHeads(v, tq.sin!))) continue;
    return {
      inputs: [fq, fk, fv, keys.past, values.past],
      ...(tq.cos === undefined ? {} : { angles: [tq.cos, tq.sin!] }),
      ...(sum ? { bias: sum.inputs[1 - side]! } : {}),
      scale: k.factor,
      outputs: [merged.outputs[0]!, key, value],
    };
  }
  return undefined;
}

const fusion: Fusion = {
  name: NAME,
  body(opset) {
    const b = new Body(opset);
    const heads = b.attribute('heads');
    const [h, kv, d] = [b.slice(heads, 0, 1), b.slice(heads, 1, 2), b.slice(heads, 2, 3)] as const;
    const [zero, rest, two] = [b.ints([0]), b.ints([-1]), b.ints([2])] as const;
    const shaped = (x: string, ...shape: string[]) => b.op('Reshape', [x, b.op('Concat', shape, { axis: 0 })]);
    const split = (x: string, n: string) => b.op('Transpose', [shaped(x, zero, zero, n, d)], { perm: [0, 2, 1, 3] });
    const half = b.op('Div', [d, two]);
    const axis = b.ints([3]);
    const turn = (x: string) => {
      const low = b.op('Slice', [x, zero, half, axis]);
      const high = b.op('Slice', [x, half, d, axis]);
      const across = b.op('Concat', [b.op('Neg', [high]), low], { axis: 3 });
      return b.op('Add', [b.op('Mul', [x, 'cos']), b.op('Mul', [across, 'sin'])]);
    };
    b.op('Concat', ['past_key', turn(split('k', kv))], { axis: 2 }, 'key');
    b.op('Concat', ['past_value', split('v', kv)], { axis: 2 }, 'value');
    const [s, t] = [b.slice(b.op('Shape', ['q']), 1, 2), b.slice(b.op('Shape', ['key']), 2, 3)] as const;
    const queries = shaped(turn(split('q', h)), zero, kv, rest, s, d);
    const keys = b.op('Transpose', [b.op('Unsqueeze', ['key', two])], { perm: [0, 1, 2, 4, 3] });
    const scores = b.op('Mul', [b.op('MatMul', [queries, keys]), b.floatAttribute('scale')]);
    const sums = b.op('Add', [shaped(scores, zero, h, s, t), 'bias']);
    const empty = b.op('Equal', [b.reduce('ReduceMax', sums), b.float(Number.NEGATIVE_INFINITY)]);
    const probs = b.op('Where', [empty, b.float(0), b.op('Softmax', [sums], { axis: -1 })]);
    const context = b.op('MatMul', [shaped(probs, zero, kv, rest, s, t), b.op('Unsqueeze', ['value', two])]);
    const rows = b.op('Transpose', [shaped(context, zero, h, s, d)], { perm: [0, 2, 1, 3] });
    b.op('Reshape', [rows, b.ints([0, 0, -1])], {}, 'y');
    const doc = 'softmax(rope(q) rope(k)ᵀ · scale + bias) v over a cache; a row without a key is 0';
    const inputs = ['q', 'k', 'v', 'past_key', 'past_value', 'cos', 'sin', 'bias'];
    return b.function(NAME, inputs, ['y', 'key', 'value'], ['heads', 'scale'], doc);
  },
  find(v, e): Place[] {
    return v.nodes('Softmax').flatMap((soft): Place[] => {
      const p = parts(v, soft);
      if (!p) return [];
      const [q, k, , past] = p.inputs;
      const [kvHeads, dim] = [v.shape(past)?.[1], v.shape(past)?.[3]];
      const [width, kvWidth] = [v.shape(q)?.at(-1), v.shape(k)?.at(-1)];
      if (![kvHeads, dim, width, kvWidth].every((n) => typeof n === 'number') || v.dtype(p.outputs[0]!) !== 'float32') return [];
      const [kv, d, w] = [kvHeads as number, dim as number, width as number];
      if (kvWidth !== kv * d || w % (kv * d) !== 0 || v.shape(p.outputs[0]!)?.at(-1) !== w) return [];
      const constant = (value: number) => e.shared(`qc/one/${value}`, () => float32s([value], [1]));
      const [cos, sin] = p.angles ?? [constant(1), constant(0)];
      const inputs = [...p.inputs, cos, sin, p.bias ?? constant(0)];
      return [{ inputs, attrs: { heads: [w / d, kv, d], scale: { float: p.scale } }, outputs: p.outputs }];
    });
  },
};
export default fusion;
