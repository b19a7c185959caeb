/** Requests as operation, numbers and buffers: what solvers/src/protocol.rs reads. */
import type {
  AdaRoundRequest,
  CodeFormat,
  CodeGrain,
  DequantizeRequest,
  FloatType,
  Layout,
  LeastSquaresRequest,
  LowRankRequest,
  Matrix,
  Outer,
  QuantizeRequest,
  ScaleLaw,
  SolveRequest,
} from '../compiler/crunch.ts';
import type { DType } from '../compiler/graph/types.ts';
import { fail } from '../grammar/diagnostics.ts';

export const op = {
  quantize: 0,
  dequantize: 1,
  cast: 2,
  moments: 4,
  histogram: 5,
  clip: 6,
  solve: 7,
  cross: 8,
  hash: 9,
  adaround: 20,
  leastSquares: 21,
  eigen: 22,
  orthonormal: 23,
  rangeNorms: 24,
  lowRank: 25,
  distance: 26,
  minusProduct: 27,
  hadamard: 28,
} as const;

/** Bytes of a weight's element. */
export const floatBytes: Record<FloatType, number> = { float32: 4, float16: 2, bfloat16: 2, float64: 8 };

const floatTypes: readonly FloatType[] = ['float32', 'float16', 'bfloat16', 'float64'];
const layouts: readonly Layout[] = ['plain', 'source', 'nbits'];
const scaleTypes: readonly QuantizeRequest['scaleType'][] = ['float32', 'float16', 'bfloat16', 'float64', 'e8m0', 'nv', 'int8'];
const floatFormats = ['int', 'e4m3', 'e5m2', 'e2m1'] as const;

export const formatNumbers = (f: CodeFormat): number[] =>
  f.kind === 'int' ? [0, f.bits, Number(f.signed), f.lo, f.hi] : [floatFormats.indexOf(f.name)];

function grainNumbers(g: CodeGrain): number[] {
  if (g.per === 'group') return [2, g.group, 0];
  if (g.per === 'block') return [3, g.rows, g.cols];
  return [g.per === 'tensor' ? 0 : 1, 0, 0];
}

export function lawNumbers(law: ScaleLaw): number[] {
  switch (law.name) {
    case 'minmax':
      return [0, 0, 0, 0, 0];
    case 'signed_absmax':
      return [1, 0, 0, 0, 0];
    case 'percentile':
      return [2, law.p, 0, 0, 0];
    case 'mse':
      return [3, law.steps, law.shrink, law.p, Number(law.signed)];
    case 'entropy':
      return [4, law.bins, 0, 0, 0];
    case 'hqq':
      return [5, law.p, law.beta, law.kappa, law.iterations];
    case 'share':
      return [6, law.ratio, 0, 0, 0];
  }
}

/** The type of scales, and what integer ones stand under. */
const scaleNumbers = (r: { readonly scaleType: QuantizeRequest['scaleType']; readonly outer?: Outer }): number[] => [
  scaleTypes.indexOf(r.scaleType),
  ...(r.scaleType === 'int8' ? [r.outer?.bound ?? 127, scaleTypes.indexOf(r.outer?.type ?? 'float32')] : []),
];

const matrixNumbers = (w: Matrix): number[] => [floatTypes.indexOf(w.dtype), w.out, w.reduce, Number(w.order === 'ro')];

export function quantizeNumbers(r: QuantizeRequest): number[] {
  return [
    ...matrixNumbers(r.weight),
    ...formatNumbers(r.format),
    Number(r.symmetric),
    ...grainNumbers(r.grain),
    ...lawNumbers(r.law),
    ...scaleNumbers(r),
    layouts.indexOf(r.layout),
    Number(r.importance !== undefined),
    Number(r.scales !== undefined),
    Number(r.zeros !== undefined),
    Number(r.digest ?? false),
  ];
}

/** What every solver of codes is told of its layer. */
const layerNumbers = (r: SolveRequest | AdaRoundRequest): number[] => [
  ...matrixNumbers(r.weight),
  ...formatNumbers(r.format),
  Number(r.symmetric),
  ...grainNumbers(r.grain),
  ...lawNumbers(r.law),
  ...scaleNumbers(r),
  r.damp,
  Number(r.cross !== undefined),
];

export const solveNumbers = (r: SolveRequest): number[] => [
  ...layerNumbers(r),
  Number(r.order === 'hessian'),
  Number(r.staticGroups),
  r.block,
  r.descents,
  Number(r.rescale),
];

export const adaroundNumbers = (r: AdaRoundRequest): number[] => [...layerNumbers(r), r.iterations, r.rate, r.regular];

export const lowRankNumbers = (r: LowRankRequest): number[] => [
  r.n,
  r.rank,
  r.steps,
  Number(r.half),
  Number(r.codes !== undefined),
  r.space ? (r.space.inverse ? 2 : 1) : 0,
];

export const leastSquaresNumbers = (r: LeastSquaresRequest): number[] => [
  ...matrixNumbers(r.weight),
  r.damp,
  Number(r.cross !== undefined),
  Number(r.mask !== undefined),
];

export const dequantizeNumbers = (r: DequantizeRequest): number[] => [
  r.out,
  r.reduce,
  Number(r.order === 'ro'),
  ...formatNumbers(r.format),
  ...grainNumbers(r.grain),
  ...scaleNumbers(r),
  layouts.indexOf(r.layout),
  r.globalScale ?? 1,
];

/** Number and bits of the element types that casts know: 20 + bits for unsigned integers, 120 + bits for signed ones. */
const elements: Partial<Record<DType, readonly [code: number, bits: number]>> = {
  float32: [0, 32],
  float64: [1, 64],
  float16: [2, 16],
  bfloat16: [3, 16],
  float8e4m3fn: [4, 8],
  float8e5m2: [5, 8],
  float4e2m1: [6, 4],
  float8e8m0: [7, 8],
  bool: [200, 8],
  uint2: [22, 2],
  uint4: [24, 4],
  uint8: [28, 8],
  uint16: [36, 16],
  uint32: [52, 32],
  uint64: [84, 64],
  int2: [122, 2],
  int4: [124, 4],
  int8: [128, 8],
  int16: [136, 16],
  int32: [152, 32],
  int64: [184, 64],
};

/** @throws QcError `unsupported-cast` for element types that no cast knows. */
export function element(t: DType): readonly [code: number, bits: number] {
  return elements[t] ?? fail('unsupported-cast', `elements of type ${t} cannot be converted`);
}
