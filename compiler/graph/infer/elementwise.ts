/** Elementwise operators: broadcasting, and arithmetic on shape vectors. */

import { add, floorDiv, mul, sub } from '../dims.ts';
import { dtypeOf } from '../dtype.ts';
import type { Dim, DType } from '../types.ts';
import { broadcast, type Context, type Rule } from './context.ts';

/** Same type and shape as the first input. */
export const like: Rule = (c) => {
  const { dtype, shape, data } = c.in(0);
  c.set(0, dtype, shape, ['Identity', 'Dropout'].includes(c.node.op) ? data : undefined);
  if (c.node.op === 'Dropout') c.set(1, 'bool', shape);
};

const shapeOf = (c: Context, n = c.inputs.length): readonly Dim[] | undefined =>
  broadcast(
    c.inputs.slice(0, n).map((f) => f?.shape),
    (axis) => c.fresh(axis),
  );

/** Elements of both inputs, broadcast against each other. */
function pairs(c: Context): [Dim, Dim][] | undefined {
  const [a, b] = [c.in(0).data, c.in(1).data];
  if (a === undefined || b === undefined) return undefined;
  const n = a.length === 1 ? b.length : a.length;
  if (b.length !== n && b.length !== 1) return undefined;
  return Array.from({ length: n }, (_, i) => [a[a.length === 1 ? 0 : i]!, b[b.length === 1 ? 0 : i]!]);
}

const isInteger = (t: DType | undefined): boolean => t !== undefined && /^u?int/.test(t);

type Fold = (a: Dim, b: Dim, integer: boolean) => Dim | undefined;
const onNumbers =
  (f: (a: number, b: number) => number): Fold =>
  (a, b) =>
    typeof a === 'number' && typeof b === 'number' ? f(a, b) : undefined;

const arithmetic: Record<string, Fold> = {
  Add: (a, b) => add(a, b),
  Sub: (a, b) => sub(a, b),
  Mul: (a, b) => mul(a, b),
  Div: (a, b, integer) => (integer ? truncated(a, b) : typeof a === 'number' && typeof b === 'number' ? a / b : a === b ? 1 : undefined),
  Mod: onNumbers((a, b) => (b === 0 ? Number.NaN : a - b * Math.floor(a / b))),
  Pow: onNumbers((a, b) => a ** b),
  Min: onNumbers(Math.min),
  Max: onNumbers(Math.max),
};

const truncated = (a: Dim, b: Dim): Dim | undefined =>
  b === 0 ? undefined : typeof a === 'number' && typeof b === 'number' ? Math.trunc(a / b) : floorDiv(a, b);

/** Sizes are never negative, which decides comparisons of a symbol with a negative number. */
const comparisons: Record<string, Fold> = {
  Equal: (a, b) => (a === b ? 1 : typeof a === 'number' && typeof b === 'number' ? 0 : opposite(a, b) ? 0 : undefined),
  Less: onNumbers((a, b) => +(a < b)),
  LessOrEqual: onNumbers((a, b) => +(a <= b)),
  Greater: onNumbers((a, b) => +(a > b)),
  GreaterOrEqual: onNumbers((a, b) => +(a >= b)),
  And: onNumbers((a, b) => +(a !== 0 && b !== 0)),
  Or: onNumbers((a, b) => +(a !== 0 || b !== 0)),
  Xor: onNumbers((a, b) => +((a !== 0) !== (b !== 0))),
};

const opposite = (a: Dim, b: Dim): boolean => (typeof a === 'number' && a < 0) || (typeof b === 'number' && b < 0);

function folded(c: Context, fold: Fold): readonly Dim[] | undefined {
  const integer = isInteger(c.dtype(0));
  const out: Dim[] = [];
  for (const [a, b] of pairs(c) ?? []) {
    const r = fold(a, b, integer);
    if (r === undefined || Number.isNaN(r)) return undefined;
    out.push(r);
  }
  return pairs(c) === undefined ? undefined : out;
}

