/** Weights as codes behind DequantizeLinear: what every operator that wants floats reads. */
import { elements } from '../graph/dtype.ts';
import type { DType, Tensor } from '../graph/types.ts';
import { castType } from '../simulate/dequantized.ts';
import { codeType, encodeWeight, encodingKey, storedFormat } from '../simulate/encode.ts';
import { middleOf } from '../simulate/middle.ts';
import { through } from '../simulate/simulate.ts';
import { Emit } from './emit.ts';
import type { Lowering, Rule, Work } from './lowering.ts';
import { numbers } from './make.ts';
import { isProgressive, progressiveFloat } from './progressive.ts';
import { byHand, everyRow, needsHand, outAxis } from './scaled.ts';

/** The operator set that a code type needs in DequantizeLinear (and in Cast). */
export function opsetOf(type: DType, blocked = false): number {
  if (type === 'int2' || type === 'uint2') return 25;
  if (type === 'int4' || type === 'uint4' || blocked) return 21;
  return type.startsWith('float8') ? 19 : 13;
}

/** Operator set of the dequantized form; by hand only the cast of the codes asks for one. */
export function weightOpset(w: Work, hand = needsHand(w)): number {
  const { codes, grain } = w.weight.type;
  if (!codes) return 13;
  const type = codeType(storedFormat(codes));
  if (hand || isProgressive(w)) return type === 'int8' || type === 'uint8' ? 11 : opsetOf(type);
  // Scales are of the model's float type, which DequantizeLinear takes since 19.
  const scales = w.float === 'float32' ? 13 : 19;
  return Math.max(scales, opsetOf(type, grain.per === 'group' || grain.per === 'block'));
}

/** Emits the weight as codes and DequantizeLinear, once for all sites that encode it alike; returns the float value. */
export function dequantizedWeight(l: Lowering, w: Work, hand = needsHand(w)): string {
  const { weight, name } = w;
  const key = `${encodingKey(weight, name)}|dequantized|${hand}|${besideUnsigned(w)}`;
  const known = l.made.get(key);
  const e = new Emit(l.editor, name);
  const value = known ?? (weight.type.codes ? decode(e, w, hand) : widened(e, w));
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

/** [in·taps, out] → [in, out, taps…]. */
function behindTaps(e: Emit, y: string, w: Work): string {
  const [inputs = 1, out = 1, ...taps] = w.weight.source.shape;
  const apart = e.op('Reshape', [y, e.list([inputs, ...taps, out])]);
  return e.op('Transpose', [apart], { perm: [0, taps.length + 1, ...taps.map((_, i) => i + 1)] });
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

/** Codes, scales (and zero points) behind DequantizeLinear, or scaled by hand where ONNX Runtime does not take that. */
function decode(e: Emit, w: Work, hand: boolean): string {
  const { weight, name } = w;
  const { type, source, order, out, reduce } = weight;
  const flat = order === 'or' ? [out, reduce] : [reduce, out];
  const whole = type.grain.per === 'tensor' || type.grain.per === 'channel';
  const middle = middleOf(weight) !== undefined;
  const shape = (whole || source.shape.length === 2) && !middle ? source.shape : flat;
  const back = (y: string) => (middle ? behindTaps(e, y, w) : shape === source.shape ? y : e.op('Reshape', [y, e.list(source.shape)]));
  if (isProgressive(w)) return back(progressiveFloat(e, w, shape));
  if (hand) return back(byHand(e, w, shape));
  const unsigned = besideUnsigned(w);
  const enc = encodeWeight(weight, name, 'source', unsigned ? { signed: false } : {});
  const codes = e.constant('codes', { ...enc.codes, shape });
  const scales = everyRow(e, w, e.constant('scale', enc.scales));
  const around = unsigned ? [middles(e, enc.scales.shape)] : [];
  const zeros = enc.zeros ? [everyRow(e, w, e.constant('zero', enc.zeros), codeType(enc.stored))] : around;
  const axis = type.grain.per === 'channel' ? outAxis(w, shape) : order === 'or' ? 1 : 0;
  const attrs = {
    ...(type.grain.per === 'tensor' ? {} : { axis }),
    ...(type.grain.per === 'group' ? { block_size: type.grain.group } : type.grain.per === 'block' ? { block_size: type.grain.cols } : {}),
  };
  return back(e.op('DequantizeLinear', [codes, scales, ...zeros], attrs));
}

function weightRule(name: string, hand: (w: Work) => boolean): Rule {
  return {
    name,
    applies: () => true,
    opset: (w) => weightOpset(w, hand(w)),
    emit(l, w) {
      const value = dequantizedWeight(l, w, hand(w));
      w.use.node.inputs[w.use.index] = through(l.editor, w.use.node, w.use.via, value, l.made);
      l.note(w.site, [w.use.node]);
    },
  };
}

/** Any operator: its weight comes out of DequantizeLinear. */
export const dequantize: Rule = weightRule('DequantizeLinear', needsHand);

/** Any operator: its weight is cast and scaled, which ONNX Runtime does once at load; DequantizeLinear it does at every run. */
export const widen: Rule = weightRule('Cast and Mul', () => true);
