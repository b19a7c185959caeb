/** Reference bodies of the linear operators: model-local functions of standard operators, which any ONNX Runtime runs. */
import type { Func, Model } from '../../graph/types.ts';
import { Body, DOMAIN } from './function.ts';
import { planes } from './pack.ts';

/** An operator of the linear family: y = last(x·Wᵀ + h·U + bias); docs/layouts.md has them all. */
export interface LinearOp {
  /** 2 to 8. */
  readonly bits: number;
  /** Codes under whole steps by group, under one scale a column. */
  readonly progressive?: boolean;
  /** rows: floats that the operator rounds to int8, one scale a row; codes: int8 with scales and zero points. */
  readonly input: 'float' | 'rows' | 'codes';
  readonly lowRank?: boolean;
  /** What comes last: y + residual, or silu(gate)·y. */
  readonly last?: 'add' | 'gate';
  /** y in int8. */
  readonly codes?: boolean;
}

const inputs = { float: '', rows: 'A8', codes: 'C8' } as const;
const lasts = { add: 'Add', gate: 'Gated' } as const;
export const linearName = (op: LinearOp): string =>
  `Linear${op.progressive ? 'P' : 'W'}${op.bits}${inputs[op.input]}${op.lowRank ? 'LowRank' : ''}${op.last ? lasts[op.last] : ''}${op.codes ? 'Codes' : ''}`;

/** The operator called `name`; undefined where it is none of the family. */
export function linearOp(name: string): LinearOp | undefined {
  const m = /^Linear([WP])([2-8])(A8|C8)?(LowRank)?(Add|Gated)?(Codes)?$/.exec(name);
  if (!m) return undefined;
  const [, weight, bits, input, lowRank, last, codes] = m;
  return {
    bits: Number(bits),
    input: input === 'A8' ? 'rows' : input === 'C8' ? 'codes' : 'float',
    ...(weight === 'P' ? { progressive: true } : {}),
    ...(lowRank ? { lowRank: true } : {}),
    ...(last ? { last: last === 'Add' ? 'add' : 'gate' } : {}),
    ...(codes ? { codes: true } : {}),
  };
}

/** Its inputs, in order. */
export const linearInputs = (op: LinearOp): string[] => [
  ...['x', 'codes', 'scales', 'zeros', 'bias'],
  ...(op.input === 'codes' ? ['x_scale', 'x_zero'] : []),
  ...(op.progressive ? ['steps'] : []),
  ...(op.lowRank ? ['h', 'up'] : []),
  ...(op.last === 'add' ? ['residual'] : op.last === 'gate' ? ['gate'] : []),
  ...(op.codes ? ['y_scale'] : []),
];

const FLOAT = 1;
const INT8 = 3;

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

/** W [K, N] in float32 from layout 1 (docs/layouts.md). */
function decoded(b: Body, op: LinearOp): string {
  const cells = b.op('Transpose', [b.op('Reshape', [joined(b, op.bits), b.ints([0, 0, 32, 4])])], { perm: [0, 1, 3, 2] });
  const counts = b.op('Slice', [b.op('Shape', [op.progressive ? 'steps' : 'scales']), b.ints([0]), b.ints([2]), b.ints([0])]);
  const grouped = b.op('Reshape', [cells, b.op('Concat', [counts, b.ints([-1, 32])], { axis: 0 })]);
  const two = b.ints([2]);
  const float = (x: string) => b.op('Cast', [x], { to: FLOAT });
  const centred = b.op('Sub', [grouped, float(b.op('Unsqueeze', ['zeros', two]))]);
  const whole = op.progressive ? b.op('Mul', [centred, float(b.op('Unsqueeze', ['steps', two]))]) : centred;
  const weights = b.op('Mul', [whole, b.op('Unsqueeze', ['scales', two])]);
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

/** h·U with U in panels of 32 columns. */
function branch(b: Body): string {
  const rows = b.op('Transpose', [b.op('Cast', ['up'], { to: FLOAT })], { perm: [1, 0, 2] });
  const matrix = b.op('Reshape', [rows, b.ints([0, -1])]);
  const columns = b.slice(b.attribute('shape'), 1, 2);
  return b.op('MatMul', ['h', b.op('Slice', [matrix, b.ints([0]), columns, b.ints([1])])]);
}

/** The body of a linear operator, for a model of operator set `opset` (at least 13). */
export function linearBody(op: LinearOp, opset: number): Func {
  const b = new Body(opset);
  let y = product(b, op);
  if (op.lowRank) y = b.op('Add', [y, branch(b)]);
  y = b.op('Add', [y, 'bias'], {}, op.last || op.codes ? undefined : 'y');
  const named = op.codes ? undefined : 'y';
  if (op.last === 'add') y = b.op('Add', [y, 'residual'], {}, named);
  if (op.last === 'gate') y = b.op('Mul', [b.op('Mul', ['gate', b.op('Sigmoid', ['gate'])]), y], {}, named);
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
