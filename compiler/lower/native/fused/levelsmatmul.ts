/**
 * `LogSqrt2MatMul4`, `LogSqrt2MatMul6`, `Log2MatMul4`: the rows of a softmax in logarithmic codes times v in integers, by shifts. Rows count from 1 or
 * have a factor; v has one scale and zero point, or one a head: another for each token would stand inside the sum.
 */

import { smallValues } from '../../../graph/numeric.ts';
import type { Node } from '../../../graph/types.ts';
import { attrInt, attrInts, type View } from '../../../match/view.ts';
import { levelValues } from '../../../simulate/levels.ts';
import { float32s, node } from '../../make.ts';
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

interface Right {
  readonly codes: string;
  readonly scale: string;
  readonly zero: string;
}

/** v under a constant scale. */
function fixed(v: View, value: string | undefined): Right | undefined {
  const n = made(v, value, 'DequantizeLinear');
  const codes = n && (made(v, n.inputs[0], 'Clip') ?? made(v, n.inputs[0], 'QuantizeLinear'));
  const [scale, zero] = [n?.inputs[1], n?.inputs[2]];
  const scalar = (x: string | undefined) => x !== undefined && (v.constant(x)?.tensor.shape ?? [0]).every((d) => d === 1);
  if (!codes || scale === undefined || zero === undefined || !scalar(scale) || !scalar(zero)) return undefined;
  return v.constant(zero)?.tensor.dtype === 'uint8' ? { codes: codes.outputs[0]!, scale, zero } : undefined;
}

/** Is a scale that is found at run time one for the last two axes, or for all? By the reduction that it begins with. */
function ofMatrices(v: View, scale: string): boolean {
  let n = v.producer(scale);
  for (let depth = 0; n && n.op !== 'ReduceMax' && n.op !== 'ReduceMin' && depth < 8; depth++) n = v.producer(n.inputs[0] ?? '');
  if (n?.op !== 'ReduceMax' && n?.op !== 'ReduceMin') return false;
  const rank = v.shape(n.inputs[0]!)?.length;
  const axes = attrInts(n, 'axes') ?? (n.inputs[1] ? v.numbers(n.inputs[1]) : undefined);
  if (rank === undefined || !axes || attrInt(n, 'keepdims', 1) !== 1) return false;
  const last = new Set([...axes].map((a) => (a < 0 ? a + rank : a)));
  return last.has(rank - 1) && last.has(rank - 2) && (last.size === 2 || last.size === rank);
}

/** v under scales of the last two axes that are found at run time: (codes − zero) · scale in floats. `cast` makes bytes of them. */
function found(v: View, value: string | undefined, cast: (x: string) => string): Right | undefined {
  const product = made(v, value, 'Mul');
  for (const [moved, scale] of product ? [product.inputs, [...product.inputs].reverse()] : []) {
    const sub = made(v, moved, 'Sub');
    const [codes, zero] = [0, 1].map((i) => made(v, sub?.inputs[i], 'Clip'));
    const bytes = (n: Node | undefined): n is Node =>
      n !== undefined && (v.scalar(n.inputs[1] ?? '') ?? -1) >= 0 && (v.scalar(n.inputs[2] ?? '') ?? 256) <= 255;
    if (!bytes(codes) || !bytes(zero) || scale === undefined || !ofMatrices(v, scale)) continue;
    return { codes: cast(codes.outputs[0]!), scale, zero: cast(zero.outputs[0]!) };
  }
  return undefined;
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
    find(v, e): Place[] {
      return v.nodes('MatMul').flatMap((n): Place[] => {
        const left = coded(v, n.inputs[0]!, bits, steps);
        const ranks = n.inputs.map((i) => v.shape(i)?.length);
        if (!left || ranks[0] !== ranks[1]) return [];
        const cast = (x: string) => {
          const bytes = e.fresh(`${x}/bytes`);
          e.before(n, [node('Cast', [x], [bytes], { to: 2 })]);
          return bytes;
        };
        const right = fixed(v, n.inputs[1]) ?? found(v, n.inputs[1], cast);
        if (!right) return [];
        const delta = left.delta ?? e.shared('qc/one', () => float32s([1], [1]));
        return [{ inputs: [left.codes, right.codes, right.scale, right.zero, delta], attrs: {}, outputs: [n.outputs[0]!] }];
      });
    },
  };
};

export const levelsMatMul: readonly Fusion[] = [
  fusion('LogSqrt2MatMul4', 4, 2),
  fusion('LogSqrt2MatMul6', 6, 2),
  fusion('Log2MatMul4', 4, 1),
];
