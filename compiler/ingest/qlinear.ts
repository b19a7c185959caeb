/** Operators from codes to codes (QLinearMatMul and its kin), as float operators between them. */

import type { Node } from '../graph/types.ts';
import type { ValueFacts, WeightFacts } from './facts.ts';
import type { Reading } from './floats.ts';
import { zeroMiddle } from './products.ts';
import { pairFacts, type Rule, typeOfZero } from './rule.ts';

/** The float value behind codes; a constant's own. */
async function operand(
  r: Reading,
  value: string,
  scale: string,
  zero: string,
): Promise<{ name: string; facts?: ValueFacts; weight?: WeightFacts } | undefined> {
  const s = r.state(value);
  if (s?.kind === 'codes') return { name: s.x, facts: s.facts };
  const w = await r.weight(value);
  const found = r.constants.scales(scale);
  if (!w || !found) {
    // Codes of unknown origin: what they stand for, by an operator that says it.
    const name = `${value}/float`;
    const pair = [scale, zero].filter((v) => v !== '');
    r.add({ name, op: 'DequantizeLinear', domain: '', inputs: [value, ...pair], outputs: [name], attrs: new Map() });
    return { name };
  }
  return {
    name: w.name,
    weight: { ...w.weight, symmetric: await zeroMiddle(r, zero, w.weight), scales: found.count, scaleShape: found.shape },
  };
}

/** Codes of a float value that a QLinear operator yields. */
async function yields(r: Reading, n: Node, scale: string, zero: string, value: string): Promise<void> {
  const t = typeOfZero(r, zero, 'uint8');
  r.states.set(n.outputs[0] ?? '', { kind: 'codes', x: value, facts: await pairFacts(r, scale, zero, t.signed, t.bits) });
}

export const qLinearProduct =
  (op: string): Rule =>
  async (r, n) => {
    const [a = '', as = '', az = '', b = '', bs = '', bz = '', ys = '', yz = '', bias = ''] = n.inputs;
    const [x, w] = [await operand(r, a, as, az), await operand(r, b, bs, bz)];
    if (!x || !w) return false;
    const out = `${n.outputs[0]}/float`;
    const inputs = [x.name, w.name];
    if (bias) {
      const t = r.constants.tensor(bias);
      if (t) inputs.push(r.initializer(bias.replace(/_quantized$/, ''), t.shape));
    }
    const y = r.emit(op, inputs, out, n, n.attrs);
    y.name = n.name.replace(/_quant$/, '');
    if (x.facts) r.notes.inputs.set(`${out}#0`, x.facts);
    if (w.facts) r.notes.inputs.set(`${out}#1`, w.facts);
    if (w.weight) r.note(y, w.weight);
    await yields(r, n, ys, yz, out);
    return true;
  };

/** com.microsoft.QGemm: A, its scale and zero point, B, its own, C; the output's scale may be absent, then it is float. */
export const qGemm: Rule = async (r, n) => {
  const [a = '', as = '', az = '', b = '', bs = '', bz = '', c = '', ys = '', yz = ''] = n.inputs;
  const [x, w] = [await operand(r, a, as, az), await operand(r, b, bs, bz)];
  if (!x || !w) return false;
  const out = ys === '' ? (n.outputs[0] ?? '') : `${n.outputs[0]}/float`;
  const bias = r.constants.tensor(c);
  const y = r.emit('Gemm', [x.name, w.name, ...(bias ? [r.initializer(c.replace(/_quantized$/, ''), bias.shape)] : [])], out, n, n.attrs);
  y.name = n.name.replace(/_quant$/, '');
  if (x.facts) r.notes.inputs.set(`${out}#0`, x.facts);
  if (w.weight) r.note(y, w.weight);
  if (ys !== '') await yields(r, n, ys, yz, out);
  return true;
};

/** QLinearAdd, QLinearMul: A, scale, zero, B, scale, zero, scale of C, its zero point. QLinearSoftmax and others of one input. */
export const qLinearPlain =
  (op: string, operands: 1 | 2): Rule =>
  async (r, n) => {
    const found = [];
    for (let i = 0; i < operands; i++) {
      const x = await operand(r, n.inputs[3 * i] ?? '', n.inputs[3 * i + 1] ?? '', n.inputs[3 * i + 2] ?? '');
      if (!x) return false;
      found.push(x);
    }
    const out = `${n.outputs[0]}/float`;
    const y = r.emit(
      op,
      found.map((x) => x.name),
      out,
      n,
      n.attrs,
    );
    y.name = n.name.replace(/_quant$/, '');
    found.forEach((x, i) => {
      if (x.facts) r.notes.inputs.set(`${out}#${i}`, x.facts);
    });
    await yields(r, n, n.inputs[3 * operands] ?? '', n.inputs[3 * operands + 1] ?? '', out);
    return true;
  };

/** com.microsoft.QLinearConcat: scale and zero point of the result, then three inputs for each part. */
export const qLinearConcat: Rule = async (r, n) => {
  const [scale = '', zero = '', ...rest] = n.inputs;
  const parts: string[] = [];
  for (let i = 0; i + 2 < rest.length + 1; i += 3) {
    const x = await operand(r, rest[i] ?? '', rest[i + 1] ?? '', rest[i + 2] ?? '');
    if (!x) return false;
    parts.push(x.name);
  }
  const out = `${n.outputs[0]}/float`;
  r.emit('Concat', parts, out, n, n.attrs);
  await yields(r, n, scale, zero, out);
  return true;
};
