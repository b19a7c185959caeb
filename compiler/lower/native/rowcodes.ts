/** How quantized activations pass between operators: codes int8 with a scale a row, or under one step (docs/layouts.md). */
import type { Node } from '../../graph/types.ts';
import { typeOf, type View } from '../../match/view.ts';
import { DOMAIN } from './function.ts';

/** Where a linear operator takes the scale of codes. */
const SCALE = 5;
/** Has the operator that input? */
const takesCodes = (v: View, n: Node): boolean =>
  v.model.functions.some((f) => f.domain === DOMAIN && f.name === n.op && f.inputs[SCALE] === 'x_scale');

/** Does this node round the rows of a value to int8 itself, and would take them as codes? */
export const takesRows = (v: View, n: Node, value: string): boolean =>
  n.domain === DOMAIN &&
  /^LinearW\dA8$/.test(n.op) &&
  n.inputs[0] === value &&
  !n.inputs.includes(value, 1) &&
  (n.inputs[SCALE] ?? '') === '' &&
  takesCodes(v, n);

/** Makes linear operators read codes and their scales. */
export function rewireRows(readers: readonly Node[], codes: string, scale: string): void {
  for (const n of readers) {
    n.inputs[0] = codes;
    while (n.inputs.length <= SCALE) n.inputs.push('');
    n.inputs[SCALE] = scale;
  }
}

export interface StaticCodes {
  readonly codes: string;
  /** One number. */
  readonly step: string;
  readonly lo: number;
  readonly hi: number;
  readonly nodes: readonly Node[];
}

/** The signed codes that are the only thing made of a value: QuantizeLinear under one step without a zero point, with or without Clip. */
export function codesOf(v: View, value: string): StaticCodes | undefined {
  const [q, ...others] = v.consumers(value);
  if (!q || others.length > 0 || v.isOutput(value) || typeOf(q) !== 'QuantizeLinear') return undefined;
  const zero = v.constant(q.inputs[2] ?? '');
  const [step, middle] = [v.scalar(q.inputs[1]!), v.scalar(q.inputs[2] ?? '')];
  if (zero?.tensor.dtype !== 'int8' || middle !== 0 || step === undefined || !(step > 0)) return undefined;
  const codes = q.outputs[0]!;
  const [clip, ...more] = v.consumers(codes);
  const [lo, hi] = [v.scalar(clip?.inputs[1] ?? ''), v.scalar(clip?.inputs[2] ?? '')];
  if (clip && more.length === 0 && typeOf(clip) === 'Clip' && lo !== undefined && hi !== undefined)
    return { codes: clip.outputs[0]!, step: q.inputs[1]!, lo, hi, nodes: [clip, q] };
  return { codes, step: q.inputs[1]!, lo: -128, hi: 127, nodes: [q] };
}
