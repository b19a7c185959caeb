import { int64s } from '../../../compiler/lower/make.ts';
import { normBody, normOp } from '../../../compiler/lower/native/norms.ts';
import { type Case, type Family, floats, one, positive } from './case.ts';

/** Attributes of codes by what an operator emits. */
export const codesAttrs = {
  rows: { top: { float: 127 } },
  asymmetric: { lo: { float: -64 }, hi: { float: 63 } },
  steps: { lo: { float: -128 }, hi: { float: 127 }, zero: { float: 0 } },
  picked: { lo: { float: -8 }, hi: { float: 7 }, zero: { float: 0 } },
  floats: {},
} as const;

/** Norms: 256 rows of 2048. */
const norms: Family = (name, size): Case | undefined => {
  const op = normOp(name);
  if (!op) return undefined;
  const [rows, n] = size === 'small' ? [5, 48] : [256, 2048];
  const x = floats([1, rows, n], 1);
  const gain = positive([n], 1);
  const added = { residual: floats([1, rows, n], 2) };
  const bias = { bias: floats([n], 3) };
  const results = { floats: ['y'], rows: ['codes', 'scale'], steps: ['codes'], picked: ['codes'] }[op.emits];
  // Every fifth channel twice.
  const channels = int64s(Array.from({ length: n }, (_, k) => (k % 5 ? [k] : [k, k])).flat());
  const stepped = { floats: {}, rows: {}, steps: { step: one(0.05) }, picked: { step: one(0.4), channels } }[op.emits];
  const eps = { float: 1e-5 };
  const skip = op.add ? 'Skip' : '';
  const stock = op.layer
    ? { op: `${skip}LayerNormalization`, inputs: { ...(op.add ? added : {}), gain, ...bias }, domain: op.add ? 'com.microsoft' : '' }
    : { op: `${skip}SimplifiedLayerNormalization`, inputs: { ...(op.add ? added : {}), gain }, domain: op.add ? 'com.microsoft' : '' };
  return {
    inputs: { x, ...(op.add ? added : {}), gain, ...(op.layer ? bias : {}), ...stepped },
    attrs: { eps, ...codesAttrs[op.emits] },
    outputs: [...results, ...(op.add ? ['sum'] : [])],
    body: (opset) => normBody(name, opset),
    ...(op.emits === 'floats'
      ? { stock: { ...stock, attrs: { epsilon: eps, ...(op.add ? {} : { axis: -1 }) }, outputs: op.add ? ['y', '', '', 'sum'] : ['y'] } }
      : {}),
  };
};
export default norms;
