/** The float weight that codes stand for, in the orientation and type of the source. */
import type { Layout, QuantizeResult } from '../crunch.ts';
import type { Tensor } from '../graph/types.ts';
import type { EvalContext } from '../host.ts';
import type { EncodedWeight } from '../simulated.ts';
import { encodingKey, grainOf, matrixOf, outerOf, quantizeWeight, scaleTypeOf, storedFormat } from './encode.ts';
import { middleOf, swapped } from './middle.ts';
import { transposed } from './repack.ts';

/** ŵ = s·(q − z) of an encoded weight as float32 [out, reduce], row-major, by way of the codes that a layout stores; in `to` where it is given. */
export async function dequantizedRows(
  w: EncodedWeight,
  ctx: EvalContext,
  layout: Layout = 'plain',
  to?: Float32Array,
): Promise<Float32Array> {
  const format = w.type.codes;
  if (!format) throw new Error(`${w.site.id}: ${w.type.text} has no codes`);
  const stored = storedFormat(format);
  const r: QuantizeResult = await quantizeWeight(w, layout, stored, ctx);
  return ctx.crunch.dequantize({
    codes: r.codes,
    scales: r.scales,
    ...(r.zeros ? { zeros: r.zeros } : {}),
    ...(r.globalScale === undefined ? {} : { globalScale: r.globalScale }),
    ...outerOf(w),
    ...(r.rowSteps ? { rowSteps: r.rowSteps } : {}),
    out: w.out,
    reduce: w.reduce,
    order: w.order,
    format: stored,
    grain: grainOf(w),
    scaleType: scaleTypeOf(w),
    layout,
    ...(to ? { to } : {}),
  });
}

/** A tensor like the source weight (type, shape, orientation) that holds the dequantized values, or the cast ones for float16 and bfloat16. */
export function dequantized(w: EncodedWeight, name: string): Tensor {
  const evaluate = async (ctx: EvalContext): Promise<Record<string, Uint8Array>> => {
    if (!w.type.codes) {
      const narrow = await ctx.crunch.cast(await ctx.bytes(w.source), w.source.dtype, castType(w));
      return { value: await ctx.crunch.cast(narrow, castType(w), w.source.dtype) };
    }
    const rows = await dequantizedRows(w, ctx);
    const bytes = new Uint8Array(rows.buffer, rows.byteOffset, rows.byteLength);
    const turned = w.order === 'ro' ? transposed(bytes, w.out, w.reduce, 4) : bytes;
    const middle = middleOf(w);
    const placed = middle ? swapped(turned, middle.before, middle.behind, middle.out, 4) : turned;
    return { value: w.source.dtype === 'float32' ? placed : await ctx.crunch.cast(placed, 'float32', w.source.dtype) };
  };
  return {
    dtype: w.source.dtype,
    shape: w.source.shape,
    source: { kind: 'lazy', lazy: { key: `${encodingKey(w, name)}|float`, part: 'value', evaluate } },
  };
}

/** The narrow type of a weight that is cast, not coded. Errors: other formats. */
export function castType(w: EncodedWeight): 'float16' | 'bfloat16' {
  const { name } = w.type.format;
  if (name === 'float16' || name === 'bfloat16') return name;
  throw new Error(`${w.site.id}: ${w.type.text} is no cast`);
}

/** The float weight itself as float32 [out, reduce], row-major. */
export async function sourceRows(w: EncodedWeight, ctx: EvalContext): Promise<Float32Array> {
  const m = await matrixOf(w, ctx);
  const bytes = m.data instanceof Uint8Array ? m.data : await ctx.bytes(w.source);
  const wide = m.dtype === 'float32' ? bytes : await ctx.crunch.cast(bytes, m.dtype, 'float32');
  const rows = w.order === 'ro' ? transposed(wide, w.reduce, w.out, 4) : wide;
  const aligned = rows.byteOffset % 4 === 0 ? rows : rows.slice();
  return new Float32Array(aligned.buffer, aligned.byteOffset, w.out * w.reduce);
}
