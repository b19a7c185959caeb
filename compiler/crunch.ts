/**
 * The heavy loops, done in Rust: the same crates as a native addon and as wasm, same bytes from both.
 * Every matrix here is the logical weight W[out, reduce]; groups run along `reduce`.
 */
import type { DType } from './graph/types.ts';

/** Bytes in memory, or a range of a file that native code maps. */
export type Bytes = Uint8Array | { readonly path: string; readonly at: number; readonly len: number };

export type FloatType = 'float32' | 'float16' | 'bfloat16' | 'float64';

/** A float matrix W[out, reduce]. `order` says how it lies: 'or' row-major [out, reduce] (Gemm transB, Conv), 'ro' row-major [reduce, out] (MatMul). */
export interface Matrix {
  readonly data: Bytes;
  readonly dtype: FloatType;
  readonly out: number;
  readonly reduce: number;
  readonly order: 'or' | 'ro';
}

/** A number format of codes. Integers: lo..hi inclusive. Floats: by name, saturating, round to nearest even. */
export type CodeFormat =
  | { readonly kind: 'int'; readonly bits: number; readonly signed: boolean; readonly lo: number; readonly hi: number }
  | { readonly kind: 'float'; readonly name: 'e4m3' | 'e5m2' | 'e2m1' };

/** One scale for: the tensor, each out row, each `group` of reduce in a row, each block of [rows, cols]. */
export type CodeGrain =
  | { readonly per: 'tensor' }
  | { readonly per: 'channel' }
  | { readonly per: 'group'; readonly group: number }
  | { readonly per: 'block'; readonly rows: number; readonly cols: number };

/**
 * How scales are chosen.
 * minmax: symmetric s = absmax/hi (or /max for floats), asymmetric s = (max−min)/(hi−lo) with 0 in range.
 * signed_absmax: onnxruntime's MatMulNBits law, s = w_at_absmax / lo, so that the extreme value (with its sign) falls on lo.
 * percentile: minmax over the p-quantiles. mse: grid of `steps` shrinks down to `shrink`, error power p, optionally also the signed law for symmetric formats.
 * share: minmax of a share of the range.
 * hqq: half-quadratic (l_p<1 with shrinkage, zero-point refit), asymmetric. entropy: KL of the histogram (as onnxruntime's).
 */
export type ScaleLaw =
  | { readonly name: 'minmax' }
  | { readonly name: 'signed_absmax' }
  | { readonly name: 'percentile'; readonly p: number }
  | { readonly name: 'mse'; readonly steps: number; readonly shrink: number; readonly p: number; readonly signed: boolean }
  | { readonly name: 'entropy'; readonly bins: number }
  | { readonly name: 'share'; readonly ratio: number }
  | { readonly name: 'hqq'; readonly p: number; readonly beta: number; readonly kappa: number; readonly iterations: number };

/**
 * plain: codes [out, reduce], one byte each; scales [out, groups] (channel: [out]; tensor: []; block: [⌈out/r⌉, ⌈reduce/c⌉]); zeros as scales, one byte each.
 * source: as plain, but in the order of the source matrix (codes [reduce, out], scales [groups, out]), and 2- and 4-bit codes and zeros packed as ONNX does (low bits first, flat).
 * nbits: com.microsoft MatMulNBits: codes [out, groups, ⌈group·bits/8⌉] unsigned with offset 2^(bits−1) for signed formats, scales [out·groups], zeros packed per row [out, ⌈groups·bits/8⌉].
 */
export type Layout = 'plain' | 'source' | 'nbits';

export interface Outer {
  readonly bound: number;
  readonly type: 'float32' | 'float16' | 'bfloat16';
}

