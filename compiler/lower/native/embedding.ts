/** Embeddings in codes: `EmbeddingW4`, `EmbeddingW8` look rows up in a table of bytes, each group of a row under its scale. */
import type { Func, Tensor } from '../../graph/types.ts';
import type { EvalContext } from '../../host.ts';
import { encodingKey, quantizeWeight } from '../../simulate/encode.ts';
import type { EncodedWeight } from '../../simulated.ts';
import { Emit } from '../emit.ts';
import { isLookup } from '../gather.ts';
import type { Rule, Work } from '../lowering.ts';
import { isProgressive } from '../progressive.ts';
import { Body, DOMAIN } from './function.ts';

const FLOAT = 1;
type Width = 4 | 8;
const nameOf = (width: Width): string => `EmbeddingW${width}`;

/** Groups of a row and bits of a stored code; undefined where a table has no such form. */
function form(w: EncodedWeight): { groups: number; width: Width } | undefined {
  const { codes, grain } = w.type;
  if (codes?.kind !== 'int' || codes.bits > 8 || w.source.dtype !== 'float32' || !['tensor', 'channel', 'group'].includes(grain.per))
    return undefined;
  const group = grain.per === 'group' ? grain.group : w.reduce;
  const width = codes.bits <= 4 ? 4 : 8;
  return w.reduce % group === 0 && (width === 8 || w.reduce % 2 === 0) ? { groups: w.reduce / group, width } : undefined;
}

/** Two codes a byte, the even one low. */
function paired(codes: Uint8Array): Uint8Array {
  return Uint8Array.from({ length: codes.length / 2 }, (_, i) => codes[2 * i]! | (codes[2 * i + 1]! << 4));
}

const every = (x: Uint8Array, count: number): Uint8Array => (x.length === 1 ? new Uint8Array(count).fill(x[0]!) : x);

/** The parts of a table, computed once. */
function table(w: EncodedWeight, name: string): Record<'codes' | 'scales' | 'zeros', Tensor> & { readonly key: string } {
  const { groups, width } = form(w)!;
  const key = `${encodingKey(w, name)}|table`;
  const stored = w.type.codes as Extract<NonNullable<typeof w.type.codes>, { kind: 'int' }>;
  const mask = 2 ** stored.bits - 1;
  const offset = stored.signed ? 2 ** (stored.bits - 1) : 0;
  const moved = (x: Uint8Array) => x.map((q) => (q + offset) & mask);
  const evaluate = async (ctx: EvalContext): Promise<Record<string, Uint8Array>> => {
    const r = await quantizeWeight(w, 'plain', stored, ctx);
    const codes = moved(r.codes);
    const floats = new Float32Array(r.scales.slice().buffer);
    const count = w.out * groups;
    return {
      codes: width === 4 ? paired(codes) : codes,
      // One for the whole table stands beside every row.
      scales: new Uint8Array((floats.length === 1 ? new Float32Array(count).fill(floats[0]!) : floats).buffer),
      zeros: r.zeros && !w.type.symmetric ? every(moved(r.zeros), count) : Uint8Array.of(offset),
    };
  };
  const part = (p: string, dtype: Tensor['dtype'], shape: readonly number[]): Tensor => ({
    dtype,
    shape,
    source: { kind: 'lazy', lazy: { key, part: p, evaluate } },
  });
  return {
    key,
    codes: part('codes', 'uint8', [w.out, (w.reduce * width) / 8]),
    scales: part('scales', 'float32', [w.out, groups]),
    zeros: part('zeros', 'uint8', w.type.symmetric ? [1, 1] : [w.out, groups]),
  };
}

/** The body: rows of bytes, their codes as floats, less their zero points, times their scales. */
export function embeddingBody(width: Width, opset: number): Func {
  const b = new Body(opset);
  const [rest, one] = [b.ints([-1]), b.ints([1])] as const;
  const ids = b.op('Reshape', ['ids', rest]);
  const rows = b.op('Gather', ['codes', ids], { axis: 0 });
  const apart = (): string => {
    const four = b.byte(4);
    const low = b.op('BitShift', [b.op('BitShift', [rows, four], { direction: 'LEFT' }), four], { direction: 'RIGHT' });
    const high = b.op('BitShift', [rows, four], { direction: 'RIGHT' });
    const last = b.ints([2]);
    return b.op('Concat', [b.op('Unsqueeze', [low, last]), b.op('Unsqueeze', [high, last])], { axis: 2 });
  };
  const codes = b.op('Cast', [width === 4 ? apart() : rows], { to: FLOAT });
  const counts = b.op('Shape', [ids]);
  const groups = b.slice(b.op('Shape', ['scales']), 1, 2);
  const grouped = b.op('Reshape', [codes, b.op('Concat', [counts, groups, rest], { axis: 0 })]);
  // Of one row all ids read that one; ids below 0 count from the end.
  const beside = (x: string) => {
    const row = b.op('Mod', [ids, b.slice(b.op('Shape', [x]), 0, 1)]);
    return b.op('Unsqueeze', [b.op('Gather', [x, row], { axis: 0 }), b.ints([2])]);
  };
  const centred = b.op('Sub', [grouped, b.op('Cast', [beside('zeros')], { to: FLOAT })]);
  const y = b.op('Mul', [centred, beside('scales')]);
  const bytes = b.slice(b.op('Shape', ['codes']), 1, 2);
  const wide = width === 4 ? b.op('Add', [bytes, bytes]) : b.op('Mul', [bytes, one]);
  b.op('Reshape', [y, b.op('Concat', [b.op('Shape', ['ids']), wide], { axis: 0 })], {}, 'y');
  const doc = `rows of a table: scale·(code − zero)${width === 4 ? ', two codes a byte, the even one low' : ''}`;
  return b.function(nameOf(width), ['ids', 'codes', 'scales', 'zeros'], ['y'], [], doc);
}

export const nativeEmbedding: Rule = {
  name: 'Embedding',
  applies: (w: Work) => isLookup(w) && !isProgressive(w) && w.float === 'float32' && form(w.weight) !== undefined,
  opset: () => 13,
  emit(l, w) {
    const { node } = w.use;
    const { width } = form(w.weight)!;
    const parts = table(w.weight, w.name);
    const hold = (part: 'codes' | 'scales' | 'zeros') =>
      l.hold(w.site, `${parts.key}|${part}`, () => l.editor.initializer(`${w.name}/${part}`, parts[part]));
    const { model } = l.editor;
    model.opsets.set(DOMAIN, 1);
    if (!model.functions.some((f) => f.domain === DOMAIN && f.name === nameOf(width)))
      model.functions.push(embeddingBody(width, model.opsets.get('') ?? 13));
    const e = new Emit(l.editor, node.outputs[0] ?? w.site.path);
    const given = node.inputs[1] ?? '';
    const ids = l.editor.view(node).dtype(given) === 'int64' ? given : e.cast(given, 'int64');
    e.op(`${DOMAIN}.${nameOf(width)}`, [ids, hold('codes'), hold('scales'), hold('zeros')], {}, node.outputs[0]);
    l.editor.replace(node, e.nodes);
    l.note(w.site, e.nodes);
  },
};
