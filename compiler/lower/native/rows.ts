/** `QuantizeRows`, `QuantizeRowsAsymmetric`: rows as int8 codes with one scale each, found at run time; their reference bodies. */
import type { Func, Model } from '../../graph/types.ts';
import { Body, DOMAIN } from './function.ts';
import { rowCodes } from './norms.ts';

export type RowsName = 'QuantizeRows' | 'QuantizeRowsAsymmetric';

/** The body of a row quantizer. */
export function rowsBody(name: RowsName, opset: number): Func {
  const b = new Body(opset);
  if (name === 'QuantizeRows') {
    rowCodes(b, 'x', 'codes', 'scale');
    return b.function(name, ['x'], ['codes', 'scale'], ['top'], 'x ≈ scale · codes, s = max(max|x| / top, 1e-30) for each row');
  }
  const [lo, hi, zero] = [b.floatAttribute('lo'), b.floatAttribute('hi'), b.float(0)];
  const low = b.op('Min', [b.reduce('ReduceMin', 'x'), zero]);
  const high = b.op('Max', [b.reduce('ReduceMax', 'x'), zero]);
  b.op('Max', [b.op('Div', [b.op('Sub', [high, low]), b.op('Sub', [hi, lo])]), b.float(1e-30)], {}, 'scale');
  const middle = b.op('Clip', [b.op('Round', [b.op('Sub', [lo, b.op('Div', [low, 'scale'])])]), lo, hi]);
  const q = b.op('Clip', [b.op('Add', [b.op('Round', [b.op('Div', ['x', 'scale'])]), middle]), lo, hi]);
  b.op('Cast', [b.op('Sub', [q, middle])], { to: 3 }, 'codes');
  const doc = 'x ≈ scale · codes, s = (max − min) / (hi − lo) of each row and 0; codes are less their zero point';
  return b.function(name, ['x'], ['codes', 'scale'], ['lo', 'hi'], doc);
}

/** The model's own copy of its body. */
export function declareRows(model: Model, name: RowsName): void {
  model.opsets.set(DOMAIN, 1);
  if (!model.functions.some((f) => f.domain === DOMAIN && f.name === name))
    model.functions.push(rowsBody(name, model.opsets.get('') ?? 13));
}
