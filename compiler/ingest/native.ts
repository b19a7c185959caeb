/** Operators of qc.v1 that read or write codes. */
import type { Attr, Node } from '../graph/types.ts';
import { attrInt, attrInts } from '../match/view.ts';
import type { ValueFacts } from './facts.ts';
import { codesBase } from './packed.ts';
import { withSums } from './products.ts';
import type { Rule } from './rule.ts';

const byRows = (bits: number, symmetric = true): ValueFacts => ({ format: 'int', bits, symmetric, mode: 'dynamic', per: 'rows' });
/** Bits of signed codes whose largest is `top`, or of `count` codes. */
const bitsOf = (count: number): number => Math.ceil(Math.log2(count + 1));

/** LinearW2 … LinearW8 on floats (A8: rounded by the row) and on codes (C8). What is added inside becomes sums. */
export const linear: Rule = async (r, n) => {
  const [x = '', codes = '', scales = '', zeros = '', ...addends] = n.inputs;
  const [k = 0, out = 0] = attrInts(n, 'shape') ?? [];
  const [, bits, kind] = /^LinearW(\d)(A8|C8)?$/.exec(n.op) ?? [];
  const s = r.constants.tensor(scales);
  const known = r.state(x);
  if (!s || bits === undefined || !k || !out || (kind === 'C8') !== (known?.kind === 'codes')) return false;
  const sums: string[] = [];
  for (const [i, value] of addends.slice(0, 3).entries()) {
    if (value === '' || (await r.constants.uniform(value)) === 0) continue;
    // A low-rank branch is not taken apart again.
    if (i === 2) return false;
    sums.push(value);
  }
  const group = attrInt(n, 'group', 0);
  // A scale for each channel has no group of its own: its group is the whole reduction.
  const channel = bits === '8' && group >= k;
  const held = r.initializer(codesBase(r, codes), [out, k]);
  const turned = `${n.outputs[0]}/weight`;
  r.emit('Transpose', [held], turned, n, new Map<string, Attr>([['perm', { type: 'ints', value: [1, 0] }]]));
  const from = known?.kind === 'codes' ? known.x : x;
  const y = withSums(r, n, sums, (o) => r.emit('MatMul', [from, turned], o, n));
  const symmetric = r.constants.tensor(zeros)?.shape.every((d) => d === 1) === true;
  r.note(y, {
    format: 'int',
    bits: Number(bits),
    symmetric,
    scales: channel ? out : Math.ceil(k / Math.max(group, 1)) * out,
    ...(channel ? {} : { block: group }),
  });
  const facts = kind === 'A8' ? byRows(8) : known?.kind === 'codes' ? known.facts : undefined;
  if (facts) r.notes.inputs.set(`${y.outputs[0]}#0`, facts);
  return true;
};

/** Codes of rows that several linears read. */
export const quantizeRows: Rule = async (r, n) => {
  const [x = ''] = n.inputs;
  const known = r.state(x);
  await r.copy(n);
  const symmetric = n.op === 'QuantizeRows';
  const bits = symmetric ? bitsOf(2 * attrInt(n, 'top', 127)) : bitsOf(attrInt(n, 'hi', 0) - attrInt(n, 'lo', 0));
  r.states.set(n.outputs[0] ?? '', { kind: 'codes', x: known?.kind === 'fake' ? known.x : x, facts: byRows(bits, symmetric) });
  return true;
};

/** A norm that yields codes: the norm in floats, and codes of it. */
export const normQuantize: Rule = async (r, n) => {
  const [op, how] = n.op.split('Quantize') as [string, string];
  const sum = op.startsWith('Add');
  const y = `${n.outputs[0]}/float`;
  const inputs = how === 'Static' ? n.inputs.slice(0, -1) : [...n.inputs];
  const attrs = new Map([...n.attrs].filter(([name]) => name === 'eps'));
  r.add(float(n, op, inputs, sum ? [y, n.outputs.at(-1) ?? ''] : [y], attrs));
  const [lo, hi] = [attrInt(n, 'lo', 0), attrInt(n, 'hi', 0)];
  const facts: ValueFacts =
    how === 'Static'
      ? { format: 'int', bits: bitsOf(hi - lo), symmetric: attrInt(n, 'zero', 0) === 0, mode: 'static', per: 'tensor' }
      : byRows(bitsOf(2 * attrInt(n, 'top', 127)));
  r.states.set(n.outputs[0] ?? '', { kind: 'codes', x: y, facts });
  return true;
};
const float = (n: Node, op: string, inputs: readonly string[], outputs: readonly string[], attrs: Node['attrs']): Node => ({
  ...n,
  op,
  inputs: [...inputs],
  outputs: [...outputs],
  attrs,
});

/** The rules, by operator. */
export const natives: Readonly<Record<string, Rule>> = Object.fromEntries([
  ...[2, 3, 4, 5, 6, 7, 8].flatMap((bits) => ['', 'A8', 'C8'].map((kind) => [`qc.v1::LinearW${bits}${kind}`, linear])),
  ...['QuantizeRows', 'QuantizeRowsAsymmetric'].map((op) => [`qc.v1::${op}`, quantizeRows]),
  ...['RmsNorm', 'AddRmsNorm', 'LayerNorm', 'AddLayerNorm'].flatMap((op) =>
    ['Quantize', 'QuantizeStatic'].map((how) => [`qc.v1::${op}${how}`, normQuantize]),
  ),
]);
