/** Activations as codes: QuantizeLinear and DequantizeLinear where ONNX has them, else the primitive operators of the simulation. */
import type { DType } from '../graph/types.ts';
import type { QType } from '../plan/types.ts';
import { dynamicScale, fakeQuantize, scaleAxes, staticScale, toCodes } from '../simulate/fake.ts';
import { attachValue, valueKey } from '../simulate/simulate.ts';
import type { QuantizedValue, Simulated } from '../simulated.ts';
import { Emit } from './emit.ts';
import type { Lowering, Work } from './lowering.ts';
import { numbers } from './make.ts';
import { carryCodes, isState } from './state.ts';

/**
 * The element type that codes are emitted in, and how far they are shifted (q + shift under z + shift are the same numbers). Bytes are unsigned on
 * both sides of a product: on x86 without VNNI, ONNX Runtime's products of unsigned with signed bytes saturate, and those of signed with signed ones
 * take 5 to 20 times as long.
 */
export function emittedCodes(type: QType): { dtype: DType; shift: number; full: boolean } | undefined {
  const { codes } = type;
  if (codes?.kind !== 'int') return undefined;
  const full = codes.hi - codes.lo === 2 ** codes.bits - 1;
  if (codes.bits > 8) return { dtype: codes.signed ? 'int16' : 'uint16', shift: 0, full: full && codes.bits === 16 };
  return { dtype: 'uint8', shift: codes.signed ? 128 : 0, full: full && codes.bits === 8 };
}

/** The operator set that a value's quantization needs. */
export function valueOpset(v: QuantizedValue): number {
  const { codes, scaleType } = v.type;
  if (!codes) return 13;
  if (scaleType === 'nv' || (codes.kind === 'float' && codes.name !== 'e2m1')) return 19;
  return codes.kind === 'int' && codes.bits > 8 && v.type.mode === 'static' ? 21 : 12;
}

/** Codes of a static value: x, its scale and its zero point as constants. */
export interface Codes {
  readonly codes: string;
  readonly scale: string;
  readonly zero: string;
}

/** Static codes by QuantizeLinear, in float32; codes of fewer bits than their type are clipped. */
export function staticCodes(e: Emit, x: string, v: QuantizedValue, float: DType): Codes {
  const emitted = emittedCodes(v.type);
  const { scale, zero, type } = v;
  if (!emitted || !scale) throw new Error(`${v.site.id}.${v.port}: no static codes`);
  const axis = v.site.ports[v.port]?.axes['channel'] ?? -1;
  const shape = scale.length === 1 ? [] : [scale.length];
  const attrs = scale.length === 1 ? {} : { axis };
  const s = e.constant('scale', numbers('float32', shape, scale));
  const zeros = Array.from(scale, (_, i) => (zero?.[i] ?? 0) + emitted.shift);
  const z = e.constant('zero', numbers(emitted.dtype, shape, zeros));
  const q = e.op('QuantizeLinear', [float === 'float32' ? x : e.cast(x, 'float32'), s, z], attrs);
  const codes = type.codes;
  const bound = (value: number) => e.scalar(value + emitted.shift, emitted.dtype);
  const clipped = !emitted.full && codes?.kind === 'int' ? e.op('Clip', [q, bound(codes.lo), bound(codes.hi)]) : q;
  return { codes: clipped, scale: s, zero: z };
}

/** Codes whose scale is found at run time, in a byte type. The scale keeps the reduced dimensions. */
export function dynamicCodes(e: Emit, x: string, v: QuantizedValue, float: DType): Codes {
  const { type } = v;
  const emitted = emittedCodes(type);
  if (!emitted || type.codes?.kind !== 'int') throw new Error(`${v.site.id}.${v.port}: no integer codes`);
  const wide = float === 'float32' ? x : e.cast(x, 'float32');
  const q = toCodes(e, wide, type, dynamicScale(e, wide, type, scaleAxes(v)));
  const { shift } = emitted;
  const moved = (y: string) => (shift === 0 ? y : e.op('Add', [y, e.scalar(shift)]));
  return {
    codes: e.cast(moved(q.codes), emitted.dtype),
    scale: q.scale,
    zero: q.zero ? e.cast(moved(q.zero), emitted.dtype) : e.scalar(shift, emitted.dtype),
  };
}

/** One scale a tensor, unsigned 8 bits with zero point: what DynamicQuantizeLinear does. */
export const isDynamicQuantizeLinear = (type: QType): boolean =>
  type.mode === 'dynamic' &&
  type.law.name === 'minmax' &&
  type.grain.per === 'tensor' &&
  !type.symmetric &&
  type.codes?.kind === 'int' &&
  !type.codes.signed &&
  type.codes.lo === 0 &&
  type.codes.hi === 255;

