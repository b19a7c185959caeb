/** The plan: intent. Every site, its slots, which statement decided and which were shadowed; every site left alone, and why. */
import type { Span } from '../../grammar/diagnostics.ts';
import type { CodeFormat, CodeGrain, ScaleLaw } from '../crunch.ts';
import type { Statement } from '../recipe.ts';
import type { Ref } from '../schema.ts';
import type { Site, Sites } from '../sites.ts';

export type Grain =
  | { readonly per: 'tensor' | 'channel' | 'token' | 'head' | 'cluster' | 'state_group' | 'element' }
  | { readonly per: 'group'; readonly group: number }
  | { readonly per: 'block'; readonly rows: number; readonly cols: number };

/** 2^bits levels: 1, ratio⁻¹, ratio⁻² …, 0. */
export interface Levels {
  readonly ratio: number;
  readonly bits: number;
}

/** A resolved number type: what the values of one port shall be. */
export interface QType {
  /** The format by name (`int`, `fp8`, `fp4`, `float16` …) with its checked arguments, as the recipe said it. */
  readonly format: Ref;
  /** The codes: undefined for casts (float16, bfloat16) and for levels. */
  readonly codes?: CodeFormat;
  /** Code q stands for ratio^−q, the last one for 0: logarithmic codes of values in [0, 1]. */
  readonly levels?: Levels;
  readonly bits: number;
  readonly symmetric: boolean;
  readonly grain: Grain;
  readonly mode: 'static' | 'dynamic';
  readonly law: Ref;
  /** `float32` follows the model's float type; e8m0 (MX), nv (NVFP4); int8: integers under a float step for each output channel (`outer`). */
  readonly scaleType: 'model' | 'e8m0' | 'nv' | 'int8';
  /** Progressive formats: the largest code of the first level. */
  readonly outer?: { readonly bound: number };
  /** Printed form: `int4 group 32 symmetric mse(80, p: 2.4)`. */
  readonly text: string;
}

/** Who decided something: the statement, and through which applied recipe. */
export interface Decider {
  readonly statement: Statement;
  readonly recipe: string;
  readonly span: Span;
  readonly text: string;
}

export interface Slot {
  readonly site: Site;
  readonly port: string;
  readonly what: 'type' | 'mask' | 'weight' | 'codes' | 'correction';
  /** type: the QType. Others: the solver or allocation. */
  readonly type?: QType;
  readonly solver?: Ref;
  readonly by: Decider;
  readonly shadowed: readonly Decider[];
}

/** A port that stays float: kept by a statement, or nothing spoke of it. */
export interface Untouched {
  readonly site: Site;
  readonly port: string;
  readonly why: string;
  readonly by?: Decider;
  readonly shadowed?: readonly Decider[];
}

export interface PlannedTransform {
  readonly kind: string;
  readonly args: Readonly<Record<string, unknown>>;
  readonly by: Decider;
  readonly edges: readonly { readonly from: Site; readonly to: Site; readonly tied: boolean }[];
  /** What the statement selects, where that is no edge. */
  readonly sites: readonly Site[];
  /** Which start a learnt transform takes; the first where it is not given. */
  readonly restart?: number;
}

/** A site whose numbers a solver finds. */
export interface PlannedSolve {
  readonly site: Site;
  readonly solver: Ref;
  readonly decides: 'weight' | 'codes' | 'correction';
  readonly by: Decider;
}

/** One `search`: its variables with their domains, innermost searches first. */
export interface PlannedSearch {
  readonly variables: readonly { readonly key: string; readonly name: string; readonly domain: readonly (number | string | boolean)[] }[];
  readonly objective: import('../recipe.ts').Expr;
  readonly budget?: import('../recipe.ts').Expr;
  readonly method: Ref;
  readonly by: Decider;
}

export interface Plan {
  readonly recipe: string;
  readonly version: string;
  readonly sites: Sites;
  readonly slots: readonly Slot[];
  readonly untouched: readonly Untouched[];
  readonly transforms: readonly PlannedTransform[];
  readonly solves: readonly PlannedSolve[];
  readonly searches: readonly PlannedSearch[];
  /** `scope`: the names that the condition can see (an applied recipe has its own). */
  readonly requires: readonly {
    readonly condition: import('../recipe.ts').Expr;
    readonly scope: import('./bind.ts').Scope;
    readonly by: Decider;
  }[];
  readonly evaluations: readonly {
    readonly what: import('../recipe.ts').Expr;
    readonly fields: import('../recipe.ts').Fields;
    readonly scope: import('./bind.ts').Scope;
    readonly by: Decider;
  }[];
  readonly calibration?: { readonly source: Ref; readonly fields: Readonly<Record<string, unknown>>; readonly by: Decider };
  readonly target?: Ref;
}

/** Law of a resolved reference, as the crunch wants it. */
export type { CodeFormat, CodeGrain, ScaleLaw };
