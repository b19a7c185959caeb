/** Rows that are rounded to codes at run time and read as floats: `QuantizeRows` and `DequantizeRows` in place of the operators of the rounding. */
import type { Func } from '../../../graph/types.ts';
import { Body, DOMAIN } from '../function.ts';
import type { Fusion, Place } from '../fuse.ts';
import { type RowType, roundedRows } from '../rowquant.ts';
import { type RowsName, rowsBody } from '../rows.ts';

const DEQUANTIZE = 'DequantizeRows';

/** Codes of this type as signed bytes less their zero point, and the attributes that say so; undefined where they do not fit. */
function attributes(type: RowType, zeros: boolean, name: RowsName): Place['attrs'] | undefined {
  const { lo, hi, top, middle } = type;
  if (zeros !== (name === 'QuantizeRowsAsymmetric')) return undefined;
  if (zeros) return hi - lo <= 127 && Math.abs(lo) <= 128 ? { lo: { float: lo }, hi: { float: hi } } : undefined;
  const whole = top !== undefined && Number.isInteger(top) && top >= 1 && top <= 127;
  // The clip must not take away what rows have.
  return whole && middle === 0 && lo <= -top && hi >= top ? { top: { float: top } } : undefined;
}

const fusion = (name: RowsName): Fusion => ({
  name,
  body: (_, opset) => rowsBody(name, opset),
  find(v, e): Place[] {
    return v.nodes('Mul').flatMap((n): Place[] => {
      const y = n.outputs[0]!;
      // Where the rank is not known, the last axis is only -1.
      const r = roundedRows(v, y, v.shape(y)?.length ?? 0);
      const attrs = r && v.dtype(r.x) === 'float32' ? attributes(r.type, r.zero !== undefined, name) : undefined;
      if (!r || !attrs) return [];
      const [codes, scale] = [e.fresh(`${y}/codes`), e.fresh(`${y}/scale`)];
      const rewire = () => {
        [n.op, n.domain, n.inputs] = [DEQUANTIZE, DOMAIN, [codes, scale]];
        if (!e.model.functions.some((f) => f.domain === DOMAIN && f.name === DEQUANTIZE))
          e.model.functions.push(dequantizeBody(e.model.opsets.get('') ?? 13));
      };
      return [{ inputs: [r.x], attrs, outputs: [codes, scale], replaces: [], rewire }];
    });
  },
});
export const roundedRowsFusions: readonly Fusion[] = [fusion('QuantizeRows'), fusion('QuantizeRowsAsymmetric')];

/** The body of `DequantizeRows`. */
export function dequantizeBody(opset: number): Func {
  const b = new Body(opset);
  b.op('Mul', [b.op('Cast', ['codes'], { to: 1 }), 'scale'], {}, 'y');
  return b.function(DEQUANTIZE, ['codes', 'scale'], ['y'], [], 'y = scale · codes, one scale a row');
}
