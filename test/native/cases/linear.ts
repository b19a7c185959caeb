import { linearBody, linearInputs, linearOp } from '../../../compiler/lower/native/body.ts';
import { bytes, type Family, floats, one, positive, type Stock } from './case.ts';

const zero = one(0);

/** The linear family: 32 rows. */
const linear: Family = (name, size) => {
  const op = linearOp(name);
  if (!op) return undefined;
  const [rows, k, n, group] = size === 'small' ? [3, 64, 48, 32] : [32, 2048, 2048, 128];
  const [panels, groups] = [Math.ceil(n / 32), k / group];
  const x = op.input === 'codes' ? bytes('int8', [rows, k]) : floats([rows, k], 3);
  // Bytes of scales: powers of two around 1, or fp8.
  const narrow = op.float === 'MXF4' ? bytes('uint8', [panels, groups, 32], 16, 118) : bytes('uint8', [panels, groups, 32], 120);
  const isNarrow = op.float === 'MXF4' || op.float === 'NVF4';
  const all = {
    x,
    // fp8 e5m2 has infinities from 124 on.
    codes: bytes('uint8', [panels, k / 4, 16 * op.bits], ...(op.float === 'F8E5M2' ? [120] : [])),
    scales: isNarrow ? narrow : positive([panels, op.progressive ? 1 : groups, 32], 0.001),
    outer: one(0.01),
    zeros: op.progressive ? bytes('uint8', [panels, groups, 32], 15) : bytes('uint8', [1, 1, 1], 1, 2 ** (op.bits - 1)),
    bias: zero,
    residual: zero,
    h: zero,
    up: floats([1, 1, 1], 1, 0),
    x_scale: positive([rows, 1]),
    x_zero: bytes('int8', [1], 1, 0),
    steps: bytes('uint8', [panels, groups, 32], 7, 1),
    gate: floats([rows, n], 4),
    y_scale: one(0.5),
  };
  const q = size === 'usual' ? stock(op.bits === 8, k, n, rows) : undefined;
  return {
    inputs: Object.fromEntries(linearInputs(op).map((i) => [i, all[i as keyof typeof all]])),
    attrs: { shape: [k, n], group, layout: 1 },
    outputs: ['y'],
    body: (opset) => linearBody(op, opset),
    ...(q ? { stock: q } : {}),
  };
};

/** DynamicQuantizeMatMul for bytes, MatMulNBits of four bits in groups of 128 for less. */
function stock(wide: boolean, k: number, n: number, rows: number): Stock {
  const first = floats([rows, k], 3);
  if (wide) {
    const inputs = { B: bytes('int8', [k, n]), b_scale: positive([1]), b_zero: bytes('int8', [1], 1, 0) };
    return { op: 'DynamicQuantizeMatMul', domain: 'com.microsoft', inputs, first };
  }
  return {
    op: 'MatMulNBits',
    domain: 'com.microsoft',
    inputs: { B: bytes('uint8', [n, k / 128, 64]), scales: positive([(n * k) / 128]) },
    attrs: { K: k, N: n, bits: 4, block_size: 128, accuracy_level: 4 },
    first,
  };
}
export default linear;
