/** `…NormQuantize`, `…NormQuantizeStatic`, `…NormQuantizeStaticSplit`: a norm whose readers want codes emits them, once for all of them. */
import type { Node } from '../../../graph/types.ts';
import { attrInt, typeOf, type View } from '../../../match/view.ts';
import { DOMAIN } from '../function.ts';
import type { Fusion, Place } from '../fuse.ts';
import { type NormOp, normBody, normName } from '../norms.ts';
import { codesOf, rowsBehind, takesRows } from '../rowcodes.ts';

const float = (n: Node, name: string) => {
  const a = n.attrs.get(name);
  return { float: a?.type === 'float' ? a.value : 0 };
};

/** Do all readers of a value read it in codes? */
export function readInCodes(v: View, value: string): boolean {
  const readers = v.consumers(value);
  const rows = (n: Node) => takesRows(v, n, value) || typeOf(n) === `${DOMAIN}::QuantizeRows`;
  return (
    !v.isOutput(value) && readers.length > 0 && (readers.every(rows) || codesOf(v, pickedBehind(v, value)?.value ?? value) !== undefined)
  );
}

const rows = (op: Omit<NormOp, 'emits'>): Fusion => ({
  name: normName({ ...op, emits: 'rows' }),
  body: normBody,
  find(v, e): Place[] {
    return v.nodes(`${DOMAIN}::${normName({ ...op, emits: 'floats' })}`).flatMap((n): Place[] => {
      const y = n.outputs[0]!;
      const r = rowsBehind(v, e, y);
      if (!r?.symmetric) return [];
      const outputs = [r.codes, r.scale, ...n.outputs.slice(1)];
      const attrs = { eps: float(n, 'eps'), ...r.attrs };
      return [{ inputs: n.inputs, attrs, outputs, replaces: [n, ...r.nodes], ...(r.rewire ? { rewire: r.rewire } : {}) }];
    });
  },
});

const steps = (op: Omit<NormOp, 'emits'>): Fusion => ({
  name: normName({ ...op, emits: 'steps' }),
  body: normBody,
  find(v): Place[] {
    return v.nodes(`${DOMAIN}::${normName({ ...op, emits: 'floats' })}`).flatMap((n): Place[] => {
      const c = codesOf(v, n.outputs[0]!);
      if (!c) return [];
      const attrs = { eps: float(n, 'eps'), lo: { float: c.lo }, hi: { float: c.hi }, zero: { float: c.zero } };
      return [{ inputs: [...n.inputs, c.step], attrs, outputs: [c.codes, ...n.outputs.slice(1)], replaces: [n, ...c.nodes] }];
    });
  },
});

/** The channels that a Gather behind a norm picks from each row, and the value that it yields (fold/split.ts). */
function pickedBehind(v: View, value: string): { n: Node; channels: string; value: string } | undefined {
  const [n, ...others] = v.consumers(value);
  if (!n || others.length > 0 || v.isOutput(value) || typeOf(n) !== 'Gather' || n.inputs[0] !== value) return undefined;
  const rank = v.shape(value)?.length;
  const list = v.constant(n.inputs[1] ?? '')?.tensor;
  const last = rank !== undefined && [-1, rank - 1].includes(attrInt(n, 'axis', 0));
  return last && list?.dtype === 'int64' && list.shape.length === 1 ? { n, channels: n.inputs[1]!, value: n.outputs[0]! } : undefined;
}

/** The codes of split channels. */
const split = (op: Omit<NormOp, 'emits'>): Fusion => ({
  name: normName({ ...op, emits: 'picked' }),
  body: normBody,
  find(v): Place[] {
    return v.nodes(`${DOMAIN}::${normName({ ...op, emits: 'floats' })}`).flatMap((n): Place[] => {
      const p = pickedBehind(v, n.outputs[0]!);
      const c = p && codesOf(v, p.value);
      if (!c) return [];
      const attrs = { eps: float(n, 'eps'), lo: { float: c.lo }, hi: { float: c.hi }, zero: { float: c.zero } };
      const inputs = [...n.inputs, c.step, p.channels];
      return [{ inputs, attrs, outputs: [c.codes, ...n.outputs.slice(1)], replaces: [n, p.n, ...c.nodes] }];
    });
  },
});

export const normQuantize: readonly Fusion[] = [false, true].flatMap((layer) =>
  [false, true].flatMap((add) => [rows({ layer, add }), steps({ layer, add }), split({ layer, add })]),
);
