/** Operators that compute on codes, as the float operators that they stand for. */
import type { Attr, Node } from '../graph/types.ts';
import { attrInt, attrInts } from '../match/view.ts';
import type { ValueFacts, WeightFacts } from './facts.ts';
import type { Reading } from './floats.ts';
import type { Of } from './states.ts';

/** True: the node is done with. */
type Rule = (r: Reading, n: Node) => Promise<boolean>;

/** What the pair of a scale and a zero point says of codes of this many bits. */
export async function pairFacts(r: Reading, scale: string, zero: string, signed: boolean, bits: number): Promise<ValueFacts> {
  const s = r.constants.scales(scale);
  const z = zero === '' ? 0 : await r.constants.uniform(zero);
  const symmetric = signed ? z === 0 : z === 2 ** (bits - 1);
  const per = s && s.count > 1 ? 'channel' : 'tensor';
  return { format: 'int', bits, symmetric, mode: 'static', per, ...(symmetric && !signed ? { middle: true as const } : {}) };
}

/** Type of codes by their zero point, which has it too: [signed, bits] or a small float. */
function typeOfZero(r: Reading, zero: string, fallback: string): { signed: boolean; bits: number; fp8?: boolean } {
  const dtype = r.constants.tensor(zero)?.dtype ?? fallback;
  const [, u = '', bits = '8'] = /^(u?)int(\d+)$/.exec(dtype) ?? [];
  return { signed: dtype.startsWith('int'), bits: Number(bits), ...(dtype.startsWith('float8') ? { fp8: true } : {}), ...(u ? {} : {}) };
}

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

/** A product x·W (or of two values) whose scales are all known. */
export async function product(r: Reading, n: Node, p: Of<'product'>, scales: string | undefined): Promise<boolean> {
  const op = p.node.op.includes('Conv') ? 'Conv' : 'MatMul';
  const b = r.state(p.b);
  const out = n.outputs[0] ?? '';
  if (b?.kind === 'codes') {
    const y = r.emit(op, [p.a.x, b.x], out, n, p.node.attrs);
    r.notes.inputs.set(`${out}#0`, p.a.facts);
    r.notes.inputs.set(`${out}#1`, b.facts);
    return y !== undefined;
  }
  const found = scales === undefined ? undefined : r.constants.scales(scales);
  const w = await r.weight(p.b);
  if (!w || !found) return false;
  const symmetric = await zeroMiddle(r, p.zero, w.weight);
  const y = r.emit(op, [p.a.x, w.name], out, n, p.node.attrs);
  r.note(y, { ...w.weight, symmetric, scales: found.count, scaleShape: found.shape });
  r.notes.inputs.set(`${out}#0`, p.a.facts);
  return true;
}

/** Narrow codes may have been cast to bytes: their middle is that of the narrow type. */
async function zeroMiddle(r: Reading, zero: string | undefined, w: WeightFacts & { readonly symmetric: boolean }): Promise<boolean> {
  if (zero === undefined || zero === '') return w.symmetric;
  const z = await r.constants.uniform(zero);
  return z !== undefined && (w.symmetric ? z === 0 : z === 2 ** (w.bits - 1));
}

const integerProduct: Rule = async (r, n) => {
  const a = r.state(n.inputs[0] ?? '');
  if (a?.kind !== 'codes') return false;
  await r.copy(n);
  r.states.set(n.outputs[0] ?? '', {
    kind: 'product',
    node: n,
    a: { x: a.x, facts: a.facts },
    b: n.inputs[1] ?? '',
    zero: n.inputs[3] || undefined,
    scaledA: false,
  });
  return true;
};

/** y, and a bias added behind it; the last node yields the output. */
function withBias(r: Reading, n: Node, bias: string | undefined, make: (out: string) => Node): Node {
  const out = n.outputs[0] ?? '';
  if (!bias) return make(out);
  const y = make(`${out}/product`);
  y.name = y.name.replace(/\/product$/, '') || y.name;
  const add = r.emit('Add', [y.outputs[0] ?? '', bias], out, n);
  add.name = `${y.name}/Add`;
  return y;
}

const matMulIntegerToFloat: Rule = async (r, n) => {
  const [a = '', b = '', , bScale = '', , bZero = '', bias = ''] = n.inputs;
  const x = r.state(a);
  const w = x?.kind === 'codes' ? await r.weight(b) : undefined;
  const s = r.constants.scales(bScale);
  if (x?.kind !== 'codes' || !w || !s) return false;
  const symmetric = await zeroMiddle(r, bZero, w.weight);
  const y = withBias(r, n, bias, (out) => r.emit('MatMul', [x.x, w.name], out, n));
  r.note(y, { ...w.weight, symmetric, scales: s.count, scaleShape: s.shape });
  r.notes.inputs.set(`${y.outputs[0]}#0`, x.facts);
  return true;
};

