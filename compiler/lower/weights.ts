/** Weights as codes behind DequantizeLinear: what every operator that wants floats reads. */
import { elements } from '../graph/dtype.ts';
import type { DType, Tensor } from '../graph/types.ts';
import { castType } from '../simulate/dequantized.ts';
import { codeType, encodeWeight, encodingKey, storedFormat } from '../simulate/encode.ts';
import { through } from '../simulate/simulate.ts';
import { Emit } from './emit.ts';
import type { Lowering, Rule, Work } from './lowering.ts';
import { float32s, numbers } from './make.ts';

/** The axis of the stored weight that output channels lie on. */
export const outAxis = (w: Work): number => (w.weight.order === 'or' ? 0 : w.weight.source.shape.length - 1);

/** The operator set that a code type needs in DequantizeLinear (and in Cast). */
export function opsetOf(type: DType, blocked = false): number {
  if (type === 'int2' || type === 'uint2') return 25;
  if (type === 'int4' || type === 'uint4' || blocked) return 21;
  return type.startsWith('float8') ? 19 : 13;
}

const reshaped = (t: Tensor, shape: readonly number[]): Tensor => ({ ...t, shape });

/** Operator set of the dequantized form. */
export function weightOpset(w: Work): number {
  const { codes, grain } = w.weight.type;
  if (!codes) return 13;
  return opsetOf(codeType(storedFormat(codes)), grain.per === 'group' || grain.per === 'block');
}

/** Emits the weight as codes and DequantizeLinear, once for all sites that encode it alike; returns the float value. */
export function dequantizedWeight(l: Lowering, w: Work): string {
  const { weight, name } = w;
  const key = `${encodingKey(weight, name)}|dequantized|${w.use.via.length > 0}|${besideUnsigned(w)}`;
  const known = l.made.get(key);
  const e = new Emit(l.editor, name);
  const value = known ?? (weight.type.codes ? decode(e, w) : widened(e, w));
  l.made.set(key, value);
  if (known === undefined) l.editor.head(e.nodes, w.use.node, name);
  l.made.set(`${key}|held`, e.initializers.join('\n') || (l.made.get(`${key}|held`) ?? ''));
  l.note(w.site, e.nodes, (l.made.get(`${key}|held`) ?? '').split('\n').filter(Boolean));
  return value;
}

/** A weight that is only cast: stored narrow, widened at run time. */
function widened(e: Emit, w: Work): string {
  const to = castType(w.weight);
  const { source } = w.weight;
  const evaluate: Extract<Tensor['source'], { kind: 'lazy' }>['lazy']['evaluate'] = async (ctx) => ({
    value: await ctx.crunch.cast(await ctx.bytes(source), source.dtype, to),
  });
  const narrow: Tensor = {
    dtype: to,
    shape: source.shape,
    source: { kind: 'lazy', lazy: { key: `${encodingKey(w.weight, w.name)}|${to}`, part: 'value', evaluate } },
  };
  return e.cast(e.constant(to, narrow), source.dtype);
}

/** Signed 8-bit codes beside a static activation are stored around 128: its codes are unsigned (see emittedCodes). */
export function besideUnsigned(w: Work): boolean {
  const { codes } = w.weight.type;
  const x = w.input?.type;
  const eight = codes?.kind === 'int' && codes.signed && codes.bits > 4 && w.weight.type.grain.per !== 'block';
  return eight && x?.mode === 'static' && x.codes?.kind === 'int' && x.codes.bits <= 8;
}

/** Zero points of 128, one for each scale. */
export const middles = (e: Emit, shape: readonly number[]): string =>
  e.editor.shared(`qc/uint8/128[${shape.join()}]`, () => numbers('uint8', shape, new Uint8Array(elements(shape)).fill(128)));

/**
 * Codes, scales (and zero points) behind DequantizeLinear. An fp8 weight in front of a Transpose is Cast and Mul instead: ONNX Runtime moves
 * DequantizeLinear behind the Transpose, which has no fp8 below operator set 21.
 */
