/**
 * Encoded weights as lazy tensors: one evaluation gives codes, scales and zero points, and native code maps the file range
 * directly, so a weight is in memory only while it is written.
 */
import type { CodeFormat, Layout, Matrix, Outer, QuantizeRequest, QuantizeResult } from '../crunch.ts';
import { bitsOf } from '../graph/dtype.ts';
import type { DType, Tensor } from '../graph/types.ts';
import type { EvalContext } from '../host.ts';
import type { EncodedWeight } from '../simulated.ts';
import { lawOf } from './law.ts';
import { middleOf, swapped } from './middle.ts';
import { repack } from './repack.ts';

/** The parts of an encoded weight. `scales` and `zeros` have one entry for each group in the layout's order. */
export interface Encoded {
  readonly codes: Tensor;
  readonly scales: Tensor;
  /** Absent for symmetric formats. */
  readonly zeros?: Tensor;
  /** nv: the tensor's one float32 scale. */
  readonly global?: Tensor;
  /** Progressive formats: the step of each output channel, over scales that are integers. [out] */
  readonly outer?: Tensor;
  /** The bias in int32 under bias scale, where one was asked for. */
  readonly bias?: { readonly codes: Tensor; readonly scales: Tensor };
  readonly groups: number;
  /** The format as stored: 3 bits lie in 4, 5 to 7 in 8. */
  readonly stored: CodeFormat;
  /** Equal for weights that are encoded alike. */
  readonly key: string;
}

/** Integer codes in the width that ONNX has: 2, 4 or 8 bits; the range of the codes stays. */
export function storedFormat(format: CodeFormat, widths: readonly number[] = [2, 4, 8]): CodeFormat {
  if (format.kind === 'float') return format;
  const bits = widths.find((w) => w >= format.bits);
  if (bits === undefined) throw new Error(`weights of ${format.bits} bits have no stored form`);
  return { ...format, bits };
}

/** The element type of codes in ONNX. e2m1 is stored as uint4: ONNX Runtime has no kernel for float4e2m1. */
export function codeType(format: CodeFormat): DType {
  if (format.kind === 'float') return { e4m3: 'float8e4m3fn', e5m2: 'float8e5m2', e2m1: 'uint4' }[format.name] as DType;
  return `${format.signed ? '' : 'u'}int${format.bits}` as DType;
}

/** Number of scales along the reduction axis. */
export function groupsOf(w: EncodedWeight): number {
  const { grain } = w.type;
  if (grain.per === 'group') return Math.ceil(w.reduce / grain.group);
  if (grain.per === 'block') return Math.ceil(w.reduce / grain.cols);
  return 1;
}

export function grainOf(w: EncodedWeight): QuantizeRequest['grain'] {
  const { grain } = w.type;
  switch (grain.per) {
    case 'tensor':
    case 'channel':
      return { per: grain.per };
    case 'group':
    case 'block':
      return grain;
    default:
      throw new Error(`${w.site.id}: a weight has no scales per ${grain.per}`);
  }
}

/** The float types that scales may have; the model's own type, or what the block format says. */
export const scaleTypeOf = (w: EncodedWeight): QuantizeRequest['scaleType'] =>
  w.type.scaleType === 'model' ? floatScale(w) : w.type.scaleType;

const floatScale = ({ source: { dtype } }: EncodedWeight): Outer['type'] =>
  dtype === 'float16' || dtype === 'bfloat16' ? dtype : 'float32';

/** What integer scales stand under. */
export const outerOf = (w: EncodedWeight): { outer?: Outer } => (w.type.outer ? { outer: { ...w.type.outer, type: floatScale(w) } } : {});

const floatTypes = new Set<DType>(['float32', 'float16', 'bfloat16', 'float64']);

/** The float matrix of a weight as the crunch wants it: a mapped file range where there is one. Errors: weight types that are not floats. */
export async function matrixOf(w: EncodedWeight, ctx: EvalContext): Promise<Matrix> {
  const { source, out, reduce, order } = w;
  if (!floatTypes.has(source.dtype)) throw new Error(`${w.site.id}: weight of type ${source.dtype}`);
  const middle = middleOf(w);
  const mapped = source.source.kind === 'file' && !middle ? ctx.mapped(source.source) : undefined;
  const plain = mapped ?? (await ctx.bytes(source));
  const data = middle ? swapped(plain as Uint8Array, middle.before, middle.out, middle.behind, bitsOf(source.dtype) / 8) : plain;
  return { data, dtype: source.dtype as Matrix['dtype'], out, reduce, order };
}

/** Runs the quantizer (or repacks what a solver fixed) in a layout. */
export async function quantizeWeight(w: EncodedWeight, layout: Layout, stored: CodeFormat, ctx: EvalContext): Promise<QuantizeResult> {
  const grain = grainOf(w);
  if (w.solved) return repack(w, layout, stored, ctx);
  return ctx.crunch.quantize({
    label: w.site.id,
    weight: await matrixOf(w, ctx),
    format: stored,
    symmetric: w.type.symmetric,
    grain,
    law: lawOf(w.type.law),
    scaleType: scaleTypeOf(w),
    ...outerOf(w),
    layout,
    ...(w.importance ? { importance: w.importance } : {}),
  });
}

/** What identifies an encoding: weights that share their bytes and their type share it. */
export function encodingKey(w: EncodedWeight, name: string): string {
  return `${name}|${w.type.text}|${JSON.stringify(w.type.law)}|${w.order}|${w.solved || w.importance || w.reweighted ? w.site.id : ''}`;
}

