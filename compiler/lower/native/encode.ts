/** Weights in the layout of the native kernels, as lazy tensors. */
import type { Tensor } from '../../graph/types.ts';
import type { EvalContext } from '../../host.ts';
import { encodingKey, quantizeWeight } from '../../simulate/encode.ts';
import type { EncodedWeight } from '../../simulated.ts';
import { codesShape, type FloatCodes, type Geometry, packCodes, packScales, scalesShape } from './pack.ts';

export interface NativeWeight extends Geometry {
  readonly codes: Tensor;
  /** float32, or bytes of e8m0 or e4m3. Of progressive weights one a column. */
  readonly scales: Tensor;
  /** One for each group and column, or a single one. */
  readonly zeros: Tensor;
  /** Progressive weights: whole steps. */
  readonly steps?: Tensor;
  /** NVF4: the one scale that block scales stand under. */
  readonly outer?: Tensor;
  readonly key: string;
}

/** The geometry of a weight in layout 1, or why it has none. */
export function nativeGeometry(w: EncodedWeight): Geometry | string {
  const { codes, grain, scaleType } = w.type;
  if (codes === undefined || (codes.kind === 'int' && (codes.bits > 8 || codes.bits < 2))) return 'only codes of 2 to 8 bits';
  if (w.source.shape.length !== 2) return 'only matrices';
  if (w.source.dtype !== 'float32') return 'only float32 models';
  const float = codes.kind === 'float' ? floatName(codes.name, scaleType) : undefined;
  if (codes.kind === 'float' && float === undefined) return `${codes.name} under scales of type ${scaleType}`;
  const bits = codes.kind === 'int' ? codes.bits : codes.name === 'e2m1' ? 4 : 8;
  const held = { out: w.out, reduce: w.reduce, bits, ...(float ? { float } : {}) };
  if (grain.per === 'channel') {
    const group = Math.ceil(w.reduce / 4) * 4;
    return group > 65536 ? 'a reduction of at most 65536' : { ...held, group };
  }
  if (grain.per !== 'group' || grain.group % 4 !== 0 || grain.group > 65536) return 'scales per channel, or per group of a multiple of 4';
  const progressive = !float && w.type.outer !== undefined && bits === 4 && w.reduce <= 65536 - grain.group;
  return { ...held, group: grain.group, ...(progressive ? { progressive } : {}) };
}

/** What operators call float codes under such scales; undefined where there are none. */
function floatName(name: 'e4m3' | 'e5m2' | 'e2m1', scaleType: string): FloatCodes | undefined {
  if (name === 'e2m1') return ({ model: 'F4', e8m0: 'MXF4', nv: 'NVF4' } as const)[scaleType as 'model'];
  return scaleType === 'model' ? ({ e4m3: 'F8E4M3', e5m2: 'F8E5M2' } as const)[name] : undefined;
}

/** s₁·s₂ of a progressive format: the float steps of its groups. */
function products(inner: Uint8Array, rowSteps: Uint8Array): Float32Array {
  const outer = new Float32Array(rowSteps.slice().buffer);
  const groups = inner.length / outer.length;
  return Float32Array.from(new Int8Array(inner.buffer, inner.byteOffset, inner.length), (s, i) => s * outer[Math.floor(i / groups)]!);
}

/** The parts of a weight in layout 1, computed once. `name` is the weight's initializer. */
export function nativeWeight(w: EncodedWeight, name: string, g: Geometry): NativeWeight {
  const key = `${encodingKey(w, name)}|native`;
  const stored = w.type.codes!;
  const offset = stored.kind === 'int' && stored.signed ? 2 ** (g.bits - 1) : 0;
  const narrow = g.float === 'MXF4' || g.float === 'NVF4';
  const shape = scalesShape(g);
  const columns: [number, number, number] = [shape[0], 1, shape[2]];
  const length = shape[0] * shape[1] * shape[2];
  const evaluate = async (ctx: EvalContext): Promise<Record<string, Uint8Array>> => {
    const r = await quantizeWeight(w, 'plain', stored, ctx);
    const middles = r.zeros?.map((z) => (z + offset) & (2 ** g.bits - 1));
    if (narrow) {
      const outer = r.globalScale === undefined ? {} : { outer: new Uint8Array(Float32Array.of(r.globalScale).buffer) };
      return {
        codes: packCodes(r.codes, g, 0),
        scales: packScales(r.scales, g, new Uint8Array(length)),
        zeros: Uint8Array.of(0),
        ...outer,
      };
    }
    const floats = (x: Uint8Array) => new Float32Array(x.slice().buffer);
    const scales = g.progressive ? floats(r.rowSteps!) : r.rowSteps ? products(r.scales, r.rowSteps) : floats(r.scales);
    const packed = packScales(scales, g, new Float32Array(g.progressive ? columns[0] * columns[2] : length));
    return {
      codes: packCodes(r.codes, g, offset),
      scales: new Uint8Array(packed.buffer),
      zeros: middles ? packScales(middles, g, new Uint8Array(length)) : Uint8Array.of(offset),
      ...(g.progressive ? { steps: packScales(r.scales, g, new Uint8Array(length)) } : {}),
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
    scales: part('scales', narrow ? 'uint8' : 'float32', g.progressive ? columns : shape),
    zeros: part('zeros', 'uint8', w.type.symmetric ? [1, 1, 1] : shape),
    ...(g.progressive ? { steps: part('steps', 'uint8', shape) } : {}),
    ...(g.float === 'NVF4' ? { outer: part('outer', 'float32', [1]) } : {}),
    key,
  };
}
