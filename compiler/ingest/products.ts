/** Products of codes, as the float products that they stand for. */
import type { Node } from '../graph/types.ts';
import type { WeightFacts } from './facts.ts';
import type { Reading } from './floats.ts';
import type { Rule } from './rule.ts';
import type { Of } from './states.ts';

/** A product x·W (or of two values) whose scales are all known. */
export async function product(r: Reading, n: Node, p: Of<'product'>, scales: string | undefined): Promise<boolean> {
  const op = p.node.op.includes('Conv') ? 'Conv' : 'MatMul';
  const b = r.state(p.b);
  const out = n.outputs[0] ?? '';
  if (b?.kind === 'codes') {
    const y = r.emit(op, [p.a.x, b.x], out, n, p.node.attrs);
    r.notes.inputs.set(`${out}#0`, p.a.facts);
    r.notes.inputs.set(`${out}#1`, b.facts);
    return y !== undefined;
  }
  const found = scales === undefined ? undefined : r.constants.scales(scales);
  const w = await r.weight(p.b);
  if (!w || !found) return false;
  const symmetric = await zeroMiddle(r, p.zero, w.weight);
  const y = r.emit(op, [p.a.x, w.name], out, n, p.node.attrs);
  r.note(y, { ...w.weight, symmetric, scales: found.count, scaleShape: found.shape });
  r.notes.inputs.set(`${out}#0`, p.a.facts);
  return true;
}

/** Narrow codes may have been cast to bytes: their middle is that of the narrow type. */
export async function zeroMiddle(r: Reading, zero: string | undefined, w: WeightFacts & { readonly symmetric: boolean }): Promise<boolean> {
  if (zero === undefined || zero === '') return w.symmetric;
  const z = await r.constants.uniform(zero);
  return z !== undefined && (w.symmetric ? z === 0 : z === 2 ** (w.bits - 1));
}

export const integerProduct: Rule = async (r, n) => {
  const a = r.state(n.inputs[0] ?? '');
  if (a?.kind !== 'codes') return false;
  await r.copy(n);
  r.states.set(n.outputs[0] ?? '', {
    kind: 'product',
    node: n,
    a: { x: a.x, facts: a.facts },
    b: n.inputs[1] ?? '',
    zero: n.inputs[3] || undefined,
    scaledA: false,
  });
  return true;
};

/** y, and what is added behind it; the last node yields the output. */
export function withSums(r: Reading, n: Node, addends: readonly string[], make: (out: string) => Node): Node {
  const out = n.outputs[0] ?? '';
  if (addends.length === 0) return make(out);
  const y = make(`${out}/product`);
  y.name = y.name.replace(/\/product$/, '') || y.name;
  let sum = y.outputs[0] ?? '';
  for (const [i, addend] of addends.entries()) {
    const next = i === addends.length - 1 ? out : `${out}/sum${i}`;
    const add = r.emit('Add', [sum, addend], next, n);
    add.name = `${y.name}/Add${i || ''}`;
    sum = next;
  }
  return y;
}
const withBias = (r: Reading, n: Node, bias: string | undefined, make: (out: string) => Node): Node =>
  withSums(r, n, bias ? [bias] : [], make);

export const matMulIntegerToFloat: Rule = async (r, n) => {
  const [a = '', b = '', , bScale = '', , bZero = '', bias = ''] = n.inputs;
  const x = r.state(a);
  const w = x?.kind === 'codes' ? await r.weight(b) : undefined;
  const s = r.constants.scales(bScale);
  if (x?.kind !== 'codes' || !w || !s) return false;
  const symmetric = await zeroMiddle(r, bZero, w.weight);
  const y = withBias(r, n, bias, (out) => r.emit('MatMul', [x.x, w.name], out, n));
  r.note(y, { ...w.weight, symmetric, scales: s.count, scaleShape: s.shape });
  r.notes.inputs.set(`${y.outputs[0]}#0`, x.facts);
  return true;
};

export const dynamicQuantizeMatMul: Rule = async (r, n) => {
  const [a = '', b = '', bScale = '', bZero = '', bias = ''] = n.inputs;
  const w = await r.weight(b);
  const s = r.constants.scales(bScale);
  if (!w || !s) return false;
  const symmetric = await zeroMiddle(r, bZero, w.weight);
  const known = r.state(a);
  const y = withBias(r, n, bias, (out) => r.emit('MatMul', [known?.kind === 'fake' ? known.x : a, w.name], out, n));
  r.note(y, { ...w.weight, symmetric, scales: s.count, scaleShape: s.shape });
  r.notes.inputs.set(`${y.outputs[0]}#0`, { format: 'int', bits: 8, symmetric: false, mode: 'dynamic', per: 'tensor' });
  return true;
};