export interface EncodeOptions {
  /** Store integers so, whatever the format says: q ∓ 2^(bits−1) under z ∓ 2^(bits−1). */
  readonly signed?: boolean;
  /** Also encode this bias in int32 under s_x·s_w. */
  readonly bias?: { readonly tensor: Tensor; readonly inputScale: number };
}

/**
 * Codes, scales and zero points of a weight in a layout, as tensors that one evaluation fills.
 * `name` is the weight's initializer. Shapes: source 'or' codes [out, reduce], scales [out, groups]; 'ro' transposed; nbits as in crunch.ts.
 */
export function encodeWeight(w: EncodedWeight, name: string, layout: Layout, options: EncodeOptions = {}): Encoded {
  const format = w.type.codes;
  if (!format) throw new Error(`${w.site.id}: ${w.type.text} has no codes`);
  const stored = storedFormat(format);
  const { out, reduce, order } = w;
  const groups = groupsOf(w);
  const { bias } = options;
  const flip = stored.kind === 'int' && options.signed !== undefined && options.signed !== stored.signed;
  const key = `${encodingKey(w, name)}|${layout}|${flip ? 'flipped' : ''}|${bias ? `${w.site.bias}*${bias.inputScale}` : ''}`;
  const sign = stored.kind === 'int' && flip ? ({ 2: 0xaa, 4: 0x88 }[stored.bits] ?? 0x80) : 0;
  const shift = (b: Uint8Array) => (sign ? b.map((v) => v ^ sign) : b);
  const evaluate = async (ctx: EvalContext): Promise<Record<string, Uint8Array>> => {
    const r = await quantizeWeight(w, layout, stored, ctx);
    const global = r.globalScale === undefined ? undefined : new Uint8Array(Float32Array.of(r.globalScale).buffer);
    return {
      codes: shift(r.codes),
      scales: r.scales,
      ...(r.zeros ? { zeros: shift(r.zeros) } : {}),
      ...(global ? { global } : {}),
      ...(r.rowSteps ? { outer: r.rowSteps } : {}),
      ...(bias ? await encodeBias(w, r, bias, ctx) : {}),
    };
  };
  const part = (p: string, dtype: DType, shape: readonly number[]): Tensor => ({
    dtype,
    shape,
    source: { kind: 'lazy', lazy: { key, part: p, evaluate } },
  });
  const turned = layout === 'source' && order === 'ro';
  const scaleRows = w.type.grain.per === 'block' ? Math.ceil(out / w.type.grain.rows) : out;
  const scaleShape =
    w.type.grain.per === 'tensor' ? [] : w.type.grain.per === 'channel' ? [out] : turned ? [groups, scaleRows] : [scaleRows, groups];
  const scaleType = { e8m0: 'float8e8m0', nv: 'float8e4m3fn' }[w.type.scaleType as string] ?? scaleTypeOf(w);
  const codes = layout === 'nbits' ? nbitsParts(w, stored, groups) : { shape: turned ? [reduce, out] : [out, reduce], zeros: scaleShape };
  const codeDtype = layout === 'nbits' ? 'uint8' : codeType(stored.kind === 'int' && flip ? { ...stored, signed: !stored.signed } : stored);
  return {
    codes: part('codes', codeDtype, codes.shape),
    scales: part('scales', scaleType as DType, layout === 'nbits' ? [out * groups] : scaleShape),
    ...(w.type.symmetric ? {} : { zeros: part('zeros', codeDtype, codes.zeros) }),
    ...(w.type.scaleType === 'nv' ? { global: part('global', 'float32', []) } : {}),
    ...(w.type.outer ? { outer: part('outer', floatScale(w), [out]) } : {}),
    ...(bias ? { bias: { codes: part('bias', 'int32', [out]), scales: part('biasScales', 'float32', [out]) } } : {}),
    groups,
    stored,
    key,
  };
}

/** b ≈ s_x·s_w·q: int32 codes of a bias and their scales, one an output. Errors: a bias beyond int32. */
async function encodeBias(
  w: EncodedWeight,
  r: QuantizeResult,
  bias: NonNullable<EncodeOptions['bias']>,
  ctx: EvalContext,
): Promise<Record<string, Uint8Array>> {
  const floats = async (bytes: Uint8Array, dtype: DType) => {
    const wide = dtype === 'float32' ? bytes.slice() : await ctx.crunch.cast(bytes, dtype, 'float32');
    return new Float32Array(wide.buffer, wide.byteOffset, wide.byteLength / 4);
  };
  const values = await floats(await ctx.bytes(bias.tensor), bias.tensor.dtype);
  const steps = await floats(r.scales, scaleTypeOf(w) as DType);
  const scales = Float32Array.from({ length: w.out }, (_, o) => bias.inputScale * (steps[steps.length === 1 ? 0 : o] ?? 1));
  const codes = Int32Array.from(scales, (s, o) => {
    const q = Math.round((values[o] ?? 0) / s);
    if (Math.abs(q) > 2147483647) throw new Error(`${w.site.id}: its bias does not fit int32 under the scale ${s}`);
    return q;
  });
  return { bias: new Uint8Array(codes.buffer), biasScales: new Uint8Array(scales.buffer) };
}

function nbitsParts(w: EncodedWeight, stored: CodeFormat, groups: number): { shape: number[]; zeros: number[] } {
  if (stored.kind !== 'int' || w.type.grain.per !== 'group') throw new Error('nbits layout is for integers in groups');
  const row = Math.ceil((groups * stored.bits) / 8);
  return { shape: [w.out, groups, Math.ceil((w.type.grain.group * stored.bits) / 8)], zeros: [w.out * row] };
}
