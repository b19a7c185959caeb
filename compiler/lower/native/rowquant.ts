/** Rows that standard operators round to codes at run time (simulate/fake.ts), found again in a lowered model. */
import { typeOf, type View } from '../../match/view.ts';
import { made, reducedRow } from './walk.ts';

/** How rows become codes: lo … hi under max|x| / top around `middle`, or under (max − min) / (hi − lo) with a zero point a row. */
export interface RowType {
  readonly lo: number;
  readonly hi: number;
  readonly top?: number;
  readonly middle?: number;
}
export interface RowCodes {
  readonly x: string;
  readonly scale: string;
  /** The zero points, as floats; none where they are all alike. */
  readonly zero?: string;
  readonly type: RowType;
}

const TINY = 1e-30;
const near = (a: number | undefined, b: number): boolean => a !== undefined && Math.abs(a - b) <= 1e-6 * Math.abs(b);

/** What a scale was found from: max(range / levels, tiny). */
function quotient(v: View, scale: string): { range: string; by: number } | undefined {
  const max = made(v, scale, 'Max');
  const div = max && near(v.scalar(max.inputs[1] ?? ''), TINY) ? made(v, max.inputs[0], 'Div') : undefined;
  const by = div && v.scalar(div.inputs[1]!);
  return div && by !== undefined ? { range: div.inputs[0]!, by } : undefined;
}

/** An end of the range of x: the least or largest of it and 0. */
function end(v: View, value: string, type: 'Min' | 'Max', x: string, rank: number): boolean {
  const n = made(v, value, type);
  return n !== undefined && v.scalar(n.inputs[1] ?? '') === 0 && reducedRow(v, n.inputs[0], `Reduce${type}`, rank) === x;
}

/** The codes (as floats) that a Clip yields, by rows of a tensor of `given` axes, where its shape does not say how many. */
export function rowCodes(v: View, codes: string, given: number): RowCodes | undefined {
  const clip = made(v, codes, 'Clip');
  const [lo, hi] = clip ? [v.scalar(clip.inputs[1] ?? ''), v.scalar(clip.inputs[2] ?? '')] : [];
  if (!clip || lo === undefined || hi === undefined) return undefined;
  const add = made(v, clip.inputs[0], 'Add');
  const div = made(v, made(v, add ? add.inputs[0] : clip.inputs[0], 'Round')?.inputs[0], 'Div');
  const [x, scale] = div?.inputs ?? [];
  const found = scale === undefined ? undefined : quotient(v, scale);
  if (x === undefined || scale === undefined || !found) return undefined;
  const rank = v.shape(x)?.length ?? given;
  const zero = add?.inputs[1];
  const middle = zero === undefined ? 0 : v.scalar(zero);
  if (middle !== undefined) {
    const abs = made(v, reducedRow(v, found.range, 'ReduceMax', rank), 'Abs');
    return abs?.inputs[0] === x ? { x, scale, type: { lo, hi, top: found.by, middle } } : undefined;
  }
  const range = made(v, found.range, 'Sub');
  if (!range || !near(found.by, hi - lo)) return undefined;
  const [high, low] = range.inputs as [string, string];
  const bound = made(v, zero, 'Clip');
  const sub = made(v, made(v, bound?.inputs[0], 'Round')?.inputs[0], 'Sub');
  const back = made(v, sub?.inputs[1], 'Div');
  const same = bound && v.scalar(bound.inputs[1] ?? '') === lo && v.scalar(bound.inputs[2] ?? '') === hi;
  if (!sub || !same || v.scalar(sub.inputs[0]!) !== lo || back?.inputs[0] !== low || back.inputs[1] !== scale) return undefined;
  return end(v, high, 'Max', x, rank) && end(v, low, 'Min', x, rank) ? { x, scale, zero: zero!, type: { lo, hi } } : undefined;
}

/** The rows that a value is, rounded and dequantized. */
export function roundedRows(v: View, value: string, rank: number): RowCodes | undefined {
  const product = made(v, value, 'Mul');
  if (!product) return undefined;
  const [inner, scale] = product.inputs as [string, string];
  const sub = made(v, inner, 'Sub');
  const r = rowCodes(v, sub ? sub.inputs[0]! : inner, rank);
  if (!r || r.scale !== scale) return undefined;
  const zero = sub?.inputs[1];
  const matches = r.zero !== undefined ? zero === r.zero : (zero === undefined ? 0 : v.scalar(zero)) === r.type.middle;
  return matches ? r : undefined;
}

/** Codes moved by a constant so that they are unsigned. */
export function unmoved(v: View, value: string): { codes: string; shift: number } {
  const add = made(v, value, 'Add');
  const shift = add && typeOf(v.producer(add.inputs[0]!) ?? add) === 'Clip' ? v.scalar(add.inputs[1]!) : undefined;
  return add && shift !== undefined ? { codes: add.inputs[0]!, shift } : { codes: value, shift: 0 };
}
