/** Reference bodies of the linear operators: model-local functions of standard operators, which any ONNX Runtime runs. */
import type { Func, Model } from '../../graph/types.ts';
import { Body, DOMAIN } from './function.ts';
import { type FloatCodes, floatCodes, planes } from './pack.ts';

/** An operator of the linear family: y = (x·Wᵀ + h·U + bias)·silu(gate) + residual; docs/layouts.md has them all. */
export interface LinearOp {
  /** 2 to 8. */
  readonly bits: number;
  /** Codes under whole steps by group, under one scale a column. */
  readonly progressive?: boolean;
  /** Codes are floats (and x too). */
  readonly float?: FloatCodes;
  /** rows: floats that the operator rounds to int8, one scale a row; codes: int8 with scales and zero points. */
  readonly input: 'float' | 'rows' | 'codes';
  /** Of those that read codes. */
  readonly gated?: boolean;
  /** y in int8; of those that read codes. */
  readonly codes?: boolean;
}

const forms = { float: '', rows: 'A8', codes: 'C8' } as const;
export const linearName = (op: LinearOp): string =>
  op.float
    ? `Linear${op.float}`
    : `Linear${op.progressive ? 'P' : 'W'}${op.bits}${forms[op.input]}${op.gated ? 'Gated' : ''}${op.codes ? 'Codes' : ''}`;

/** The operator called `name`; undefined where it is none of the family. */
export function linearOp(name: string): LinearOp | undefined {
  const float = floatCodes.find((f) => name === `Linear${f}`);
  if (float) return { bits: float.startsWith('F8') ? 8 : 4, input: 'float', float };
  const m = /^Linear([WP])([2-8])(A8|C8)?(Gated)?(Codes)?$/.exec(name);
  if (!m) return undefined;
  const [, weight, bits, input, gated, codes] = m;
  return {
    bits: Number(bits),
    input: input === 'A8' ? 'rows' : input === 'C8' ? 'codes' : 'float',
    ...(weight === 'P' ? { progressive: true } : {}),
    ...(gated ? { gated: true } : {}),
    ...(codes ? { codes: true } : {}),
  };
}

/** What there may be nothing of: one 0 then. */
export const absent = { bias: [1], residual: [1], h: [1], up: [1, 1, 1] } as const;

/** Its inputs, in order. */
export const linearInputs = (op: LinearOp): string[] => [
  ...['x', 'codes', 'scales', 'zeros', ...Object.keys(absent)],
  ...(op.input === 'codes' ? ['x_scale', 'x_zero'] : []),
  ...(op.float === 'NVF4' ? ['outer'] : []),
  ...(op.progressive ? ['steps'] : []),
  ...(op.gated ? ['gate'] : []),
  ...(op.codes ? ['y_scale'] : []),
];

const FLOAT = 1;
const INT8 = 3;
const INT32 = 6;

/** The codes [panels, cells, 128] as floats, from the planes of each cell. */
function joined(b: Body, bits: number): string {
  const axis = b.ints([2]);
  const all = [...planes(bits)].map(({ width, low }) => {
    const plane = width === bits ? 'codes' : b.op('Slice', ['codes', b.ints([16 * low]), b.ints([16 * (low + width)]), axis]);
    if (width === 8) return b.op('Cast', [plane], { to: FLOAT });
    const right = b.byte(8 - width);
    const parts = Array.from({ length: 8 / width }, (_, i) => {
      const left = b.op('BitShift', [plane, b.byte(8 - width - width * i)], { direction: 'LEFT' });
      return b.op('BitShift', [left, right], { direction: 'RIGHT' });
    });
    const codes = b.op('Cast', [b.op('Concat', parts, { axis: 2 })], { to: FLOAT });
    return low === 0 ? codes : b.op('Mul', [codes, b.float(2 ** low)]);
  });
  return all.reduce((sum, plane) => b.op('Add', [sum, plane]));
}

/** What a code of a float format stands for; the two codes of e4m3 that are NaN, which no weight has, as the numbers that their bits say. */
function numbersOf(exponent: number, mantissa: number): number[] {
  const bias = 2 ** (exponent - 1) - 1;
  return Array.from({ length: 2 ** (1 + exponent + mantissa) }, (_, code) => {
    const [e, m] = [(code >> mantissa) % 2 ** exponent, (code % 2 ** mantissa) / 2 ** mantissa];
    const special = exponent === 5 && e === 31;
    const size = special ? (m === 0 ? Number.POSITIVE_INFINITY : Number.NaN) : e === 0 ? m * 2 ** (1 - bias) : (1 + m) * 2 ** (e - bias);
    return code >> (exponent + mantissa) ? -size : size;
  });
}
const e4m3 = numbersOf(4, 3);
const e8m0 = Array.from({ length: 256 }, (_, e) => (e === 255 ? Number.POSITIVE_INFINITY : 2 ** (e - 127)));

/** Codes of floats, or bytes of scales, as what they stand for. */
const looked = (b: Body, codes: string, table: readonly number[]): string =>
  b.op('Gather', [b.floats(table), b.op('Cast', [codes], { to: INT32 })]);

const tables: Readonly<Record<FloatCodes, readonly number[]>> = {
  F4: numbersOf(2, 1),
  MXF4: numbersOf(2, 1),
  NVF4: numbersOf(2, 1),
  F8E4M3: e4m3,
  F8E5M2: numbersOf(5, 2),
};

