/** Steps through a graph that several fusions take. */
import type { Node } from '../../graph/types.ts';
import { attrInt, attrInts, typeOf, type View } from '../../match/view.ts';

/** The node of one of these types that yields a value. */
export const made = (v: View, value: string | undefined, ...types: string[]): Node | undefined => {
  const n = value === undefined ? undefined : v.producer(value);
  return n && types.includes(typeOf(n)) ? n : undefined;
};

/** The one node that reads a value, beside those that read its shape. */
export const only = (v: View, value: string): Node | undefined => {
  const all = v.consumers(value).filter((n) => n.op !== 'Shape');
  return all.length === 1 && !v.isOutput(value) ? all[0] : undefined;
};

/** What a Transpose of this permutation reads. */
export const permuted = (v: View, value: string | undefined, perm: readonly number[]): string | undefined => {
  const n = made(v, value, 'Transpose');
  return n && attrInts(n, 'perm')?.join() === perm.join() ? n.inputs[0] : undefined;
};

/** Is a node's axis the last one? */
export const lastOf = (n: Node, rank: number): boolean => [-1, rank - 1].includes(attrInt(n, 'axis', -1));

/** What a reduction over the last axis reads, which stays as one. */
export function reducedRow(v: View, value: string | undefined, type: string, rank: number): string | undefined {
  const n = made(v, value, type);
  const axes = n && (attrInts(n, 'axes') ?? v.numbers(n.inputs[1] ?? ''));
  const last = axes?.length === 1 && [-1, rank - 1].includes(axes[0]!);
  return n && last && attrInt(n, 'keepdims', 1) === 1 ? n.inputs[0] : undefined;
}

/** A value without casts to float. */
export const uncast = (v: View, value: string): string => {
  const n = made(v, value, 'Cast');
  return n && attrInt(n, 'to', 0) === 1 ? n.inputs[0]! : value;
};
