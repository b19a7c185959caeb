/** Weights in the layout of the native kernels, as lazy tensors. */
import type { Tensor } from '../../graph/types.ts';
import type { EvalContext } from '../../host.ts';
import { encodingKey, quantizeWeight, storedFormat } from '../../simulate/encode.ts';
import type { EncodedWeight } from '../../simulated.ts';
import { codesShape, type Geometry, packCodes, packScales, scalesShape } from './pack.ts';

export interface NativeWeight extends Geometry {
  readonly codes: Tensor;
  readonly scales: Tensor;
  /** One for each scale, or a single one. */
  readonly zeros: Tensor;
  readonly key: string;
}

/** The geometry of a weight in layout 1, or why it has none. */
export function nativeGeometry(w: EncodedWeight): Geometry | string {
  const { codes, grain } = w.type;
  if (codes?.kind !== 'int' || codes.bits > 8 || codes.bits < 3) return 'only codes of 3 to 8 bits';
  if (w.source.shape.length !== 2) return 'only matrices';
  if (w.source.dtype !== 'float32') return 'only float32 models';
  const bits = codes.bits <= 4 ? 4 : 8;
  if (grain.per === 'channel') {
    const group = Math.ceil(w.reduce / 4) * 4;
    return group > 65536 ? 'a reduction of at most 65536' : { out: w.out, reduce: w.reduce, bits, group };
  }
  if (grain.per !== 'group' || grain.group % 4 !== 0 || grain.group > 65536) return 'scales per channel, or per group of a multiple of 4';
  return { out: w.out, reduce: w.reduce, bits, group: grain.group };
}

/** s₁·s₂ of a progressive format: the float steps of its groups. */
function products(inner: Uint8Array, rowSteps: Uint8Array): Float32Array {
  const outer = new Float32Array(rowSteps.slice().buffer);
  const groups = inner.length / outer.length;
  return Float32Array.from(new Int8Array(inner.buffer, inner.byteOffset, inner.length), (s, i) => s * outer[Math.floor(i / groups)]!);
}

/** Codes uint8, scales float32 and zero points uint8 in layout 1, computed once. `name` is the weight's initializer. */
export function nativeWeight(w: EncodedWeight, name: string, g: Geometry): NativeWeight {
  const key = `${encodingKey(w, name)}|native`;
  const stored = storedFormat(w.type.codes as NonNullable<typeof w.type.codes>, [4, 8]);
  const offset = stored.kind === 'int' && stored.signed ? 2 ** (g.bits - 1) : 0;
  const scales = scalesShape(g);
  const zeros = w.type.symmetric ? [1, 1, 1] : scales;
  const length = scales[0] * scales[1] * scales[2];
  const evaluate = async (ctx: EvalContext): Promise<Record<string, Uint8Array>> => {
    const r = await quantizeWeight(w, 'plain', stored, ctx);
    const steps = r.rowSteps ? products(r.scales, r.rowSteps) : new Float32Array(r.scales.slice().buffer);
    const middles = r.zeros?.map((z) => (z + offset) & (2 ** g.bits - 1));
    const packed = packScales(steps, g, new Float32Array(length));
    return {
      codes: packCodes(r.codes, g, offset),
      scales: new Uint8Array(packed.buffer),
      zeros: middles ? packScales(middles, g, new Uint8Array(length)) : Uint8Array.of(offset),
    };
  };
  const part = (p: string, dtype: Tensor['dtype'], shape: readonly number[]): Tensor => ({
    dtype,
    shape,
    source: { kind: 'lazy', lazy: { key, part: p, evaluate } },
  });
  return {
    ...g,
    codes: part('codes', 'uint8', codesShape(g)),
    scales: part('scales', 'float32', scales),
    zeros: part('zeros', 'uint8', zeros),
    key,
  };
}
