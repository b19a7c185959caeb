/** Rotary position embeddings: which elements are turned together. */
import type { Node } from '../graph/types.ts';
import { label } from './draft.ts';
import { Add, either, isMatch, Mul, match, op, type Pattern, Sub, through, value } from './pattern.ts';
import { attrInt, typeOf, type View } from './view.ts';

export type Pairing = 'half' | 'interleaved';

const x = value('x');
const VIEWS = ['Unsqueeze', 'Squeeze', 'Reshape', 'Flatten', 'Cast', 'Transpose'];

/** The step of a Slice on the last axis. */
const stride = (n: Node, v: View): number | undefined => (n.inputs[4] === undefined ? 1 : v.numbers(n.inputs[4])?.at(-1));
const part = (interleaved: boolean): Pattern =>
  interleaved
    ? op(['Slice', 'Gather', 'Split'], [through(['Reshape'], x)], (n, v) => {
        if (typeOf(n) === 'Slice') return stride(n, v) === 2 ? undefined : `${label(n)} does not take every second element`;
        const axis = attrInt(n, 'axis', 0);
        const rank = v.shape(n.inputs[0]!)?.length;
        const pairs = v.producer(n.inputs[0]!)?.op === 'Reshape' && (axis === -1 || axis === (rank ?? 0) - 1);
        return pairs ? undefined : `${label(n)} does not take one of each pair`;
      })
    : op(['Slice', 'Split'], [x], (n, v) => (typeOf(n) === 'Slice' && stride(n, v) !== 1 ? `${label(n)} skips elements` : undefined));
const negated = (p: Pattern): Pattern => either(op('Neg', [p]), Mul(p, value('minus')));

/** x·cos + rotate(x)·sin, and the two halves written out: (a·cos − b·sin, b·cos + a·sin). */
function spelt(interleaved: boolean): Pattern {
  const p = part(interleaved);
  const rotated = through(VIEWS, op('Concat', [through(VIEWS, negated(through(VIEWS, p))), through(VIEWS, p)]));
  const turned = Add(Mul(x, value('cos')), Mul(rotated, value('sin')));
  const [a, b] = [through(VIEWS, p), through(VIEWS, p)];
  const real = Sub(Mul(a, value('c1')), Mul(b, value('s1')));
  const imaginary = Add(Mul(b, value('c2')), Mul(a, value('s2')));
  return either(turned, op('Concat', [through(VIEWS, real), through(VIEWS, imaginary)]));
}
const PATTERNS: readonly (readonly [Pairing, Pattern])[] = [
  ['half', spelt(false)],
  ['interleaved', spelt(true)],
];

/** The pairing of a rotary embedding among these nodes, if there is one. */
export function pairing(v: View, nodes: readonly Node[]): Pairing | undefined {
  for (const n of nodes) {
    const type = typeOf(n);
    if (type === 'RotaryEmbedding' || type === 'com.microsoft::RotaryEmbedding') {
      return attrInt(n, 'interleaved', 0) === 1 ? 'interleaved' : 'half';
    }
    if (type !== 'Add' && type !== 'Concat') continue;
    for (const [pair, pattern] of PATTERNS) {
      const m = match(v, pattern, n.outputs[0]!);
      if (isMatch(m)) return pair;
    }
  }
  return undefined;
}
