import type { Role } from '../define.ts';
import type { Node } from '../graph/types.ts';
import { activation, type Draft, type Found, label } from '../match/draft.ts';
import { Div, Exp, either, isMatch, match, op, type Pattern, Sub, value } from '../match/pattern.ts';
import { attrInt, attrInts, type View } from '../match/view.ts';

const x = value('x');
const along = (type: string, of: Pattern): Pattern =>
  op(type, [of], (n, v) => {
    const axes = attrInts(n, 'axes') ?? v.numbers(n.inputs[1] ?? '');
    return axes?.length === 1 && attrInt(n, 'keepdims', 1) === 1 ? undefined : `${label(n)} does not reduce one axis`;
  });
const powers = either(Exp(Sub(x, along('ReduceMax', x))), Exp(x));
const written = Div(powers, along('ReduceSum', powers));

function draft(v: View, nodes: readonly Node[], input: string, form: string, axis: number): Draft {
  return {
    role: 'softmax',
    ports: { input: activation(v, 'input', input), output: activation(v, 'output', nodes.at(-1)!.outputs[0]!) },
    nodes,
    form,
    facts: { axis },
    size: 0,
  };
}

/** Softmax, as an operator and written out. */
const softmax: Role = {
  name: 'softmax',
  since: '0.1.0',
  doc: 'Softmax, also written out as Exp / ReduceSum.',
  params: {},
  ports: ['input', 'output'],
  match(v): Found {
    const old = (v.model.opsets.get('') ?? 13) < 13;
    const drafts = v.nodes('Softmax').map((n) => draft(v, [n], n.inputs[0]!, 'Softmax', attrInt(n, 'axis', old ? 1 : -1)));
    for (const n of v.nodes('Exp').flatMap((e) => v.consumers(e.outputs[0]!))) {
      const m = n.op === 'Div' ? match(v, written, n.outputs[0]!) : undefined;
      if (!m || !isMatch(m)) continue;
      const sum = m.nodes.find((k) => k.op === 'ReduceSum')!;
      const axis = (attrInts(sum, 'axes') ?? v.numbers(sum.inputs[1] ?? ''))![0]!;
      drafts.push(draft(v, m.nodes, m.values.get('x')!, 'softmax-primitive', axis));
    }
    return { drafts, misses: [] };
  },
};
export default softmax;