export interface QuantizeRequest {
  /** Whose weight it is (a site's id), for whoever watches the calls; the loops ignore it. */
  readonly label?: string;
  readonly weight: Matrix;
  readonly format: CodeFormat;
  readonly symmetric: boolean;
  readonly grain: CodeGrain;
  readonly law: ScaleLaw;
  /**
   * Scales are rounded to this type before codes are computed. e8m0: powers of two (MX). nv: e4m3 scales under one float32 scale of the tensor.
   * int8: integers 1 … 127 under a step for each row (`outer`), with (q − z)·s kept in −128 … 127.
   */
  readonly scaleType: 'float32' | 'float16' | 'bfloat16' | 'float64' | 'e8m0' | 'nv' | 'int8';
  /** int8: steps of rows are max|row| / bound, rounded to a float type. */
  readonly outer?: Outer;
  readonly layout: Layout;
  /** Importance of each reduce column in the mse law (diagonal of the Hessian). */
  readonly importance?: Float32Array;
  /** Scales (and zeros) given from outside, in plain order: only round. */
  readonly scales?: Float32Array;
  readonly zeros?: Float32Array;
  /** Also hash the weight's bytes, while they are read anyway. */
  readonly digest?: boolean;
}
export interface QuantizeResult {
  readonly codes: Uint8Array;
  readonly scales: Uint8Array;
  readonly zeros?: Uint8Array;
  /** nv: the tensor's float32 scale. */
  readonly globalScale?: number;
  /** int8: the steps of the rows, in their type. */
  readonly rowSteps?: Uint8Array;
  /** Σ(w−ŵ)² and Σw². NaN or infinite weights: QcError `nan-weight`. */
  readonly error: number;
  readonly energy: number;
  /** What `hash` gives for the weight's bytes, where it was asked for. */
  readonly digest?: Uint8Array;
}
/** The weight that codes stand for, as float32 [out, reduce] row-major. */
export interface DequantizeRequest {
  readonly codes: Uint8Array;
  readonly scales: Uint8Array;
  readonly zeros?: Uint8Array;
  readonly globalScale?: number;
  readonly outer?: Outer;
  readonly rowSteps?: Uint8Array;
  readonly out: number;
  readonly reduce: number;
  readonly order: 'or' | 'ro';
  readonly format: CodeFormat;
  readonly grain: CodeGrain;
  readonly scaleType: QuantizeRequest['scaleType'];
  readonly layout: Layout;
  /** What is written to [out, reduce]; without, a new array. */
  readonly to?: Float32Array;
}

/**
 * Integers of a layer y = X·Wᵀ for which Σ over rows of (w − ŵ)·H·(w − ŵ)ᵀ is small, H = XᵀX: one sweep over the columns that carries each
 * rounding error into the columns that are left (GPTQ), then `descents` rounds of coordinate descent on the codes.
 */
export interface SolveRequest {
  readonly label?: string;
  readonly weight: Matrix;
  /** Integers of 2 to 8 bits. */
  readonly format: CodeFormat;
  readonly symmetric: boolean;
  readonly grain: Extract<CodeGrain, { per: 'channel' | 'group' }>;
  readonly law: ScaleLaw;
  readonly scaleType: 'float32' | 'float16' | 'bfloat16' | 'int8';
  readonly outer?: Outer;
  /** XᵀX, [reduce, reduce]. */
  readonly hessian: Float64Array;
  /** XᵀX_float, [reduce, reduce]: corrects toward the float layer's output on float inputs. */
  readonly cross?: Float64Array;
  /** Share of the mean diagonal that is added to H. */
  readonly damp: number;
  /** Which column is rounded first: the first, or the one with the largest diagonal. */
  readonly order: 'natural' | 'hessian';
  /** Scales from the float weights, not from the weights as the sweep has moved them (natural order only). */
  readonly staticGroups: boolean;
  /** Columns that are worked on together; it changes no number. */
  readonly block: number;
  readonly descents: number;
  /** Least-squares scales under the codes, before and after each descent. */
  readonly rescale: boolean;
}
/** In layout plain. Errors: `hessian-nan`, `hessian-singular`, `nan-weight`, `solve-order`, `bad-law`. */
export interface SolveResult {
  readonly codes: Uint8Array;
  readonly scales: Uint8Array;
  readonly zeros?: Uint8Array;
  readonly rowSteps?: Uint8Array;
  /** Σ(w−ŵ)² and Σw². */
  readonly error: number;
  readonly energy: number;
  /** Σ over rows of (w − ŵ)·(H + λI)·(w − ŵ)ᵀ, against the float target where there is one. */
  readonly loss: number;
  /** λ: grown where H + λI had no Cholesky factor. */
  readonly damping: number;
  /** Columns that never had an input. */
  readonly dead: number;
}

