/** Reference bodies of the qc.v1 operators: model-local functions of standard operators, which any ONNX Runtime runs. */
import type { Func } from '../../graph/types.ts';
import { Body } from './function.ts';

/** The operators of the linear family: y = x·Wᵀ + bias; A8 rounds each row of x to int8 first. */
export interface LinearOp {
  readonly bits: 4 | 8;
  readonly int8: boolean;
}
export const linearName = (op: LinearOp): string => `LinearW${op.bits}${op.int8 ? 'A8' : ''}`;

/** W [K, N] in float32 from layout 1 (docs/layouts.md). */
function decoded(b: Body, bits: 4 | 8): string {
  let q = 'codes';
  if (bits === 4) {
    const four = b.byte(4);
    const low = b.op('BitShift', [b.op('BitShift', ['codes', four], { direction: 'LEFT' }), four], { direction: 'RIGHT' });
    const high = b.op('BitShift', ['codes', four], { direction: 'RIGHT' });
    q = b.op('Concat', [low, high], { axis: 2 });
  }
  const cells = b.op('Transpose', [b.op('Reshape', [q, b.ints([0, 0, 32, 4])])], { perm: [0, 1, 3, 2] });
  const counts = b.op('Slice', [b.op('Shape', ['scales']), b.ints([0]), b.ints([2]), b.ints([0])]);
  const grouped = b.op('Reshape', [cells, b.op('Concat', [counts, b.ints([-1, 32])], { axis: 0 })]);
  const two = b.ints([2]);
  const float = (x: string) => b.op('Cast', [x], { to: 1 });
  const centred = b.op('Sub', [float(grouped), float(b.op('Unsqueeze', ['zeros', two]))]);
  const weights = b.op('Mul', [centred, b.op('Unsqueeze', ['scales', two])]);
  const turned = b.op('Transpose', [weights], { perm: [1, 2, 0, 3] });
  const columns = b.op('Mul', [b.op('Slice', [counts, b.ints([0]), b.ints([1]), b.ints([0])]), b.ints([32])]);
  const matrix = b.op('Reshape', [turned, b.op('Concat', [b.ints([-1]), columns], { axis: 0 })]);
  return b.op('Slice', [matrix, b.ints([0, 0]), b.attribute('shape'), b.ints([0, 1])]);
}

/** The body of a linear operator, for a model of operator set `opset` (at least 13). */
export function linearBody(op: LinearOp, opset: number): Func {
  const b = new Body(opset);
  const w = decoded(b, op.bits);
  let y: string;
  if (op.int8) {
    const most = b.reduce('ReduceMax', b.op('Abs', ['x']));
    const scale = b.op('Max', [b.op('Div', [most, b.float(127)]), b.float(1e-30)]);
    const codes = b.op('Clip', [b.op('Round', [b.op('Div', ['x', scale])]), b.float(-128), b.float(127)]);
    y = b.op('Mul', [b.op('MatMul', [codes, w]), scale]);
  } else y = b.op('MatMul', ['x', w]);
  b.op('Add', [y, 'bias'], {}, 'y');
  const doc = 'y = x Wᵀ + bias with W = scale·(code − zero) in layout 1; the reference of the kernel of the same name.';
  return b.function(linearName(op), ['x', 'codes', 'scales', 'zeros', 'bias'], ['y'], ['shape', 'group', 'layout'], doc);
}