const dynamicQuantizeMatMul: Rule = async (r, n) => {
  const [a = '', b = '', bScale = '', bZero = '', bias = ''] = n.inputs;
  const w = await r.weight(b);
  const s = r.constants.scales(bScale);
  if (!w || !s) return false;
  const symmetric = await zeroMiddle(r, bZero, w.weight);
  const known = r.state(a);
  const y = withBias(r, n, bias, (out) => r.emit('MatMul', [known?.kind === 'fake' ? known.x : a, w.name], out, n));
  r.note(y, { ...w.weight, symmetric, scales: s.count, scaleShape: s.shape });
  r.notes.inputs.set(`${y.outputs[0]}#0`, { format: 'int', bits: 8, symmetric: false, mode: 'dynamic', per: 'tensor' });
  return true;
};

const matMulNBits: Rule = async (r, n) => {
  const [a = '', codes = '', scales = '', zeros = '', , bias = ''] = n.inputs;
  const [k, out, bits, block] = ['K', 'N', 'bits', 'block_size'].map((name) => attrInt(n, name, name === 'bits' ? 4 : 0)) as [
    number,
    number,
    number,
    number,
  ];
  const s = r.constants.scales(scales);
  if (!s || !k || !out) return false;
  const held = r.initializer(codesBase(r, codes), [out, k]);
  const turned = `${n.outputs[0]}/weight`;
  r.emit('Transpose', [held], turned, n, new Map<string, Attr>([['perm', { type: 'ints', value: [1, 0] }]]));
  const known = r.state(a);
  const y = withBias(r, n, bias, (o) => r.emit('MatMul', [known?.kind === 'fake' ? known.x : a, turned], o, n));
  r.note(y, { format: 'int', bits, symmetric: zeros === '', scales: s.count, block });
  if (attrInt(n, 'accuracy_level', 0) === 4)
    r.notes.inputs.set(`${y.outputs[0]}#0`, { format: 'int', bits: 8, symmetric: true, mode: 'dynamic', per: 'group', group: block });
  else if (known?.kind === 'fake') r.notes.inputs.set(`${y.outputs[0]}#0`, known.facts);
  return true;
};

/** The weight's own name behind Reshapes of its codes. */
function codesBase(r: Reading, codes: string): string {
  const n = r.constants.tensor(codes) ? undefined : r.constants.producer(codes);
  if (n) return codesBase(r, n.inputs[0] ?? '');
  return codes.replace(/(\/codes(_\d+)?|_Q\d\w*|_q\d\w*|\.qweight)$/, '');
}

const gatherBlockQuantized: Rule = async (r, n) => {
  const [codes = '', ids = '', scales = '', zeros = ''] = n.inputs;
  const bits = attrInt(n, 'bits', 4);
  const block = attrInt(n, 'block_size', 128);
  const s = r.constants.scales(scales);
  const shape = r.shape(scales);
  const [rows, groups] = shape ?? [];
  if (!s || typeof rows !== 'number' || typeof groups !== 'number') return false;
  const g = r.emit('Gather', [r.initializer(codesBase(r, codes), [rows, groups * block]), ids], n.outputs[0] ?? '', n);
  r.note(g, { format: 'int', bits, symmetric: zeros === '', scales: s.count, block });
  return true;
};

/** Linears of the native kernels. */
const native: Rule = async (r, n) => {
  const [x = '', codes = '', scales = '', zeros = '', bias = ''] = n.inputs;
  const [k = 0, out = 0] = attrInts(n, 'shape') ?? [];
  const [, bits, int8] = /^LinearW(\d)(A8)?$/.exec(n.op) ?? [];
  const s = r.constants.tensor(scales);
  if (!s || bits === undefined || !k || !out) return false;
  const group = attrInt(n, 'group', 0);
  // A scale for each channel has no group of its own: its group is the whole reduction.
  const channel = bits === '8' && group >= k;
  const held = r.initializer(codesBase(r, codes), [out, k]);
  const turned = `${n.outputs[0]}/weight`;
  r.emit('Transpose', [held], turned, n, new Map<string, Attr>([['perm', { type: 'ints', value: [1, 0] }]]));
  const real = (await r.constants.uniform(bias)) === 0 ? undefined : bias;
  const y = withBias(r, n, real, (o) => r.emit('MatMul', [x, turned], o, n));
  const zero = r.constants.tensor(zeros);
  const symmetric = zero?.shape.every((d) => d === 1) === true;
  r.note(y, {
    format: 'int',
    bits: Number(bits),
    symmetric,
    scales: channel ? out : Math.ceil(k / Math.max(group, 1)) * out,
    ...(channel ? {} : { block: group }),
  });
  if (int8) r.notes.inputs.set(`${y.outputs[0]}#0`, { format: 'int', bits: 8, symmetric: true, mode: 'dynamic', per: 'rows' });
  return true;
};

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

const qLinearProduct =
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
const qGemm: Rule = async (r, n) => {
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
const qLinearPlain =
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
const qLinearConcat: Rule = async (r, n) => {
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
  'qc.v1::LinearW4': native,
  'qc.v1::LinearW8': native,
  'qc.v1::LinearW4A8': native,
  'qc.v1::LinearW8A8': native,
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
