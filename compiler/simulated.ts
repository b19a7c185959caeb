/**
 * The simulated level: the float graph, and beside it what each port's values become.
 * Targets lower it; nothing here is ONNX-specific beyond value names.
 */
import type { Model, Tensor } from './graph/types.ts';
import type { QType } from './plan/types.ts';
import type { Site } from './sites.ts';

/**
 * An encoded weight. Codes, scales and zeros are tensors in *plain* layout (see crunch.ts), lazily computed from `source`,
 * or fixed by a solver (then file- or memory-backed). A target asks `encodeWeight(w, layout)` for its own layout, computed once.
 */
export interface EncodedWeight {
  readonly site: Site;
  readonly port: string;
  readonly type: QType;
  /** The float weight after transforms, in the graph's own orientation. */
  readonly source: Tensor;
  readonly out: number;
  readonly reduce: number;
  readonly order: 'or' | 'ro';
  /** Set by a solver: integers that are not plain rounding. */
  readonly solved?: { readonly codes: Tensor; readonly scales: Tensor; readonly zeros?: Tensor; readonly outer?: Tensor };
  /** `source` holds weights that a solver found. */
  readonly reweighted?: true;
  /** Hessian diagonal for laws that weigh columns. */
  readonly importance?: Float32Array;
}

/** A quantized activation: a static one has its numbers, a dynamic one computes them at run time. */
export interface QuantizedValue {
  readonly site: Site;
  readonly port: string;
  readonly type: QType;
  /** The value (edge) in the graph. */
  readonly value: string;
  /** Static: one scale (per tensor) or several, of `shape`, which broadcasts against the value; zero points in the code's own range. */
  readonly scale?: Float32Array;
  readonly zero?: Float32Array;
  readonly shape?: readonly number[];
}

export interface Simulated {
  readonly model: Model;
  readonly weights: readonly EncodedWeight[];
  readonly values: readonly QuantizedValue[];
  readonly sites: import('./sites.ts').Sites;
}