const arithmeticRule: Rule = (c) => {
  const fold = arithmetic[c.node.op];
  // Pow takes its type from the base, the others have one type
  const dtype = c.dtype(0) ?? (c.node.op === 'Pow' ? undefined : c.inputs.find((f) => f?.dtype)?.dtype);
  c.set(0, dtype, shapeOf(c), fold !== undefined && c.inputs.length === 2 ? folded(c, fold) : undefined);
};

const comparisonRule: Rule = (c) => {
  const fold = comparisons[c.node.op];
  c.set(0, 'bool', shapeOf(c), fold && folded(c, fold));
};

const unaryFolds: Record<string, (a: number) => number> = {
  Abs: Math.abs,
  Neg: (a) => -a,
  Floor: Math.floor,
  Ceil: Math.ceil,
  Sqrt: Math.sqrt,
  Not: (a) => +(a === 0),
};

const unaryRule: Rule = (c) => {
  const { dtype, shape, data } = c.in(0);
  const f = unaryFolds[c.node.op];
  const out = f && data?.every((d) => typeof d === 'number') ? (data as number[]).map(f) : undefined;
  // sizes are whole and not negative
  const kept = data && ['Floor', 'Ceil', 'Abs'].includes(c.node.op) ? data : undefined;
  c.set(0, dtype, shape, out ?? (c.node.op === 'Neg' ? data?.map((d) => mul(d, -1)) : kept));
};

const cast: Rule = (c) => {
  const dtype = c.node.op === 'CastLike' ? c.dtype(1) : dtypeOf(c.int('to', 0));
  const { shape, data } = c.in(0);
  const whole = isInteger(dtype);
  c.set(
    0,
    dtype,
    shape,
    dtype === 'bool'
      ? data?.map((d) => (d === 0 ? 0 : d === 1 ? 1 : d))
      : data?.map((d) => (typeof d === 'number' && whole ? Math.trunc(d) : d)),
  );
};

const where: Rule = (c) => {
  const [cond, a, b] = [c.in(0).data, c.in(1).data, c.in(2).data];
  const shape = shapeOf(c);
  let data: Dim[] | undefined;
  if (cond?.every((d) => typeof d === 'number') && a && b) {
    const n = Math.max(cond.length, a.length, b.length);
    const at = (v: readonly Dim[], i: number): Dim => v[v.length === 1 ? 0 : i] ?? 0;
    if ([cond, a, b].every((v) => v.length === 1 || v.length === n))
      data = Array.from({ length: n }, (_, i) => (at(cond, i) !== 0 ? at(a, i) : at(b, i)));
  }
  c.set(0, c.dtype(1) ?? c.dtype(2), shape, data);
};

const toBool: Rule = (c) => c.set(0, 'bool', c.shape(0));

const each = (names: string, rule: Rule): [string, Rule][] => names.split(' ').map((n) => [n, rule]);

export const elementwise: readonly [string, Rule][] = [
  ...each(
    'Identity Dropout Relu LeakyRelu PRelu Elu Selu Celu Sigmoid HardSigmoid HardSwish Swish Mish Tanh Gelu Softplus Softsign ThresholdedRelu Exp Log Erf Sin Cos Tan Asin Acos Atan Sinh Cosh Asinh Acosh Atanh Reciprocal Round Sign Shrink Clip Softmax LogSoftmax Hardmax LpNormalization MeanVarianceNormalization CumSum CumProd SwiGLU Trilu ReverseSequence ScatterND ScatterElements Scatter InstanceNormalization GroupNormalization LRN TensorScatter BitwiseNot RMSNormalization RotaryEmbedding',
    like,
  ),
  ...each('Abs Neg Floor Ceil Sqrt Not', unaryRule),
  ...each('Add Sub Mul Div Mod Pow Min Max Sum Mean BitwiseAnd BitwiseOr BitwiseXor BitShift', arithmeticRule),
  ...each('Equal Less LessOrEqual Greater GreaterOrEqual And Or Xor', comparisonRule),
  ...each('IsNaN IsInf', toBool),
  ['Cast', cast],
  ['CastLike', cast],
  ['Where', where],
];
