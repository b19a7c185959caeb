/** Embeddings: rows are looked up as codes and dequantized alone, so the table never is in float. */
import { attrInt } from '../match/view.ts';
import { encodeWeight } from '../simulate/encode.ts';
import { Emit } from './emit.ts';
import { toFloat } from './integer.ts';
import type { Rule, Work } from './lowering.ts';
import { isProgressive } from './progressive.ts';

/** A lookup of whole rows in a [rows, hidden] table. */
export const isLookup = (w: Work): boolean =>
  w.use.node.op === 'Gather' &&
  w.use.index === 0 &&
  w.use.via.every((n) => n.op === 'Identity') &&
  attrInt(w.use.node, 'axis', 0) === 0 &&
  w.weight.order === 'or' &&
  w.weight.source.shape.length === 2;

/** Gather of codes, of scales and of zero points, then Cast, Sub, Mul. Two 4-bit codes lie in a byte: Gather has no 4-bit type. */
export const gatherRows: Rule = {
  name: 'Gather of codes',
  applies(w) {
    const { codes, grain } = w.weight.type;
    // A table that a head shares is dequantized for the head anyway.
    if (!isLookup(w) || w.holders > 1 || isProgressive(w) || codes?.kind !== 'int' || grain.per === 'block') return false;
    return codes.bits > 4 || (codes.bits > 2 && w.weight.reduce % 2 === 0);
  },
  opset: (w) => (w.weight.type.symmetric ? 13 : w.weight.type.codes?.kind === 'int' && w.weight.type.codes.bits <= 4 ? 21 : 13),
  emit(l, w) {
    const { weight, name } = w;
    const { node } = w.use;
    const { out, reduce, type } = weight;
    const nibbles = type.codes?.kind === 'int' && type.codes.bits <= 4;
    const signed = type.codes?.kind === 'int' && type.codes.signed;
    const enc = encodeWeight(weight, name, 'source', nibbles ? { signed: false } : {});
    const e = new Emit(l.editor, name);
    const rows = node.inputs[1] ?? '';
    const pick = (table: string) => e.op('Gather', [table, rows], { axis: 0 });
    const table = e.constant('codes', nibbles ? { ...enc.codes, dtype: 'uint8', shape: [out, reduce / 2] } : enc.codes);
    const picked = pick(table);
    const codes = nibbles ? unpack(e, picked) : e.cast(picked, 'float32');
    const groups = type.grain.per === 'group' ? enc.groups : 1;
    const shape = e.list([-1, groups, reduce / groups]);
    const beside = e.list([-1, groups, 1]);
    const perRow = type.grain.per !== 'tensor';
    const wide = (x: string) => e.cast(perRow ? e.op('Reshape', [pick(x), beside]) : x, 'float32');
    let q = e.op('Reshape', [codes, shape]);
    if (enc.zeros) {
      const zeros = e.constant('zero', enc.zeros);
      q = e.op('Sub', [q, wide(nibbles ? e.cast(zeros, 'uint8') : zeros)]);
    } else if (nibbles && signed) q = e.op('Sub', [q, e.scalar(8)]);
    const y = e.op('Mul', [q, wide(e.constant('scale', enc.scales))]);
    const tail = e.op('Shape', [codes]);
    toFloat(e, e.op('Reshape', [y, tail]), w.float);
    const last = e.nodes.at(-1);
    if (last) last.outputs[0] = node.outputs[0] ?? '';
    l.editor.replace(node, e.nodes);
    l.note(w.site, e.nodes, e.initializers);
  },
};

/** Bytes […, n] to their nibbles as floats […, 2n], low ones first. */
function unpack(e: Emit, bytes: string): string {
  const four = e.scalar(4, 'uint8');
  const high = e.op('BitShift', [bytes, four], { direction: 'RIGHT' });
  const low = e.op('BitShift', [e.op('BitShift', [bytes, four], { direction: 'LEFT' }), four], { direction: 'RIGHT' });
  const last = e.list([-1]);
  const pairs = e.op('Concat', [e.op('Unsqueeze', [low, last]), e.op('Unsqueeze', [high, last])], { axis: -1 });
  const shape = e.op('Concat', [e.op('Slice', [e.op('Shape', [bytes]), e.list([0]), e.list([-1])]), last], { axis: 0 });
  return e.cast(e.op('Reshape', [pairs, shape]), 'float32');
}