/** Scales in float32. */
function scalesOf(b: Body, op: LinearOp): string {
  if (op.float === 'MXF4') return looked(b, 'scales', e8m0);
  return op.float === 'NVF4' ? b.op('Mul', [looked(b, 'scales', e4m3), 'outer']) : 'scales';
}

/** W [K, N] in float32 from layout 1 (docs/layouts.md). */
function decoded(b: Body, op: LinearOp): string {
  const codes = joined(b, op.bits);
  const numbers = op.float ? looked(b, codes, tables[op.float]) : codes;
  const cells = b.op('Transpose', [b.op('Reshape', [numbers, b.ints([0, 0, 32, 4])])], { perm: [0, 1, 3, 2] });
  const counts = b.op('Slice', [b.op('Shape', [op.progressive ? 'steps' : 'scales']), b.ints([0]), b.ints([2]), b.ints([0])]);
  const grouped = b.op('Reshape', [cells, b.op('Concat', [counts, b.ints([-1, 32])], { axis: 0 })]);
  const two = b.ints([2]);
  const float = (x: string) => b.op('Cast', [x], { to: FLOAT });
  const centred = op.float ? grouped : b.op('Sub', [grouped, float(b.op('Unsqueeze', ['zeros', two]))]);
  const whole = op.progressive ? b.op('Mul', [centred, float(b.op('Unsqueeze', ['steps', two]))]) : centred;
  const weights = b.op('Mul', [whole, b.op('Unsqueeze', [scalesOf(b, op), two])]);
  const turned = b.op('Transpose', [weights], { perm: [1, 2, 0, 3] });
  const columns = b.op('Mul', [b.op('Slice', [counts, b.ints([0]), b.ints([1]), b.ints([0])]), b.ints([32])]);
  const matrix = b.op('Reshape', [turned, b.op('Concat', [b.ints([-1]), columns], { axis: 0 })]);
  return b.op('Slice', [matrix, b.ints([0, 0]), b.attribute('shape'), b.ints([0, 1])]);
}

/** What int8 codes stand for: each scale is for as many elements in a row as there are for each. */
function fromCodes(b: Body): string {
  const wide = b.op('Cast', ['x'], { to: FLOAT });
  const count = b.op('Reshape', [b.op('Size', ['x_scale']), b.ints([1])]);
  const spans = b.op('Reshape', [wide, b.op('Concat', [count, b.ints([-1])], { axis: 0 })]);
  const column = (x: string) => b.op('Reshape', [x, b.ints([-1, 1])]);
  const centred = b.op('Sub', [spans, column(b.op('Cast', ['x_zero'], { to: FLOAT }))]);
  return b.op('Reshape', [b.op('Mul', [centred, column('x_scale')]), b.op('Shape', ['x'])]);
}

/** x·Wᵀ. */
function product(b: Body, op: LinearOp): string {
  const w = decoded(b, op);
  if (op.input === 'float') return b.op('MatMul', ['x', w]);
  if (op.input === 'codes') return b.op('MatMul', [fromCodes(b), w]);
  const most = b.reduce('ReduceMax', b.op('Abs', ['x']));
  const scale = b.op('Max', [b.op('Div', [most, b.float(127)]), b.float(1e-30)]);
  const codes = b.op('Clip', [b.op('Round', [b.op('Div', ['x', scale])]), b.float(-128), b.float(127)]);
  return b.op('Mul', [b.op('MatMul', [codes, w]), scale]);
}

/** h·U with U in panels of 32 columns; of one 0 each, 0. */
function branch(b: Body): string {
  const rows = b.op('Transpose', [b.op('Cast', ['up'], { to: FLOAT })], { perm: [1, 0, 2] });
  const matrix = b.op('Reshape', [rows, b.ints([0, -1])]);
  const columns = b.slice(b.attribute('shape'), 1, 2);
  return b.op('MatMul', ['h', b.op('Slice', [matrix, b.ints([0]), columns, b.ints([1])])]);
}

/** The body of a linear operator, for a model of operator set `opset` (at least 13). */
export function linearBody(op: LinearOp, opset: number): Func {
  const b = new Body(opset);
  const sum = b.op('Add', [b.op('Add', [product(b, op), branch(b)]), 'bias']);
  const gated = op.gated ? b.op('Mul', [b.op('Mul', ['gate', b.op('Sigmoid', ['gate'])]), sum]) : sum;
  const y = b.op('Add', [gated, 'residual'], {}, op.codes ? undefined : 'y');
  if (op.codes)
    b.op('Cast', [b.op('Clip', [b.op('Round', [b.op('Div', [y, 'y_scale'])]), b.float(-128), b.float(127)])], { to: INT8 }, 'y');
  const doc = 'y = x Wᵀ + bias with W = scale·(code − zero) in layout 1; the reference of the kernel of the same name.';
  return b.function(linearName(op), linearInputs(op), ['y'], ['shape', 'group', 'layout'], doc);
}

/** The model's own copy of an operator's body, and its domain. */
export function declareLinear(model: Model, op: LinearOp): void {
  const name = linearName(op);
  model.opsets.set(DOMAIN, 1);
  if (!model.functions.some((f) => f.domain === DOMAIN && f.name === name))
    model.functions.push(linearBody(op, model.opsets.get('') ?? 13));
}