/** Rounding down or up, learnt for each weight (AdaRound) on the layer's quadratic; never worse than rounding to nearest with the same scales. */
export interface AdaRoundRequest
  extends Pick<
    SolveRequest,
    'label' | 'weight' | 'format' | 'symmetric' | 'grain' | 'law' | 'scaleType' | 'outer' | 'hessian' | 'cross' | 'damp'
  > {
  readonly iterations: number;
  /** Step of Adam. */
  readonly rate: number;
  /** Weight of the regulariser, against a loss in squared steps times the mean diagonal of H. */
  readonly regular: number;
}
/** As SolveResult; `nearest` is the loss of rounding to nearest, `kept` the number of rows that stayed so. Losses leave a constant out. */
export interface AdaRoundResult extends Pick<SolveResult, 'codes' | 'scales' | 'zeros' | 'rowSteps' | 'error' | 'energy' | 'loss'> {
  readonly nearest: number;
  readonly kept: number;
}
/** min |X·v − X_float·w|² + λ|v − w|² over the weights that a mask leaves free: v_S = (H_SS + λ)⁻¹ (C w + λ w)_S. */
export interface LeastSquaresRequest {
  readonly weight: Matrix;
  readonly hessian: Float64Array;
  readonly cross?: Float64Array;
  readonly damp: number;
  /** [out, reduce]: 0 where a weight stays zero. */
  readonly mask?: Uint8Array;
}
export interface LeastSquaresResult {
  /** [out, reduce]. */
  readonly weight: Float32Array;
  /** Losses without their constant, of the masked weights as they were and of those found. */
  readonly before: number;
  readonly after: number;
  readonly free: number;
}

/** A = Vᵀ·diag(values)·V. */
export interface Eigen {
  /** Largest first. */
  readonly values: Float64Array;
  /** Row k is the eigenvector of values[k]; its largest component is positive. */
  readonly vectors: Float64Array;
}

/** The product of two thin matrices, up · down, that is the best for W − Q, where an error E counts as E S. */
export interface LowRankRequest {
  /** W [out, n]. */
  readonly weight: Float32Array;
  readonly n: number;
  /** Q [out, n]; without, the product is the best for W. */
  readonly codes?: Float32Array;
  /** Rows of the subspace that is iterated [rank ≤ count ≤ n, n]: any, or the `basis` of a matrix that is nearly the same. */
  readonly start: Float32Array;
  readonly rank: number;
  /** Power steps. */
  readonly steps: number;
  /** Factors are rounded to float16. */
  readonly half: boolean;
  /** S: diagonal [n], or symmetric [n, n] with its inverse; without, one. */
  readonly space?: { readonly root: Float32Array; readonly inverse?: Float32Array };
  /** What the rest is written to; without, a new array. */
  readonly rest?: Float32Array;
}
export interface LowRankResult {
  /** The subspace, the largest direction first, orthonormal where errors are E S. [count, n] */
  readonly basis: Float32Array;
  /** [rank, n] */
  readonly down: Float32Array;
  /** [out, rank] */
  readonly up: Float32Array;
  /** W − up · down. [out, n] */
  readonly rest: Float32Array;
}