/** Codes of a site's input, made once for all sites that read the value alike; `build` adds the nodes. */
export function sharedCodes(l: Lowering, w: Work, v: QuantizedValue, kind: string, build: (e: Emit) => Codes): Codes {
  const key = `${valueKey(v, v.value)}|${kind}`;
  const known = l.made.get(key);
  if (known !== undefined) {
    l.note(w.site, [], []);
    return JSON.parse(known) as Codes;
  }
  const e = new Emit(l.editor, `${v.value}/${v.port}`);
  const codes = build(e);
  l.editor.behind(v.value, w.use.node, e.nodes);
  l.note(w.site, e.nodes, e.initializers);
  l.made.set(key, JSON.stringify(codes));
  return codes;
}

/** The values that no rule took into its own operators: quantized and dequantized where they are. */
export function lowerValues(l: Lowering, s: Simulated, taken: ReadonlySet<QuantizedValue>): void {
  for (const v of s.values) {
    if (taken.has(v)) continue;
    if (isState(v) && emittedCodes(v.type)) {
      lowerState(l, v);
      continue;
    }
    attachValue(
      l.editor,
      v,
      (e, x, dtype) => {
        const y = roundTrip(e, x, dtype, v);
        l.note(v.site, e.nodes, e.initializers);
        return y;
      },
      l.made,
    );
  }
}

/** Names of a static scale and its zero point. */
type Scales = ReturnType<typeof staticScale>;

/** A state in integers: the Scan carries codes. */
function lowerState(l: Lowering, v: QuantizedValue): void {
  const emitted = emittedCodes(v.type)!;
  const held = new Emit(l.editor, `${v.value}/${v.port}`);
  const by = staticScale(held, v);
  const made = carryCodes(
    l.editor,
    v,
    emitted.dtype,
    (e, x, float) => shapedCodes(e, x, v, float, by),
    (e, q, float) => fromShaped(e, q, v, float, by),
  );
  for (const e of [held, ...made]) l.note(v.site, e.nodes, e.initializers);
}

/** Codes under scales of any shape: x / s, rounded by QuantizeLinear under the scale 1 where there is one zero point. */
function shapedCodes(e: Emit, x: string, v: QuantizedValue, float: DType, by: Scales): string {
  const emitted = emittedCodes(v.type)!;
  const wide = float === 'float32' ? x : e.cast(x, 'float32');
  const zero = oneZero(v);
  if (zero === undefined || v.type.codes?.kind !== 'int') {
    const q = toCodes(e, wide, v.type, by);
    return e.cast(emitted.shift ? e.op('Add', [q.codes, e.scalar(emitted.shift)]) : q.codes, emitted.dtype);
  }
  const q = e.op('QuantizeLinear', [e.op('Div', [wide, by.scale]), e.scalar(1), e.scalar(zero + emitted.shift, emitted.dtype)]);
  const { lo, hi } = v.type.codes;
  if (emitted.full) return q;
  return e.op('Clip', [q, e.scalar(lo + emitted.shift, emitted.dtype), e.scalar(hi + emitted.shift, emitted.dtype)]);
}

/** What such codes stand for. */
function fromShaped(e: Emit, q: string, v: QuantizedValue, float: DType, by: Scales): string {
  const emitted = emittedCodes(v.type)!;
  const zero = oneZero(v);
  const units =
    zero === undefined
      ? e.op('Sub', [e.op('Sub', [e.cast(q, 'float32'), e.scalar(emitted.shift)]), by.zero!])
      : e.op('DequantizeLinear', [q, e.scalar(1), e.scalar(zero + emitted.shift, emitted.dtype)]);
  const y = e.op('Mul', [units, by.scale]);
  return float === 'float32' ? y : e.cast(y, float);
}

/** The zero point, where all scales have the same. */
function oneZero(v: QuantizedValue): number | undefined {
  const first = v.zero?.[0] ?? 0;
  return v.zero?.every((z) => z === first) === false ? undefined : first;
}

function roundTrip(e: Emit, x: string, float: DType, v: QuantizedValue): string {
  const { type } = v;
  const back = (y: string) => (float === 'float32' ? y : e.cast(y, float));
  if (isDynamicQuantizeLinear(type) && float === 'float32') {
    const [q = '', s = '', z = ''] = e.ops('DynamicQuantizeLinear', [x], ['codes', 'scale', 'zero']);
    return e.op('DequantizeLinear', [q, s, z]);
  }
  // fp8 by Cast: ONNX Runtime moves and fuses DequantizeLinear as if all codes were integers, and then refuses the types.
  if (type.mode === 'dynamic' || type.codes?.kind !== 'int') return fakeQuantize(e, x, float, v);
  if (v.shape) {
    const by = staticScale(e, v);
    return fromShaped(e, shapedCodes(e, x, v, float, by), v, float, by);
  }
  const q = staticCodes(e, x, v, float);
  const attrs = v.scale && v.scale.length > 1 ? { axis: v.site.ports[v.port]?.axes['channel'] ?? -1 } : {};
  return back(e.op('DequantizeLinear', [q.codes, q.scale, q.zero], attrs));
}
