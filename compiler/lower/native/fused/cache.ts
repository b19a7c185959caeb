/** The cache of keys or of values that an attention reads: what was there, what is new, what it holds. */
import { attrInt, type View } from '../../../match/view.ts';
import type { CacheOp } from '../cachebody.ts';
import { type RowType, roundedRows, rowCodes, unmoved } from '../rowquant.ts';
import { made, uncast } from '../walk.ts';

export interface Cache {
  readonly op: CacheOp;
  readonly fresh: string;
  /** Past and present, of codes and then of scales and zero points. */
  readonly pasts: readonly string[];
  readonly presents: readonly string[];
  readonly type?: RowType & { readonly shift: number };
}

const FLOAT16 = 10;

/** The parts of a tensor that grows along its tokens. */
function appended(v: View, value: string): { past: string; fresh: string } | undefined {
  const n = made(v, value, 'Concat');
  return n?.inputs.length === 2 && [2, -2].includes(attrInt(n, 'axis', 0)) ? { past: n.inputs[0]!, fresh: n.inputs[1]! } : undefined;
}

/** Bytes behind their codes as floats, one or two a byte. */
function bytesOf(v: View, codes: string): { bytes: string; packed: boolean } {
  const pairs = made(v, made(v, codes, 'Reshape')?.inputs[0], 'Concat');
  const [low, high] = pairs?.inputs.map((i) => made(v, i, 'Unsqueeze')?.inputs[0]) ?? [];
  const floor = made(v, high, 'Floor');
  const bytes = made(v, floor?.inputs[0], 'Div')?.inputs[0];
  const sub = made(v, low, 'Sub');
  if (bytes !== undefined && sub?.inputs[0] === bytes && made(v, sub.inputs[1], 'Mul')?.inputs[0] === high)
    return { bytes: uncast(v, bytes), packed: true };
  return { bytes: uncast(v, codes), packed: false };
}

function inCodes(v: View, value: string): Cache | undefined {
  const product = made(v, value, 'Mul');
  const sub = made(v, product?.inputs[0], 'Sub');
  const scales = product && appended(v, product.inputs[1]!);
  if (!product || !sub || !scales) return undefined;
  const { bytes, packed } = bytesOf(v, sub.inputs[0]!);
  const codes = appended(v, bytes);
  const cast = codes && made(v, codes.fresh, 'Cast');
  const flat = packed ? made(v, made(v, cast?.inputs[0], 'MatMul')?.inputs[0], 'Reshape')?.inputs[0] : cast?.inputs[0];
  if (!codes || flat === undefined) return undefined;
  const { codes: plain, shift } = unmoved(v, flat);
  const r = rowCodes(v, plain, 4);
  if (!r || scales.fresh !== r.scale) return undefined;
  const zeros = uncast(v, sub.inputs[1]!);
  const joined = r.zero === undefined ? undefined : appended(v, zeros);
  const fits = r.zero === undefined ? v.scalar(zeros) === r.type.middle! + shift : joined !== undefined;
  if (!fits) return undefined;
  return {
    op: { store: packed ? 'q4' : 'q8', zeros: joined !== undefined },
    fresh: r.x,
    pasts: [codes.past, scales.past, ...(joined ? [joined.past] : [])],
    presents: [bytes, product.inputs[1]!, ...(joined ? [zeros] : [])],
    type: { ...r.type, shift },
  };
}

/** The cache behind a value [batch, kv_heads, past + new, dim]. */
export function cacheOf(v: View, value: string): Cache | undefined {
  const floats = appended(v, value);
  if (floats) return { op: { store: 'floats', zeros: false }, fresh: floats.fresh, pasts: [floats.past], presents: [value] };
  const cast = made(v, value, 'Cast');
  const halves = cast && v.dtype(cast.inputs[0]!) === 'float16' ? appended(v, cast.inputs[0]!) : undefined;
  const narrow = halves && made(v, halves.fresh, 'Cast');
  if (cast && halves && narrow && attrInt(narrow, 'to', 0) === FLOAT16)
    return { op: { store: 'half', zeros: false }, fresh: narrow.inputs[0]!, pasts: [halves.past], presents: [cast.inputs[0]!] };
  const rows = roundedRows(v, value, 4);
  const inner = rows && appended(v, rows.x);
  if (rows && inner) {
    const shift = rows.type.lo < 0 ? -rows.type.lo : 0;
    const op = { store: 'rounded', zeros: rows.zero !== undefined } as const;
    return { op, fresh: inner.fresh, pasts: [inner.past], presents: [rows.x], type: { ...rows.type, shift } };
  }
  return inCodes(v, value);
}
