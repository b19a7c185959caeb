/** Linear layers in the forms and number types that the target native has operators for. */

import { node } from '../../compiler/lower/make.ts';
import type { Simulated } from '../../compiler/simulated.ts';
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
  'int2 group 16': { format: 'int2', grain: group(16) },
  'uint5 channel': { format: 'uint5', grain: { per: 'channel' } },
  'int7 group 64': { format: 'int', args: { bits: 7 }, grain: group(64) },
  progressive: {
    format: 'progressive',
    args: { outer: { name: 'int8', args: { bound: 119 } }, inner: { name: 'uint4', args: { group: 32 } } },
    grain: group(32),
  },
  fp4: { format: 'fp4', grain: group(32) },
  mxfp4: { format: 'mxfp4', grain: group(32) },
  nvfp4: { format: 'nvfp4', grain: group(16) },
  'fp8 e4m3': { format: 'fp8', grain: { per: 'channel' } },
  'fp8 e5m2': { format: 'fp8', args: { kind: 'e5m2' }, grain: group(32) },
};
const floatCodes: Readonly<Record<string, string>> = {
  fp4: 'F4',
  mxfp4: 'MXF4',
  nvfp4: 'NVF4',
  'fp8 e4m3': 'F8E4M3',
  'fp8 e5m2': 'F8E5M2',
};
export const inputs: Record<string, Kind | undefined> = {
  float: undefined,
  'int8 per token': { format: 'int8', grain: { per: 'token' }, mode: 'dynamic' },
  'int8 static': { format: 'int8', grain: { per: 'tensor' } },
  'uint8 static': { format: 'uint8', grain: { per: 'tensor' }, symmetric: false },
  'int6 per token': { format: 'int6', grain: { per: 'token' }, mode: 'dynamic' },
  'int4 group, zero points': { format: 'int4', grain: group(16), mode: 'dynamic', symmetric: false },
  'int4 static': { format: 'int4', grain: { per: 'tensor' } },
};

/** The operator that a pair of types becomes. */
export const expected = (weight: string, input: string): string =>
  floatCodes[weight]
    ? `Linear${floatCodes[weight]}`
    : `Linear${weight === 'progressive' ? 'P4' : `W${/\d/.exec(weight)?.[0]}`}${input === 'float' ? '' : input === 'int8 per token' ? 'A8' : 'C8'}`;

const linear = (out: string, w = 'w', x = 'x') => node('MatMul', [x, w], [out]);
const wide = { w: floats([64, 48]), b: floats([48], 3), half: floats([8, 48], 5, 0.3, 'float16'), down: floats([64, 8], 6, 0.3) };
/** What stands behind a linear layer, and what the operator is called that takes it in. */
export const finished: Record<string, { parts: Parts; suffix: string }> = {
  bias: { parts: { nodes: [linear('a'), node('Add', ['b', 'a'], ['y'])], input: [2, 3, 64], initializers: wide }, suffix: '' },
  residual: {
    parts: {
      nodes: [linear('a'), linear('r', 'u'), node('Relu', ['r'], ['s']), node('Add', ['a', 's'], ['y'])],
      input: [5, 64],
      initializers: { ...wide, u: floats([64, 48], 4) },
    },
    suffix: '',
  },
  'bias and branch': {
    parts: {
      nodes: [
        linear('a'),
        node('Relu', ['x'], ['p']),
        node('MatMul', ['p', 'down'], ['h']),
        node('Cast', ['half'], ['up'], { to: 1 }),
        node('MatMul', ['h', 'up'], ['low']),
        node('Add', ['a', 'low'], ['c']),
        node('Add', ['c', 'b'], ['y']),
      ],
      input: [40, 64],
      initializers: wide,
    },
    suffix: '',
  },
  gate: {
    parts: {
      nodes: [linear('g', 'u'), linear('a'), node('Sigmoid', ['g'], ['s']), node('Mul', ['g', 's'], ['t']), node('Mul', ['t', 'a'], ['y'])],
      input: [3, 64],
      initializers: { ...wide, u: floats([64, 48], 4) },
    },
    suffix: 'Gated',
  },
};

/** The branches' own factors stay in float. */
export const branchless = (s: Simulated): Simulated => ({
  ...s,
  weights: s.weights.filter((w) => ['w', 'u'].includes(w.site.ports['weight']!.value)),
  values: s.values.filter((v) => v.value === 'x'),
});

/** Pairs of types to try on a form: every weight meets every input, or one of them, another in each form. */
export function pairs(form: string, whole = form === 'MatMul'): [string, string][] {
  const at = Object.keys(forms).indexOf(form);
  const all = Object.keys(inputs);
  const met = (i: number) => (whole ? all : [all[(i + at) % all.length]!]);
  // Groups of activations meet those of the weight: one divides the other, and both the reduction.
  const wide = (forms[form]!.input.at(-1) as number) % 32 === 0;
  const groups = (w: string, x: string) => !x.includes('group') || (wide && !/group 20|group 64|progressive/.test(w));
  return Object.keys(weights).flatMap((w, i) =>
    met(i)
      .filter((x) => groups(w, x))
      .map((x): [string, string] => [w, x]),
  );
}
