/** ONNX Runtime's integer products that scale in the same pass. */

import { attrFloat } from '../match/view.ts';
import type { QuantizedValue } from '../simulated.ts';
import { isDynamicQuantizeLinear } from './activations.ts';
import { Emit } from './emit.ts';
import { byteInput, byteOpset, byteWeight, finishProduct, isIntegerLinear, toFloat } from './integer.ts';
import type { Lowering, Rule, Work } from './lowering.ts';

/** The bias of a Gemm that the operator itself can add: beside scales by row MatMulIntegerToFloat adds it wrongly (1.31). */
function ownBias(l: Lowering, w: Work): string {
  const { node } = w.use;
  const type = w.input?.type;
  if (type?.mode === 'dynamic' && !isDynamicQuantizeLinear(type)) return '';
  const bias = node.op === 'Gemm' ? (node.inputs[2] ?? '') : '';
  const plain = attrFloat(node, 'alpha', 1) === 1 && attrFloat(node, 'beta', 1) === 1 && w.float === 'float32';
  return bias !== '' && plain && l.editor.view(node).constant(bias)?.tensor.shape.length === 1 ? bias : '';
}

const trimmed = (inputs: string[]): string[] => {
  while (inputs.at(-1) === '') inputs.pop();
  return inputs;
};

/** Codes of rows times codes of columns; scales may differ from row to row. */
export const matMulIntegerToFloat: Rule = {
  name: 'MatMulIntegerToFloat',
  applies: isIntegerLinear,
  opset: byteOpset,
  takesInput: () => true,
  emit(l, w) {
    const v = w.input as QuantizedValue;
    const x = byteInput(l, w, v);
    const b = byteWeight(l, w, true);
    const e = new Emit(l.editor, w.use.node.outputs[0] ?? w.site.path);
    const wide = (s: string) => (w.float === 'float32' ? s : e.cast(s, 'float32'));
    const bias = ownBias(l, w);
    const inputs = trimmed([x.codes, b.codes, x.scale, wide(b.scale), x.zero, b.zero, bias]);
    const y = e.op('com.microsoft.MatMulIntegerToFloat', inputs);
    finishProduct(e, w, toFloat(e, y, w.float), bias !== '');
    l.editor.replace(w.use.node, e.nodes);
    l.note(w.site, e.nodes);
  },
};

/** One scale a tensor, found at run time, and nobody else reads the codes. */
export const dynamicQuantizeMatMul: Rule = {
  name: 'DynamicQuantizeMatMul',
  applies: (w) =>
    isIntegerLinear(w) && w.readers === 1 && w.float === 'float32' && isDynamicQuantizeLinear((w.input as QuantizedValue).type),
  opset: byteOpset,
  takesInput: () => true,
  emit(l, w) {
    const b = byteWeight(l, w, true);
    const e = new Emit(l.editor, w.use.node.outputs[0] ?? w.site.path);
    const bias = ownBias(l, w);
    const y = e.op('com.microsoft.DynamicQuantizeMatMul', trimmed([w.use.node.inputs[0] ?? '', b.codes, b.scale, b.zero, bias]));
    finishProduct(e, w, y, bias !== '');
    l.editor.replace(w.use.node, e.nodes);
    l.note(w.site, e.nodes);
  },
};
