/** How quantized activations pass between operators: codes int8 with a scale a row, or under one step (docs/layouts.md). */
import type { Node } from '../../graph/types.ts';
import { typeOf, type View } from '../../match/view.ts';
import type { Editor } from '../editor.ts';
import { numbers } from '../make.ts';
import { declareLinear, type LinearOp, linearInputs, linearName, linearOp } from './body.ts';
import { DOMAIN } from './function.ts';

/** Does this node round the rows of a value to int8 itself, and read it nowhere else? */
export const takesRows = (v: View, n: Node, value: string): boolean =>
  n.domain === DOMAIN &&
  linearOp(n.op)?.input === 'rows' &&
  n.inputs[0] === value &&
  !n.inputs.includes(value, 1) &&
  v.graph.nodes.includes(n);

/** Makes linear operators read codes and their scales. */
export function rewireRows(e: Editor, readers: readonly Node[], codes: string, scale: string): void {
  const zero = e.shared('qc/int8/zero/0', () => numbers('int8', [1], [0]));
  for (const n of readers) {
    const op = linearOp(n.op)!;
    const given = new Map<string, string>(linearInputs(op).map((name, i) => [name, n.inputs[i] ?? '']));
    given.set('x', codes).set('x_scale', scale).set('x_zero', zero);
    const reads: LinearOp = { ...op, input: 'codes' };
    n.op = linearName(reads);
    n.inputs = linearInputs(reads).map((name) => given.get(name) ?? '');
    declareLinear(e.model, reads);
  }
}

export interface StaticCodes {
  readonly codes: string;
  /** One number. */
  readonly step: string;
  readonly zero: number;
  readonly lo: number;
  readonly hi: number;
  readonly nodes: readonly Node[];
}

/** The signed codes that are the only thing made of a value: QuantizeLinear to int8 under one step, with or without Clip. */
export function codesOf(v: View, value: string): StaticCodes | undefined {
  const [q, ...others] = v.consumers(value);
  if (!q || others.length > 0 || v.isOutput(value) || typeOf(q) !== 'QuantizeLinear') return undefined;
  const zero = v.constant(q.inputs[2] ?? '');
  const [step, middle] = [v.scalar(q.inputs[1]!), v.scalar(q.inputs[2] ?? '')];
  if (zero?.tensor.dtype !== 'int8' || middle === undefined || step === undefined || !(step > 0)) return undefined;
  const codes = q.outputs[0]!;
  const [clip, ...more] = v.consumers(codes);
  const [lo, hi] = [v.scalar(clip?.inputs[1] ?? ''), v.scalar(clip?.inputs[2] ?? '')];
  if (clip && more.length === 0 && typeOf(clip) === 'Clip' && lo !== undefined && hi !== undefined)
    return { codes: clip.outputs[0]!, step: q.inputs[1]!, zero: middle, lo, hi, nodes: [clip, q] };
  return { codes, step: q.inputs[1]!, zero: middle, lo: -128, hi: 127, nodes: [q] };
}

/** Where codes with a scale a row are made of a value, and how; the makers of the value can yield them at once. */
export interface RowsBehind {
  readonly codes: string;
  readonly scale: string;
  readonly symmetric: boolean;
  readonly attrs: Readonly<Record<string, { readonly float: number }>>;
  readonly nodes: readonly Node[];
  readonly rewire?: () => void;
}

/** The codes that are the only thing made of a value, by the operators that read it or by one `QuantizeRows` in front of them. */
export function rowsBehind(v: View, e: Editor, value: string): RowsBehind | undefined {
  const readers = v.consumers(value);
  if (v.isOutput(value) || readers.length === 0) return undefined;
  if (readers.every((r) => takesRows(v, r, value))) {
    const [codes, scale] = [e.fresh(`${value}/codes`), e.fresh(`${value}/scale`)];
    return { codes, scale, symmetric: true, attrs: { top: { float: 127 } }, nodes: [], rewire: () => rewireRows(e, readers, codes, scale) };
  }
  const q = readers[0]!;
  const symmetric = typeOf(q) === `${DOMAIN}::QuantizeRows`;
  if (readers.length > 1 || !(symmetric || typeOf(q) === `${DOMAIN}::QuantizeRowsAsymmetric`)) return undefined;
  const attrs = Object.fromEntries([...q.attrs].flatMap(([name, a]) => (a.type === 'float' ? [[name, { float: a.value }]] : [])));
  return { codes: q.outputs[0]!, scale: q.outputs[1]!, symmetric, attrs, nodes: [q] };
}
