/**
 * `LogSqrt2MatMul4`, `LogSqrt2MatMul6`, `Log2MatMul4`: the rows of a softmax in logarithmic codes times v in integers, by shifts. Values of v have one
 * scale and zero point: another for each token would stand inside the sum.
 */

import { smallValues } from '../../../graph/numeric.ts';
import type { Node } from '../../../graph/types.ts';
import type { View } from '../../../match/view.ts';
import { levelValues } from '../../../simulate/levels.ts';
import { Body } from '../function.ts';
import type { Fusion, Place } from '../fuse.ts';

const made = (v: View, value: string | undefined, op: string): Node | undefined => {
  const n = value === undefined ? undefined : v.producer(value);
  return n?.op === op && n.domain === '' ? n : undefined;
};

/** Codes, and the factor of the rows, behind `levels[codes]` or `levels[codes] · delta`. */
function coded(v: View, value: string, bits: number, steps: 1 | 2): { codes: string; delta?: string } | undefined {
  const gather = made(v, value, 'Gather');
  if (gather) {
    const table = v.constant(gather.inputs[0]!);
    const held = table && smallValues(table.tensor, 4096);
    const levels = levelValues({ ratio: steps === 2 ? Math.SQRT2 : 2, bits });
    const same = held?.length === levels.length && levels.every((x, i) => x === held[i]);
    return same && v.dtype(gather.inputs[1]!) !== 'int64' ? { codes: gather.inputs[1]! } : undefined;
  }
  const product = made(v, value, 'Mul');
  const inner = product && coded(v, product.inputs[0]!, bits, steps);
  return inner && inner.delta === undefined ? { ...inner, delta: product.inputs[1]! } : undefined;
}

const fusion = (name: string, bits: number, steps: 1 | 2): Fusion => {
  const last = 2 ** bits - 1;
  const depth = Math.ceil((last - 1) / steps);
  return {
    name,
    body(_, opset) {
      const b = new Body(opset);
      const weights = (parity: number) =>
        b.ints(Array.from({ length: last + 1 }, (_, q) => (q < last && q % steps === parity ? 2 ** (depth - Math.ceil(q / steps)) : 0)));
      const codes = b.op('Clip', ['codes', b.int32(0), b.int32(last)]);
      const wide = (x: string) => b.op('Cast', [x], { to: 7 });
      const x = b.op('Sub', [wide('v'), wide('zero')]);
      const sum = (parity: number) => b.op('Cast', [b.op('MatMul', [b.op('Gather', [weights(parity), codes]), x])], { to: 1 });
      const a = b.op('Mul', [b.op('Mul', ['delta', 'scale']), b.float(2 ** -depth)]);
      const even = b.op('Mul', [a, sum(0)], {}, steps === 1 ? 'y' : undefined);
      if (steps === 2) b.op('Add', [even, b.op('Mul', [b.op('Mul', [a, b.float(Math.fround(Math.SQRT2))]), sum(1)])], {}, 'y');
      const halved = steps === 2 ? '2^−⌈q/2⌉·(1 + (q mod 2)(√2 − 1))' : '2^−q';
      return b.function(
        name,
        ['codes', 'v', 'scale', 'zero', 'delta'],
        ['y'],
        [],
        `y = delta · scale · l(codes) · (v − zero), l(q) = ${halved}, l(${last}) = 0`,
      );
    },
    find(v): Place[] {
      return v.nodes('MatMul').flatMap((n): Place[] => {
        const left = coded(v, n.inputs[0]!, bits, steps);
        const right = made(v, n.inputs[1], 'DequantizeLinear');
        const codes = right && (made(v, right.inputs[0], 'Clip') ?? made(v, right.inputs[0], 'QuantizeLinear'));
        const [scale, zero] = [right?.inputs[1], right?.inputs[2]];
        const scalar = (x: string | undefined) => x !== undefined && (v.constant(x)?.tensor.shape ?? [0]).every((d) => d === 1);
        const ranks = n.inputs.map((i) => v.shape(i)?.length);
        if (
          !left?.delta ||
          !codes ||
          !scalar(scale) ||
          !scalar(zero) ||
          v.constant(zero!)?.tensor.dtype !== 'uint8' ||
          ranks[0] !== ranks[1]
        )
          return [];
        return [{ inputs: [left.codes, codes.outputs[0]!, scale!, zero!, left.delta], attrs: {}, outputs: [n.outputs[0]!] }];
      });
    },
  };
};

export const levelsMatMul: readonly Fusion[] = [
  fusion('LogSqrt2MatMul4', 4, 2),
  fusion('LogSqrt2MatMul6', 6, 2),
  fusion('Log2MatMul4', 4, 1),
];
