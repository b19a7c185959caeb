/** `QuantizeRows`, `QuantizeRowsAsymmetric`: rows as int8 codes with one scale each, found at run time; their reference bodies. */
import type { Func, Model } from '../../graph/types.ts';
import { emitted } from './emits.ts';
import { Body, DOMAIN } from './function.ts';

export type RowsName = 'QuantizeRows' | 'QuantizeRowsAsymmetric';

/** The body of a row quantizer. */
export function rowsBody(name: RowsName, opset: number): Func {
  const b = new Body(opset);
  const { results, attrs } = emitted(b, 'x', name === 'QuantizeRows' ? 'rows' : 'asymmetric');
  const doc =
    name === 'QuantizeRows'
      ? 'x ≈ scale · codes, s = max(max|x| / top, 1e-30) for each row'
      : 'x ≈ scale · codes, s = (max − min) / (hi − lo) of each row and 0; codes are less their zero point';
  return b.function(name, ['x'], results, attrs, doc);
}

/** The model's own copy of its body. */
export function declareRows(model: Model, name: RowsName): void {
  model.opsets.set(DOMAIN, 1);
  if (!model.functions.some((f) => f.domain === DOMAIN && f.name === name))
    model.functions.push(rowsBody(name, model.opsets.get('') ?? 13));
}
