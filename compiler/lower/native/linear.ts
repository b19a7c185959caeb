/** Linear layers as operators of qc.v1, each with its reference body. */
import { attrFloat, attrInt } from '../../match/view.ts';
import type { Editor } from '../editor.ts';
import { Emit } from '../emit.ts';
import { finishProduct } from '../integer.ts';
import type { Lowering, Rule, Work } from '../lowering.ts';
import { float32s } from '../make.ts';
import { codesOfInput, isRowInput, isStaticInput, lastAxis } from './activations.ts';
import { absent, declareLinear, type LinearOp, linearInputs, linearName } from './body.ts';
import { nativeGeometry, nativeWeight } from './encode.ts';
import { DOMAIN } from './function.ts';
import { type Geometry, LAYOUT } from './pack.ts';

/** Are the activations int8 with one symmetric scale a row, found at run time? */
function byRows(w: Work): boolean {
  const { input } = w;
  const t = input?.type;
  if (!input || !t || t.mode !== 'dynamic' || t.law.name !== 'minmax' || !t.symmetric || t.grain.per !== 'token') return false;
  if (t.codes?.kind !== 'int' || !t.codes.signed || t.codes.bits !== 8) return false;
  return lastAxis(input);
}

/** How the operator reads its activations; undefined where it cannot. */
function inputOf(w: Work, g: Geometry): LinearOp['input'] | undefined {
  if (!w.input || g.float) return 'float';
  if (byRows(w)) return 'rows';
  return isStaticInput(w.input) || isRowInput(w.input, w.weight, g) ? 'codes' : undefined;
}

/** An input that says nothing. */
const nothing = (e: Editor, name: keyof typeof absent): string =>
  e.shared(`qc/nothing/${absent[name].length}`, () => float32s([0], absent[name]));

/** The bias of a Gemm that the operator adds itself; '' where there is none that it can. */
function vectorBias(l: Lowering, w: Work): string {
  const { node } = w.use;
  const bias = node.op === 'Gemm' ? (node.inputs[2] ?? '') : '';
  if (bias === '' || attrFloat(node, 'alpha', 1) !== 1 || attrFloat(node, 'beta', 1) !== 1) return '';
  const shape = l.editor.view(node).constant(bias)?.tensor.shape;
  return shape?.length === 1 && (shape[0] === w.weight.out || shape[0] === 1) ? bias : '';
}

export const nativeLinear: Rule = {
  name: 'Linear',
  applies(w) {
    const { node, index } = w.use;
    const product = node.op === 'MatMul' || (node.op === 'Gemm' && attrInt(node, 'transA', 0) === 0);
    const g = nativeGeometry(w.weight);
    return product && index === 1 && typeof g !== 'string' && inputOf(w, g) !== undefined;
  },
  opset: () => 13,
  // Beside weights of float codes activations are rounded by themselves.
  takesInput: (w) => w.input !== undefined && w.weight.type.codes?.kind === 'int',
  emit(l, w) {
    const g = nativeGeometry(w.weight);
    if (typeof g === 'string') throw new Error(`${w.site.id}: ${g}`);
    const { node } = w.use;
    const parts = nativeWeight(w.weight, w.name, g);
    const hold = (part: 'codes' | 'scales' | 'zeros' | 'steps' | 'outer') =>
      l.hold(w.site, `${parts.key}|${part}`, () => l.editor.initializer(`${w.name}/${part}`, parts[part]!));
    const input = inputOf(w, g) ?? 'float';
    const op: LinearOp = { bits: g.bits, input, ...(g.progressive ? { progressive: true } : {}), ...(g.float ? { float: g.float } : {}) };
    declareLinear(l.editor.model, op);
    const x = input === 'codes' ? codesOfInput(l, w, w.input!) : undefined;
    const e = new Emit(l.editor, node.outputs[0] ?? w.site.path);
    const own = vectorBias(l, w);
    const given: Record<string, () => string> = {
      x: () => x?.codes ?? node.inputs[0] ?? '',
      codes: () => hold('codes'),
      scales: () => hold('scales'),
      zeros: () => hold('zeros'),
      steps: () => hold('steps'),
      outer: () => hold('outer'),
      bias: () => own || nothing(l.editor, 'bias'),
      residual: () => nothing(l.editor, 'residual'),
      h: () => nothing(l.editor, 'h'),
      up: () => nothing(l.editor, 'up'),
      x_scale: () => x?.scale ?? '',
      x_zero: () => x?.zero ?? '',
    };
    const inputs = linearInputs(op).map((name) => given[name]?.() ?? '');
    const y = e.op(`${DOMAIN}.${linearName(op)}`, inputs, { shape: [g.reduce, g.out], group: g.group, layout: LAYOUT });
    finishProduct(e, w, y, own !== '');
    l.editor.replace(node, e.nodes);
    l.note(w.site, e.nodes);
  },
};
