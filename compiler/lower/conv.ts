/** Convolutions in integers, and in the quantize-dequantize form that runtimes fuse. */
import { encodeWeight } from '../simulate/encode.ts';
import { through } from '../simulate/simulate.ts';
import type { QuantizedValue } from '../simulated.ts';
import { Emit } from './emit.ts';
import { byteInput, byteOpset, byteWeight, toFloat } from './integer.ts';
import type { Rule, Work } from './lowering.ts';
import { besideUnsigned, middles, weightOpset } from './weights.ts';

const spatial = (w: Work): number => w.weight.source.shape.length - 2;

/** A convolution whose scales lie outside of the sum: the weight symmetric with one scale or one an output, the input one scale (or one a sample). */
export function isIntegerConv(w: Work): boolean {
  const { use, input, weight } = w;
  if (use.node.op !== 'Conv' || use.index !== 1 || use.perm || !input) return false;
  const { codes, grain, symmetric } = weight.type;
  if (codes?.kind !== 'int' || codes.bits > 8 || !symmetric || !codes.signed || (grain.per !== 'tensor' && grain.per !== 'channel'))
    return false;
  const x = input.type;
  if (x.codes?.kind !== 'int' || x.codes.bits > 8 || input.shape) return false;
  if (x.grain.per === 'tensor') return true;
  const pointwise = weight.source.shape.slice(2).every((d) => d === 1) && noPadding(w);
  return x.grain.per === 'token' && x.symmetric && x.codes.signed && (w.site.role === 'conv' || pointwise);
}

/** A scale for each position follows its position only where a kernel of one tap neither pads nor strides. */
function noPadding(w: Work): boolean {
  const { attrs } = w.use.node;
  const all = (name: string, value: number) => {
    const a = attrs.get(name);
    return a === undefined || (a.type === 'ints' && a.value.every((x) => Number(x) === value));
  };
  return all('pads', 0) && all('strides', 1);
}

/** ConvInteger, then the scales of input and output channel, then the bias. */
export const convInteger: Rule = {
  name: 'ConvInteger',
  applies: isIntegerConv,
  opset: byteOpset,
  takesInput: () => true,
  emit(l, w) {
    const v = w.input as QuantizedValue;
    const { node } = w.use;
    const x = byteInput(l, w, v);
    const b = byteWeight(l, w, false);
    const e = new Emit(l.editor, node.outputs[0] ?? w.site.path);
    const product = e.op('ConvInteger', [x.codes, b.codes, x.zero, b.zero]);
    for (const [k, a] of node.attrs) e.nodes.at(-1)?.attrs.set(k, a);
    const channels = e.list([-1, ...Array<number>(spatial(w)).fill(1)]);
    const scale = w.float === 'float32' ? b.scale : e.cast(b.scale, 'float32');
    const scales = w.weight.type.grain.per === 'channel' ? e.op('Reshape', [scale, channels]) : scale;
    const y = toFloat(e, e.op('Mul', [e.op('Mul', [e.cast(product, 'float32'), x.scale]), scales]), w.float);
    const bias = node.inputs[2];
    if (bias) e.op('Add', [y, e.op('Reshape', [bias, channels])]);
    const last = e.nodes.at(-1);
    if (last) last.outputs[0] = node.outputs[0] ?? '';
    l.editor.replace(node, e.nodes);
    l.note(w.site, e.nodes);
  },
};

/** Static: the convolution between DequantizeLinear nodes, its bias in int32 under s_x·s_w, as runtimes fuse it to QLinearConv. */
export const convQdq: Rule = {
  name: 'Conv between DequantizeLinear',
  applies: (w) => isIntegerConv(w) && w.input?.type.mode === 'static' && w.float === 'float32',
  opset: (w) => weightOpset(w),
  emit(l, w) {
    const { node } = w.use;
    const { weight, name } = w;
    const biasName = node.inputs[2];
    const tensor = biasName ? l.editor.view(node).constant(biasName)?.tensor : undefined;
    const inputScale = w.input?.scale?.[0] ?? 1;
    const unsigned = besideUnsigned(w);
    const enc = encodeWeight(weight, name, 'source', {
      ...(unsigned ? { signed: false } : {}),
      ...(tensor ? { bias: { tensor, inputScale } } : {}),
    });
    const e = new Emit(l.editor, name);
    const codes = e.constant('codes', { ...enc.codes, shape: weight.source.shape });
    const scale = e.constant('scale', enc.scales);
    const attrs = weight.type.grain.per === 'channel' ? { axis: 0 } : {};
    const value = e.op('DequantizeLinear', [codes, scale, ...(unsigned ? [middles(e, enc.scales.shape)] : [])], attrs);
    if (enc.bias)
      node.inputs[2] = e.op('DequantizeLinear', [e.constant('bias', enc.bias.codes), e.constant('biasScale', enc.bias.scales)], {
        axis: 0,
      });
    l.editor.head(e.nodes, node, name);
    node.inputs[w.use.index] = through(l.editor, node, w.use.via, value, l.made);
    l.note(w.site, [...e.nodes, node], e.initializers);
  },
};

/** A convolution whose output, after an activation that clips, is read as static codes only: ONNX Runtime fuses it to QLinearConv. */
export const convFused: Rule = { ...convQdq, name: 'QLinearConv', applies: (w) => convQdq.applies(w) && w.codesOnly };
