/** Reading a graph backwards and forwards, one node at a time. */
import type { Node } from '../../../graph/types.ts';
import { attrInts, typeOf, type View } from '../../../match/view.ts';
import type { QuantizedValue } from '../../../simulated.ts';

/** The node of one of these types that yields a value. */
export const made = (v: View, value: string | undefined, ...types: string[]): Node | undefined => {
  const n = value === undefined ? undefined : v.producer(value);
  return n && types.includes(typeOf(n)) ? n : undefined;
};
/** The one node that reads a value, beside those that read its shape; none where it is an output of the model. */
export const only = (v: View, value: string): Node | undefined => {
  const all = v.consumers(value).filter((n) => n.op !== 'Shape');
  return all.length === 1 && !v.isOutput(value) ? all[0] : undefined;
};
/** What a Transpose by `perm` reads. */
export const permuted = (v: View, value: string | undefined, perm: readonly number[]): string | undefined => {
  const n = made(v, value, 'Transpose');
  return n && attrInts(n, 'perm')?.join() === perm.join() ? n.inputs[0] : undefined;
};
/** x of x·σ(x). */
export function siluOf(v: View, value: string): string | undefined {
  const n = made(v, value, 'Mul');
  for (const [x, s] of n ? [n.inputs, [...n.inputs].reverse()] : [])
    if (x !== undefined && made(v, s, 'Sigmoid')?.inputs[0] === x) return x;
  return undefined;
}

/** Can an operator hold these codes itself: static int8 around zero, in the whole range? */
export function isInt8(q: QuantizedValue): boolean {
  const { codes, mode, symmetric } = q.type;
  if (codes?.kind !== 'int' || codes.bits !== 8 || !codes.signed || codes.lo !== -128 || codes.hi !== 127) return false;
  return mode === 'static' && symmetric && q.scale !== undefined && !q.zero?.some((z) => z !== 0);
}