/** Of an array [outer, n, inner]: lines along n, in blocks of `size` of its indices from … to. */
export interface Lines {
  readonly n: number;
  readonly inner: number;
  readonly from: number;
  readonly to: number;
  readonly size: number;
}

export interface Crunch {
  /** 'native' or 'wasm', and the instruction set in use. */
  readonly kind: 'native' | 'wasm';
  readonly isa: string;
  quantize(r: QuantizeRequest): Promise<QuantizeResult>;
  dequantize(r: DequantizeRequest): Promise<Float32Array>;
  /** BLAKE3: 32 bytes. A range of a file goes through a small buffer. */
  hash(data: Bytes): Promise<Uint8Array>;
  /** Converts element types; saturating for fp8/fp4, round to nearest even. */
  cast(data: Bytes, from: DType, to: DType): Promise<Uint8Array>;
  /** H += XᵀX for X float32 [rows, n], H float64 [n, n] (upper and lower filled). */
  gram(h: Float64Array, x: Float32Array, n: number): Promise<void>;
  /** C += XᵀY for X, Y float32 [rows, n], C float64 [n, n]: exact products, one after the other. Y may be X itself. */
  cross(c: Float64Array, x: Float32Array, y: Float32Array, n: number): Promise<void>;
  solve(r: SolveRequest): Promise<SolveResult>;
  /** Errors: `hessian-nan`, `nan-weight`, `bad-law`. */
  adaround(r: AdaRoundRequest): Promise<AdaRoundResult>;
  /** Errors: `hessian-nan`, `hessian-singular`, `nan-weight`. */
  leastSquares(r: LeastSquaresRequest): Promise<LeastSquaresResult>;
  /** Of a symmetric matrix [n, n]. Errors: `eigen-nan`, `eigen-diverged`. */
  eigen(a: Float64Array, n: number): Promise<Eigen>;
  /** Orthonormal rows that span what `rows` [count ≤ n, n] span; a row that depends on those before it becomes one that does not. */
  orthonormal(rows: Float64Array, n: number): Promise<Float64Array>;
  /** Σ weight·‖y_i‖²_p over rows y_i of Y [rows, n], and its derivative [rows, n]. */
  rangeNorms(y: Float32Array, n: number, p: number, weight: number): Promise<{ readonly sum: number; readonly derivative: Float32Array }>;
  /** By subspace iteration. Error: `nan-weight`. */
  lowRank(r: LowRankRequest): Promise<LowRankResult>;
  /** ‖X Aᵀ − Y Bᵀ‖² for A, B [out, n] and rows X, Y [count, n], all float32. */
  distance(a: Float32Array, b: Float32Array, x: Float32Array, y: Float32Array, n: number): Promise<number>;
  /** x −= left · right for x [rows, columns], left [rows, rank], right [rank, columns]. */
  minusProduct(x: Float64Array, left: Float32Array, right: Float32Array, columns: number): Promise<void>;
  /** Lines of x [outer, n, inner] along n, in blocks of size = 2^k · m of its indices from … to, times (Sylvester's matrix ⊗ base [m, m]) / √size. */
  hadamard(x: Float64Array, lines: Lines, base: Float64Array): Promise<void>;
  /** Per column of X [rows, n]: min, max, Σ, Σx², Σ|x| folded into acc [5, n] (float64). */
  moments(acc: Float64Array, x: Float32Array, n: number): Promise<void>;
  /** Counts into `bins` equal bins over [lo, hi], outside values clamped into the end bins. */
  histogram(counts: Float64Array, x: Float32Array, lo: number, hi: number): Promise<void>;
  /** Best (lo, hi) clip of a histogram for an integer format under a law (percentile, entropy, mse). */
  clip(
    counts: Float64Array,
    lo: number,
    hi: number,
    format: CodeFormat,
    symmetric: boolean,
    law: ScaleLaw,
  ): Promise<{ lo: number; hi: number }>;
  /** Frees worker memory. */
  close(): Promise<void>;
}
