/** Operators whose weights lie in a layout of their own: MatMulNBits, GatherBlockQuantized. */
import type { Attr } from '../graph/types.ts';
import { attrInt } from '../match/view.ts';
import type { Reading } from './floats.ts';
import { withSums } from './products.ts';
import type { Rule } from './rule.ts';

export const matMulNBits: Rule = async (r, n) => {
  const [a = '', codes = '', scales = '', zeros = '', , bias = ''] = n.inputs;
  const [k, out, bits, block] = ['K', 'N', 'bits', 'block_size'].map((name) => attrInt(n, name, name === 'bits' ? 4 : 0)) as [
    number,
    number,
    number,
    number,
  ];
  const s = r.constants.scales(scales);
  if (!s || !k || !out) return false;
  const held = r.initializer(codesBase(r, codes), [out, k]);
  const turned = `${n.outputs[0]}/weight`;
  r.emit('Transpose', [held], turned, n, new Map<string, Attr>([['perm', { type: 'ints', value: [1, 0] }]]));
  const known = r.state(a);
  const y = withSums(r, n, bias ? [bias] : [], (o) => r.emit('MatMul', [known?.kind === 'fake' ? known.x : a, turned], o, n));
  r.note(y, { format: 'int', bits, symmetric: zeros === '', scales: s.count, block });
  if (attrInt(n, 'accuracy_level', 0) === 4)
    r.notes.inputs.set(`${y.outputs[0]}#0`, { format: 'int', bits: 8, symmetric: true, mode: 'dynamic', per: 'group', group: block });
  else if (known?.kind === 'fake') r.notes.inputs.set(`${y.outputs[0]}#0`, known.facts);
  return true;
};

/** The weight's own name behind Reshapes of its codes. */
export function codesBase(r: Reading, codes: string): string {
  const n = r.constants.tensor(codes) ? undefined : r.constants.producer(codes);
  if (n) return codesBase(r, n.inputs[0] ?? '');
  return codes.replace(/(\/codes(_\d+)?|_Q\d\w*|_q\d\w*|\.qweight)$/, '');
}

export const gatherBlockQuantized: Rule = async (r, n) => {
  const [codes = '', ids = '', scales = '', zeros = ''] = n.inputs;
  const bits = attrInt(n, 'bits', 4);
  const block = attrInt(n, 'block_size', 128);
  const s = r.constants.scales(scales);
  const shape = r.shape(scales);
  const [rows, groups] = shape ?? [];
  if (!s || typeof rows !== 'number' || typeof groups !== 'number') return false;
  const g = r.emit('Gather', [r.initializer(codesBase(r, codes), [rows, groups * block]), ids], n.outputs[0] ?? '', n);
  r.note(g, { format: 'int', bits, symmetric: zeros === '', scales: s.count, block });
  return true;
};
