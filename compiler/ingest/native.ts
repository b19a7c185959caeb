/** Operators of qc.v1 that read or write codes. */
import type { Attr, Node } from '../graph/types.ts';
import { attrFloat, attrInt, attrInts } from '../match/view.ts';
import type { ValueFacts } from './facts.ts';
import { codesBase } from './packed.ts';
import { withSums } from './products.ts';
import type { Rule } from './rule.ts';

const byRows = (bits: number, symmetric = true): ValueFacts => ({ format: 'int', bits, symmetric, mode: 'dynamic', per: 'rows' });
/** Bits of signed codes whose largest is `top`, or of `count` codes. */
const bitsOf = (count: number): number => Math.ceil(Math.log2(count + 1));

/** What the attributes say of the codes that an operator yields. */
function emittedCodes(n: Node): ValueFacts {
  const [lo, hi] = [attrFloat(n, 'lo', 0), attrFloat(n, 'hi', 0)];
  if (n.attrs.has('zero'))
    return { format: 'int', bits: bitsOf(hi - lo), symmetric: attrFloat(n, 'zero', 0) === 0, mode: 'static', per: 'tensor' };
  return n.attrs.has('top') ? byRows(bitsOf(2 * attrFloat(n, 'top', 127))) : byRows(bitsOf(hi - lo), false);
}

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
  r.states.set(n.outputs[0] ?? '', { kind: 'codes', x: known?.kind === 'fake' ? known.x : x, facts: emittedCodes(n) });
  return true;
};

/** What codes of rows stand for. */
export const dequantizeRows: Rule = async (r, n) => {
  const known = r.state(n.inputs[0] ?? '');
  if (known?.kind !== 'codes') return false;
  await r.copy(n);
  r.states.set(n.outputs[0] ?? '', { kind: 'fake', x: known.x, facts: known.facts });
  return true;
};

/** A norm that yields codes: the norm in floats, and codes of it. */
export const normQuantize: Rule = async (r, n) => {
  const [op, how] = n.op.split('Quantize') as [string, string];
  const sum = op.startsWith('Add');
  const y = `${n.outputs[0]}/float`;
  const split = how === 'StaticSplit';
  const inputs = n.inputs.slice(0, how === '' ? undefined : split ? -2 : -1);
  const attrs = new Map([...n.attrs].filter(([name]) => name === 'eps'));
  const all = split ? `${y}/all` : y;
  r.add(float(n, op, inputs, sum ? [all, n.outputs.at(-1) ?? ''] : [all], attrs));
  if (split) r.emit('Gather', [all, n.inputs.at(-1) ?? ''], y, n, new Map<string, Attr>([['axis', { type: 'int', value: -1 }]]));
  r.states.set(n.outputs[0] ?? '', { kind: 'codes', x: y, facts: emittedCodes(n) });
  return true;
};

/** A GELU that yields codes: it in floats, and codes of it. */
export const geluQuantize: Rule = async (r, n) => {
  const [op = ''] = n.op.split('Quantize');
  const y = `${n.outputs[0]}/float`;
  r.add(float(n, op, n.inputs.slice(0, 1), [y], new Map()));
  r.states.set(n.outputs[0] ?? '', { kind: 'codes', x: y, facts: emittedCodes(n) });
  return true;
};

/** EmbeddingW4, EmbeddingW8: a lookup of rows. */
export const embedding: Rule = async (r, n) => {
  const [ids = '', codes = '', scales = '', zeros = ''] = n.inputs;
  const [rows, bytes] = r.constants.tensor(codes)?.shape ?? [];
  const groups = r.constants.tensor(scales)?.shape[1];
  if (rows === undefined || bytes === undefined || groups === undefined) return false;
  const bits = n.op === 'EmbeddingW4' ? 4 : 8;
  const width = (bytes * 8) / bits;
  const g = r.emit('Gather', [r.initializer(codesBase(r, codes), [rows, width]), ids], n.outputs[0] ?? '', n);
  const symmetric = r.constants.tensor(zeros)?.shape.every((d) => d === 1) === true;
  r.note(g, { format: 'int', bits, symmetric, scales: rows * groups, ...(groups === 1 ? {} : { block: width / groups }) });
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
  ['qc.v1::DequantizeRows', dequantizeRows],
  ...['RmsNorm', 'AddRmsNorm', 'LayerNorm', 'AddLayerNorm'].flatMap((op) =>
    ['Quantize', 'QuantizeStatic', 'QuantizeStaticSplit'].map((how) => [`qc.v1::${op}${how}`, normQuantize]),
  ),
  ...['Gelu', 'GeluTanh'].flatMap((op) => ['Quantize', 'QuantizeStatic'].map((how) => [`qc.v1::${op}${how}`, geluQuantize])),
  ...['EmbeddingW4', 'EmbeddingW8'].map((op) => [`qc.v1::${op}`, embedding]),
]);