function decode(e: Emit, w: Work): string {
  const { weight, name } = w;
  const { type, source, order, out, reduce } = weight;
  const unsigned = besideUnsigned(w);
  const enc = encodeWeight(weight, name, 'source', { unsigned });
  const flat = order === 'or' ? [out, reduce] : [reduce, out];
  const whole = type.grain.per === 'tensor' || type.grain.per === 'channel';
  const shape = whole || source.shape.length === 2 ? source.shape : flat;
  const back = (y: string) => (shape === source.shape ? y : e.op('Reshape', [y, e.list(source.shape)]));
  if (type.codes?.kind === 'float' && type.codes.name === 'e2m1') return back(table(e, w, shape));
  const codes = e.constant('codes', reshaped(enc.codes, shape));
  const scales = everyRow(e, w, e.constant('scale', enc.scales));
  const zeros = enc.zeros ? [everyRow(e, w, e.constant('zero', enc.zeros), codeType(enc.stored))] : unsigned ? [middles(e, enc.scales.shape)] : [];
  if (enc.codes.dtype.startsWith('float8') && whole && w.use.via.length > 0) {
    const wide = e.cast(codes, source.dtype);
    const trailing = shape.length - 1 - outAxis(w);
    const beside =
      type.grain.per === 'channel' && trailing > 0 ? e.op('Reshape', [scales, e.list([-1, ...Array<number>(trailing).fill(1)])]) : scales;
    return e.op('Mul', [wide, beside]);
  }
  const axis = type.grain.per === 'channel' ? outAxis(w) : order === 'or' ? 1 : 0;
  const attrs = {
    ...(type.grain.per === 'tensor' ? {} : { axis }),
    ...(type.grain.per === 'group' ? { block_size: type.grain.group } : type.grain.per === 'block' ? { block_size: type.grain.cols } : {}),
  };
  return back(e.op('DequantizeLinear', [codes, scales, ...zeros], attrs));
}

/** DequantizeLinear has blocks along one axis only: scales of [rows, cols] blocks are repeated for every row. Gather knows no 4-bit type. */
function everyRow(e: Emit, w: Work, x: string, dtype?: DType): string {
  const { grain } = w.weight.type;
  if (grain.per !== 'block' || grain.rows === 1) return x;
  const rows = e.list(Array.from({ length: w.weight.out }, (_, o) => Math.floor(o / grain.rows)));
  const narrow = dtype !== undefined && dtype !== 'int8' && dtype !== 'uint8';
  const y = e.op('Gather', [narrow ? e.cast(x, 'uint8') : x, rows], { axis: w.weight.order === 'or' ? 0 : 1 });
  return narrow ? e.cast(y, dtype) : y;
}

const E2M1 = [0, 0.5, 1, 1.5, 2, 3, 4, 6, -0, -0.5, -1, -1.5, -2, -3, -4, -6];

/** fp4 by table: ONNX Runtime has no kernel for float4e2m1, so codes are uint4 that index the sixteen values. */
function table(e: Emit, w: Work, shape: readonly number[]): string {
  const { type, order, out, reduce } = w.weight;
  const enc = encodeWeight(w.weight, w.name, 'source');
  const values = e.editor.shared('qc/e2m1', () => float32s(E2M1, [16]));
  const index = e.cast(e.constant('codes', reshaped(enc.codes, shape)), 'int32');
  const q = e.op('Gather', [values, index]);
  const scale = blockScales(e, enc);
  if (type.grain.per !== 'group') {
    const trailing = shape.length - 1 - outAxis(w);
    const s =
      type.grain.per === 'channel' && trailing > 0 ? e.op('Reshape', [scale, e.list([out, ...Array<number>(trailing).fill(1)])]) : scale;
    return floats(e, e.op('Mul', [q, s]), w);
  }
  const { group } = type.grain;
  const groups = reduce / group;
  const split = order === 'or' ? [out, groups, group] : [groups, group, out];
  const wide = e.op('Reshape', [scale, e.list(order === 'or' ? [out, groups, 1] : [groups, 1, out])]);
  return floats(e, e.op('Reshape', [e.op('Mul', [e.op('Reshape', [q, e.list(split)]), wide]), e.list(shape)]), w);
}

const floats = (e: Emit, x: string, w: Work): string => (w.weight.source.dtype === 'float32' ? x : e.cast(x, w.weight.source.dtype));

/** Block scales as float32: powers of two from their exponents (MX), e4m3 under the tensor's scale (NV), or as they are. */
function blockScales(e: Emit, enc: ReturnType<typeof encodeWeight>): string {
  if (enc.scales.dtype === 'float8e8m0') {
    const exponent = e.cast(e.constant('scale', { ...enc.scales, dtype: 'uint8' }), 'float32');
    return e.op('Pow', [e.scalar(2), e.op('Sub', [exponent, e.scalar(127)])]);
  }
  const scales = e.constant('scale', enc.scales);
  if (enc.global) return e.op('DequantizeLinear', [scales, e.constant('global', enc.global)]);
  return enc.scales.dtype === 'float32' ? scales : e.cast(scales, 'float32');
}

/** Any operator: its weight comes out of DequantizeLinear. */
export const dequantize: Rule = {
  name: 'DequantizeLinear',
  applies: () => true,
  opset: weightOpset,
  emit(l, w) {
    const value = dequantizedWeight(l, w);
    w.use.node.inputs[w.use.index] = through(l.editor, w.use.node, w.use.via, value, l.made);
    l.note(w.site, [w.use.node]);
    return { input: false };
  },
};
