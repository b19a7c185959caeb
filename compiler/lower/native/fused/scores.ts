/** Attention as exporters write it: the product of q and kᵀ, its scale and bias, the softmax, the product with v. */
import type { Node } from '../../../graph/types.ts';
import { attrInts, typeOf, type View } from '../../../match/view.ts';
import { lastOf, made, only, permuted } from '../walk.ts';

/** A number that is a constant, or follows from sizes that are known. */
export function known(v: View, value: string | undefined, depth = 12): number | undefined {
  if (value === undefined || depth === 0) return undefined;
  const held = v.scalar(value);
  const n = held === undefined ? v.producer(value) : undefined;
  if (!n) return held;
  const [a, b] = n.inputs;
  const of = (x: string | undefined) => known(v, x, depth - 1);
  switch (typeOf(n)) {
    case 'Cast':
    case 'Squeeze':
    case 'Unsqueeze':
    case 'Identity':
      return of(a);
    case 'Sqrt': {
      const x = of(a);
      return x === undefined ? undefined : Math.sqrt(x);
    }
    case 'Mul':
    case 'Div': {
      const [x, y] = [of(a), of(b)];
      return x === undefined || y === undefined ? undefined : n.op === 'Mul' ? x * y : x / y;
    }
    case 'Gather':
    case 'Slice': {
      const shape = made(v, a, 'Shape');
      const sizes = shape && v.shape(shape.inputs[0]!);
      const at = v.scalar(b!);
      const end = n.op === 'Slice' ? v.scalar(n.inputs[2] ?? '') : undefined;
      if (!sizes || at === undefined || shape.attrs.size > 0) return undefined;
      const index = at < 0 ? at + sizes.length : at;
      if (n.op === 'Slice' && (end === undefined || (end < 0 ? end + sizes.length : Math.min(end, sizes.length)) !== index + 1))
        return undefined;
      const size = sizes[index];
      return typeof size === 'number' ? size : undefined;
    }
    default:
      return undefined;
  }
}

/** A value without the factors before it that are known, and their product. */
export function unscaled(v: View, value: string, factor = 1): { value: string; factor: number } {
  const n = made(v, value, 'Mul', 'Div');
  for (const i of n?.op === 'Mul' ? [0, 1] : [1]) {
    const c = n && known(v, n.inputs[i]);
    if (n && c !== undefined) return unscaled(v, n.inputs[1 - i]!, n.op === 'Mul' ? factor * c : factor / c);
  }
  return { value, factor };
}

/** Heads that are repeated for a group of query heads: Unsqueeze, Expand, Reshape. */
export function unrepeated(v: View, value: string): string {
  const expand = made(v, made(v, value, 'Reshape')?.inputs[0] ?? '', 'Expand');
  const unsqueeze = expand && made(v, expand.inputs[0]!, 'Unsqueeze');
  const axes = unsqueeze && (v.numbers(unsqueeze.inputs[1] ?? '') ?? attrInts(unsqueeze, 'axes'));
  return unsqueeze && axes?.join() === '2' ? unsqueeze.inputs[0]! : value;
}

/** [batch, tokens, heads·dim] behind [batch, heads, tokens, dim]. */
export const flat = (v: View, value: string): string | undefined => made(v, permuted(v, value, [0, 2, 1, 3]) ?? '', 'Reshape')?.inputs[0];

/** The product with v, behind the replacement of NaN in rows without a key. */
function applied(v: View, probs: string): Node | undefined {
  const users = v.consumers(probs);
  const where = users.find((n) => typeOf(n) === 'Where' && n.inputs[2] === probs && v.scalar(n.inputs[1]!) === 0);
  const cleaned = where && made(v, where.inputs[0]!, 'IsNaN')?.inputs[0] === probs && users.length === 2 ? where.outputs[0]! : probs;
  const product = only(v, cleaned);
  return product && typeOf(product) === 'MatMul' && product.inputs[0] === cleaned ? product : undefined;
}

export interface Written {
  /** [batch, heads, queries, dim], without its factors; kᵀ [batch, heads, dim, keys], the same; v [batch, heads, keys, dim]. */
  readonly q: string;
  readonly kt: string;
  readonly value: string;
  /** The product of the factors. */
  readonly scale: number;
  readonly bias?: string;
  /** [batch, queries, heads·dim]. */
  readonly output: string;
}

/** How a softmax may be read as that of an attention: once, or with either side of a sum as the bias. */
export function written(v: View, soft: Node): Written[] {
  const product = applied(v, soft.outputs[0]!);
  const next = product && only(v, product.outputs[0]!);
  const idle = next && typeOf(next) === 'Reshape' && v.shape(next.outputs[0]!)?.join() === v.shape(next.inputs[0]!)?.join();
  const context = idle ? only(v, next.outputs[0]!) : next;
  const merged = context && permuted(v, context.outputs[0]!, [0, 2, 1, 3]) !== undefined ? only(v, context.outputs[0]!) : undefined;
  if (!product || !merged || typeOf(merged) !== 'Reshape' || !lastOf(soft, 4)) return [];
  const sum = made(v, soft.inputs[0]!, 'Add');
  return (sum ? [0, 1] : [-1]).flatMap((side): Written[] => {
    const scores = unscaled(v, side < 0 ? soft.inputs[0]! : sum!.inputs[side]!);
    const qk = made(v, scores.value, 'MatMul');
    if (!qk) return [];
    const q = unscaled(v, qk.inputs[0]!, scores.factor);
    const kt = unscaled(v, qk.inputs[1]!, q.factor);
    const bias = sum ? { bias: sum.inputs[1 - side]! } : {};
    return [{ q: q.value, kt: kt.value, value: product.inputs[1]!, scale: kt.factor, output: merged.outputs[0]!, ...bias }];
  });
}
