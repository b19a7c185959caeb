/** Operators that compute on codes, as the float operators that they stand for. */
import type { Node } from '../graph/types.ts';
import type { ValueFacts } from './facts.ts';
import type { Reading } from './floats.ts';
import { natives } from './native.ts';
import { gatherBlockQuantized, matMulNBits } from './packed.ts';
import { dynamicQuantizeMatMul, integerProduct, matMulIntegerToFloat } from './products.ts';
import { qGemm, qLinearConcat, qLinearPlain, qLinearProduct } from './qlinear.ts';
import { pairFacts, type Rule, typeOfZero } from './rule.ts';
import type { Of } from './states.ts';

const quantizeLinear: Rule = async (r, n) => {
  const [x = '', scale = '', zero = ''] = n.inputs;
  if (!r.constants.is(scale) || r.constants.is(x)) return false;
  const known = r.state(x);
  const t = typeOfZero(r, zero, 'uint8');
  const s = r.constants.scales(scale);
  const facts: ValueFacts = t.fp8
    ? { format: 'fp8', bits: 8, symmetric: true, mode: 'static', per: s && s.count > 1 ? 'channel' : 'tensor' }
    : await pairFacts(r, scale, zero, t.signed, t.bits);
  await r.copy(n);
  const from = known?.kind === 'fake' || known?.kind === 'cast' ? known.x : x;
  r.states.set(n.outputs[0] ?? '', { kind: 'codes', x: from, facts });
  return true;
};

const dynamicQuantizeLinear: Rule = async (r, n) => {
  const [x = ''] = n.inputs;
  await r.copy(n);
  const facts: ValueFacts = { format: 'int', bits: 8, symmetric: false, mode: 'dynamic', per: 'tensor' };
  const stat = { kind: 'stat', x, reduced: true, axes: undefined, symmetric: false } as const;
  const [codes = '', scale = '', zero = ''] = n.outputs;
  r.states.set(codes, { kind: 'codes', x, facts });
  r.states.set(scale, stat);
  r.states.set(zero, stat);
  return true;
};

const dequantizeLinear: Rule = async (r, n) => {
  const s = r.state(n.inputs[0] ?? '');
  if (s?.kind === 'codes') {
    await r.copy(n);
    r.states.set(n.outputs[0] ?? '', { kind: 'fake', x: s.x, facts: s.facts });
    return true;
  }
  if (s?.kind === 'lookup') return lookedUp(r, n, { ...s, scales: n.inputs[1] ?? '', ...(n.inputs[2] ? { zero: n.inputs[2] } : {}) });
  return false;
};

/** A Gather of a float table in place of one of codes. */
export async function lookedUp(r: Reading, n: Node, s: Of<'lookup'>): Promise<boolean> {
  const w = await r.constants.weight(s.table);
  const found = s.scales === undefined ? undefined : r.constants.scales(s.scales);
  if (!w || !found) return false;
  const [rows = 0, cols = 0] = w.tensor.shape;
  const bits = s.nibbles ? 4 : w.bits;
  const shape = [rows, s.nibbles ? cols * 2 : cols];
  const middle = s.nibbles && s.zero !== undefined ? (await r.constants.uniform(s.zero)) === 8 : undefined;
  const symmetric = middle ?? (await r.constants.symmetric(s.zero, { ...w, bits }));
  const table = r.initializer(w.name.replace(/\/codes(_\d+)?$/, '').replace(/_quantized$/, ''), shape);
  const g = r.emit('Gather', [table, s.ids], n.outputs[0] ?? '', n);
  r.note(g, { ...w, bits, symmetric, scales: found.count, scaleShape: found.shape });
  return true;
}

/** Operators that move codes about. */
const moves: Rule = async (r, n) => {
  const s = r.state(n.inputs[0] ?? '');
  if (s?.kind !== 'codes') return false;
  const out = `${n.outputs[0]}/float`;
  r.add({ ...n, inputs: [s.x, ...n.inputs.slice(1)], outputs: [out, ...n.outputs.slice(1)], attrs: new Map(n.attrs) });
  r.states.set(n.outputs[0] ?? '', { kind: 'codes', x: out, facts: s.facts });
  return true;
};

const clip: Rule = async (r, n) => {
  const s = r.state(n.inputs[0] ?? '');
  if (s?.kind !== 'codes') return false;
  const [lo, hi] = [await r.constants.uniform(n.inputs[1] ?? ''), await r.constants.uniform(n.inputs[2] ?? '')];
  await r.copy(n);
  const bits = lo !== undefined && hi !== undefined ? Math.ceil(Math.log2(hi - lo + 1)) : s.facts.bits;
  r.states.set(n.outputs[0] ?? '', { ...s, facts: { ...s.facts, bits } });
  return true;
};

const ms = 'com.microsoft::';
export const operators: Readonly<Record<string, Rule>> = {
  QuantizeLinear: quantizeLinear,
  [`${ms}QuantizeLinear`]: quantizeLinear,
  DynamicQuantizeLinear: dynamicQuantizeLinear,
  DequantizeLinear: dequantizeLinear,
  [`${ms}DequantizeLinear`]: dequantizeLinear,
  MatMulInteger: integerProduct,
  ConvInteger: integerProduct,
  [`${ms}MatMulIntegerToFloat`]: matMulIntegerToFloat,
  [`${ms}DynamicQuantizeMatMul`]: dynamicQuantizeMatMul,
  [`${ms}MatMulNBits`]: matMulNBits,
  [`${ms}GatherBlockQuantized`]: gatherBlockQuantized,
  QLinearMatMul: qLinearProduct('MatMul'),
  QLinearConv: qLinearProduct('Conv'),
  [`${ms}QGemm`]: qGemm,
  [`${ms}QLinearConcat`]: qLinearConcat,
  [`${ms}QLinearAdd`]: qLinearPlain('Add', 2),
  [`${ms}QLinearMul`]: qLinearPlain('Mul', 2),
  [`${ms}QLinearSigmoid`]: qLinearPlain('Sigmoid', 1),
  [`${ms}QLinearLeakyRelu`]: qLinearPlain('LeakyRelu', 1),
  [`${ms}QLinearSoftmax`]: qLinearPlain('Softmax', 1),
  [`${ms}QLinearAveragePool`]: qLinearPlain('AveragePool', 1),
  [`${ms}QLinearGlobalAveragePool`]: qLinearPlain('GlobalAveragePool', 1),
  ...natives,
  Clip: clip,
  ...Object.fromEntries(
    [
      'Reshape',
      'Transpose',
      'Squeeze',
      'Unsqueeze',
      'Flatten',
      'MaxPool',
      'Relu',
      'Slice',
      'Split',
      'Expand',
      'Pad',
      'DepthToSpace',
      'SpaceToDepth',
      'Resize',
    ].map((op) => [op, moves]),
  ),
};
