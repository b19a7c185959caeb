/** What bodies of attention share: softmax(q·kᵀ·scale + bias)·v by standard operators; and the body of `Attention`, which has no cache. */
import type { Func } from '../../graph/types.ts';
import { Body } from './function.ts';

/** [batch, tokens, heads·dim] as [batch, heads, tokens, dim]; `heads` and `dim` are lists of one number. */
export function headsOf(b: Body, x: string, heads: string, dim: string): string {
  const apart = b.op('Reshape', [x, b.op('Concat', [b.ints([0, 0]), heads, dim], { axis: 0 })]);
  return b.op('Transpose', [apart], { perm: [0, 2, 1, 3] });
}

interface Parts {
  /** [batch, heads, queries, dim]. */
  readonly query: string;
  /** [batch, kv_heads, keys, dim]. */
  readonly key: string;
  readonly value: string;
  /** heads, kv_heads and dim, lists of one number. */
  readonly heads: readonly [string, string, string];
}

/** Yields `y` [batch, queries, heads·dim]; reads the input `bias` and the attribute `scale`. */
export function attended(b: Body, { query, key, value, heads: [h, kv, d] }: Parts): void {
  const [zero, rest, two] = [b.ints([0]), b.ints([-1]), b.ints([2])] as const;
  const shaped = (x: string, ...shape: string[]) => b.op('Reshape', [x, b.op('Concat', shape, { axis: 0 })]);
  const [s, t] = [b.slice(b.op('Shape', [query]), 2, 3), b.slice(b.op('Shape', [key]), 2, 3)] as const;
  const queries = shaped(query, zero, kv, rest, s, d);
  const keys = b.op('Transpose', [b.op('Unsqueeze', [key, two])], { perm: [0, 1, 2, 4, 3] });
  const scores = b.op('Mul', [b.op('MatMul', [queries, keys]), b.floatAttribute('scale')]);
  const sums = b.op('Add', [shaped(scores, zero, h, s, t), 'bias']);
  const empty = b.op('Equal', [b.reduce('ReduceMax', sums), b.float(Number.NEGATIVE_INFINITY)]);
  const probs = b.op('Where', [empty, b.float(0), b.op('Softmax', [sums], { axis: -1 })]);
  const context = b.op('MatMul', [shaped(probs, zero, kv, rest, s, t), b.op('Unsqueeze', [value, two])]);
  const rows = b.op('Transpose', [shaped(context, zero, h, s, d)], { perm: [0, 2, 1, 3] });
  b.op('Reshape', [rows, b.ints([0, 0, -1])], {}, 'y');
}

/** The body of `Attention`: its heads are columns of q, k and v from `at` on. */
export function attentionBody(name: string, opset: number): Func {
  const b = new Body(opset);
  const [heads, at] = [b.attribute('heads'), b.attribute('at')];
  const [h, kv, d] = [b.slice(heads, 0, 1), b.slice(heads, 1, 2), b.slice(heads, 2, 3)] as const;
  const last = b.ints([2]);
  const part = (x: string, i: number, n: string) => {
    const from = b.slice(at, i, i + 1);
    const columns = b.op('Slice', [x, from, b.op('Add', [from, b.op('Mul', [n, d])]), last]);
    return headsOf(b, columns, n, d);
  };
  attended(b, { query: part('q', 0, h), key: part('k', 1, kv), value: part('v', 2, kv), heads: [h, kv, d] });
  const doc = 'softmax(q kᵀ · scale + bias) v, q, k and v columns of their inputs from `at` on; a row without a key is 0';
  return b.function(name, ['q', 'k', 'v', 'bias'], ['y'], ['heads', 'at', 'scale'], doc);
}
