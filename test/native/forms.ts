/** Linear layers in the forms and number types that the target native has operators for. */
import { node } from '../../compiler/lower/make.ts';
import { floats, type Kind, type Parts } from '../targets/build.ts';

export const forms: Record<string, Parts> = {
  MatMul: { nodes: [node('MatMul', ['x', 'w'], ['y'])], input: [2, 3, 64], initializers: { w: floats([64, 48]) } },
  'MatMul, odd': { nodes: [node('MatMul', ['x', 'w'], ['y'])], input: [5, 37], initializers: { w: floats([37, 33]) } },
  'MatMul, one row': { nodes: [node('MatMul', ['x', 'w'], ['y'])], input: [1, 130], initializers: { w: floats([130, 7]) } },
  'MatMul behind Transpose': {
    nodes: [node('Transpose', ['w'], ['wt'], { perm: [1, 0] }), node('MatMul', ['x', 'wt'], ['y'])],
    input: [2, 3, 64],
    initializers: { w: floats([48, 64]) },
  },
  'Gemm with bias': {
    nodes: [node('Gemm', ['x', 'w', 'b'], ['y'])],
    input: [70, 96],
    initializers: { w: floats([96, 70]), b: floats([70], 3) },
  },
  'Gemm transB, alpha, beta': {
    nodes: [node('Gemm', ['x', 'w', 'b'], ['y'], { transB: 1, alpha: { float: 0.5 }, beta: { float: 2 } })],
    input: [5, 64],
    initializers: { w: floats([48, 64]), b: floats([48], 3) },
  },
};

const group = (n: number): Kind['grain'] => ({ per: 'group', group: n });
export const weights: Record<string, Kind> = {
  'int4 group 32': { format: 'int4', grain: group(32) },
  'uint4 group 16': { format: 'uint4', grain: group(16) },
  'int3 group 20': { format: 'int3', grain: group(20) },
  'int8 channel': { format: 'int8', grain: { per: 'channel' } },
  'uint8 group 64': { format: 'uint8', grain: group(64) },
  'int6 group 32': { format: 'int6', grain: group(32) },
  'int4 channel': { format: 'int4', grain: { per: 'channel' } },
};
export const inputs: Record<string, Kind | undefined> = {
  float: undefined,
  'int8 per token': { format: 'int8', grain: { per: 'token' }, mode: 'dynamic' },
};

/** The operator that a pair of types becomes. */
export const expected = (weight: string, input: string): string =>
  `LinearW${/int[34]/.test(weight) ? 4 : 8}${input === 'float' ? '' : 'A8'}`;
