/** ONNX Runtime's operators over blocked low-bit weights. */
import { attrFloat, attrInt } from '../match/view.ts';
import { encodeWeight } from '../simulate/encode.ts';
import { Emit } from './emit.ts';
import { isLookup } from './gather.ts';
import { finishProduct } from './integer.ts';
import type { Lowering, Rule, Work } from './lowering.ts';

const isPower = (n: number): boolean => n >= 16 && (n & (n - 1)) === 0;

/** Integers in groups of a power of two, in a table or matrix of two axes. */
function blocked(w: Work): boolean {
  const { codes, grain, scaleType } = w.weight.type;
  return (
    scaleType === 'model' &&
    codes?.kind === 'int' &&
    codes.bits <= 8 &&
    grain.per === 'group' &&
    isPower(grain.group) &&
    w.weight.source.shape.length === 2
  );
}

/** The parts of a weight in MatMulNBits layout, shared by the sites that hold it. */
function blocks(l: Lowering, w: Work): { codes: string; scales: string; zeros?: string; bits: number; group: number } {
  const enc = encodeWeight(w.weight, w.name, 'nbits');
  const hold = (part: 'codes' | 'scales' | 'zeros') => {
    const tensor = enc[part];
    return tensor && l.hold(w.site, `${enc.key}|${part}`, () => l.editor.initializer(`${w.name}/${part}`, tensor));
  };
  const [codes = '', scales = '', zeros] = [hold('codes'), hold('scales'), hold('zeros')];
  const { grain } = w.weight.type;
  return {
    codes,
    scales,
    ...(zeros ? { zeros } : {}),
    bits: enc.stored.kind === 'int' ? enc.stored.bits : 8,
    group: grain.per === 'group' ? grain.group : 0,
  };
}

/** Activations in int8 by the weight's own groups: what accuracy level 4 computes with. */
function byGroups(w: Work): boolean {
  const { input, weight } = w;
  const x = input?.type;
  const { grain, codes } = weight.type;
  if (x?.law.name !== 'minmax' || grain.per !== 'group' || codes?.kind !== 'int') return false;
  const alike = x.mode === 'dynamic' && x.symmetric && x.grain.per === 'group' && x.grain.group === grain.group && grain.group >= 32;
  return alike && x.codes?.kind === 'int' && x.codes.signed && x.codes.bits === 8 && codes.bits > 2;
}

export const matMulNBits: Rule = {
  name: 'MatMulNBits',
  applies(w) {
    const { node, index } = w.use;
    const product = node.op === 'MatMul' || (node.op === 'Gemm' && attrInt(node, 'transA', 0) === 0);
    return product && index === 1 && blocked(w) && (w.float === 'float32' || w.float === 'float16');
  },
  opset: () => 11,
  takesInput: byGroups,
  emit(l, w) {
    const { node } = w.use;
    const b = blocks(l, w);
    const e = new Emit(l.editor, node.outputs[0] ?? w.site.path);
    const isGemm = node.op === 'Gemm';
    const bias = isGemm && node.inputs[2] && attrFloat(node, 'alpha', 1) === 1 && attrFloat(node, 'beta', 1) === 1 ? node.inputs[2] : '';
    const vector = bias !== '' && l.editor.view(node).constant(bias)?.tensor.shape.length === 1;
    const inputs = [node.inputs[0] ?? '', b.codes, b.scales, b.zeros ?? '', '', vector ? bias : ''];
    while (inputs.at(-1) === '') inputs.pop();
    const y = e.op('com.microsoft.MatMulNBits', inputs, {
      K: w.weight.reduce,
      N: w.weight.out,
      bits: b.bits,
      block_size: b.group,
      accuracy_level: byGroups(w) ? 4 : 1,
    });
    finishProduct(e, w, y, vector);
    l.editor.replace(node, e.nodes);
    l.note(w.site, e.nodes);
  },
};

/** Where MatMulNBits is fast: 4-bit codes, or activations that it may round itself. Else it takes 20 times as long as float. */
export const matMulNBitsFast: Rule = {
  ...matMulNBits,
  applies: (w) => matMulNBits.applies(w) && (w.weight.type.bits === 3 || w.weight.type.bits === 4 || byGroups(w)),
};

export const gatherBlockQuantized: Rule = {
  name: 'GatherBlockQuantized',
  applies(w) {
    const { type, reduce } = w.weight;
    return (
      isLookup(w) &&
      blocked(w) &&
      type.grain.per === 'group' &&
      reduce % type.grain.group === 0 &&
      type.bits !== 2 &&
      w.float !== 'bfloat16'
    );
  },
  opset: () => 11,
  emit(l, w) {
    const { node } = w.use;
    const b = blocks(l, w);
    const { out, reduce } = w.weight;
    const e = new Emit(l.editor, node.outputs[0] ?? w.site.path);
    const groups = reduce / b.group;
    const codes = e.op('Reshape', [b.codes, e.list([out, (reduce * b.bits) / 8])]);
    const scales = e.op('Reshape', [b.scales, e.list([out, groups])]);
    const zeros = b.zeros ? [e.op('Reshape', [b.zeros, e.list([out, Math.ceil((groups * b.bits) / 8)])])] : [];
    const attrs = { bits: b.bits, block_size: b.group, gather_axis: 0, quantize_axis: 1 };
    e.op('com.microsoft.GatherBlockQuantized', [codes, node.inputs[1] ?? '', scales, ...zeros], attrs, node.outputs[0]);
    l.editor.replace(node, e.nodes);
    l.note(w.site, e.nodes);
  },
};
