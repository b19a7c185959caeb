/** Reading a graph backwards and forwards, one node at a time. */
import type { View } from '../../../match/view.ts';
import type { QuantizedValue } from '../../../simulated.ts';
import { made } from '../walk.ts';

/** x of x·σ(x). */
export function siluOf(v: View, value: string): string | undefined {
  const n = made(v, value, 'Mul');
  for (const [x, s] of n ? [n.inputs, [...n.inputs].reverse()] : [])
    if (x !== undefined && made(v, s, 'Sigmoid')?.inputs[0] === x) return x;
  return undefined;
}

/** Can an operator hold these codes itself: static bytes, in the whole range? */
export function isByte(q: QuantizedValue): boolean {
  const { codes, mode } = q.type;
  return codes?.kind === 'int' && codes.bits === 8 && codes.hi - codes.lo === 255 && mode === 'static' && q.scale !== undefined;
}
