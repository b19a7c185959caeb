/**
 * The contract behind "one name = one file". A definition is data and pure functions; every effect comes in through
 * EvalContext/Host. Names live in `compiler/<kind>s/<name>.ts`, default-exported; `npm run generate` writes the indexes.
 */
import type { Crunch, ScaleLaw } from './crunch.ts';
import type { Model, Tensor } from './graph/types.ts';
import type { Session, Value } from './host.ts';
import type { QType } from './plan/types.ts';
import type { ParamsOf, Schema } from './schema.ts';
import type { Simulated } from './simulated.ts';
import type { Site } from './sites.ts';

/** What every name has. `since` is the version of qc that brought it; `cite` the paper or the source of the formula. */
export interface Named<S extends Schema = Schema> {
  readonly name: string;
  readonly since: string;
  readonly doc: string;
  readonly cite?: string;
  readonly formula?: string;
  readonly params: S;
  /** Parameters that may be given by position, in order. */
  readonly positional?: readonly (keyof S & string)[];
}

/** A scale law: how the step of a quantizer is chosen. `crunch` gives its form for the Rust side. */
export interface Law<S extends Schema = Schema> extends Named<S> {
  crunch(p: ParamsOf<S>): ScaleLaw;
}

/** A number format. `resolve` gives what codes it has; formats without codes are casts. */
export interface Format<S extends Schema = Schema> extends Named<S> {
  /** Other names that recipes type, each with the arguments that it fixes: int4 is int(4). */
  readonly spellings?: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
  resolve(p: ParamsOf<S>): Pick<QType, 'bits' | 'symmetric' | 'scaleType'> & {
    codes?: QType['codes'];
    levels?: QType['levels'];
    cast?: 'float16' | 'bfloat16';
    outer?: QType['outer'];
    grain?: QType['grain'];
    defaultLaw?: string;
  };
}

/** A statistic that is folded batch by batch; memory does not grow with the number of samples. State is plain data, so it can be saved. */
export interface Observer<S extends Schema = Schema, State = unknown> extends Named<S> {
  /** Tokens count by their place: it sees padding too, which others are spared. */
  readonly positions?: true;
  start(p: ParamsOf<S>): State;
  fold(s: State, batch: Value, crunch: Crunch, p: ParamsOf<S>): Promise<State>;
  /** Named arrays, saved in the statistics record. */
  finish(s: State): Record<string, Float64Array | Float32Array>;
}

/** A role: found by structure, graph by graph. */
export interface Role extends Named {
  readonly ports: readonly string[];
  /** Memberships that it puts on other sites: `attention.q` on a linear. */
  readonly members?: readonly string[];
  /** Roles that must be found first. */
  readonly after?: readonly string[];
  match(g: import('./match/view.ts').View, known: import('./match/draft.ts').Known): import('./match/draft.ts').Found;
}

/** A number that says how good a compiled model is; smaller or larger is better as `better` says. */
export interface Metric<S extends Schema = Schema> extends Named<S> {
  readonly better: 'smaller' | 'larger';
  readonly unit?: string;
  /** Folded over batches of (float output, quantized output). */
  start(): Float64Array;
  fold(acc: Float64Array, reference: Float32Array, actual: Float32Array, lastDim: number): void;
  finish(acc: Float64Array): number;
}

/** Σ(y−ŷ)², Σy² and the number of elements of one site's weight or output. */
export interface SiteError {
  readonly error: number;
  readonly energy: number;
  readonly count: number;
}

/** Rows that enter a layer in the float model, and its weight: [rows, n] and [out, n]. */
export interface LayerRows {
  readonly x: Float32Array;
  readonly w: Float32Array;
  readonly n: number;
  /** Second moments along the axes of the rows' ellipsoid, the largest first. */
  spectrum(): Promise<Float64Array>;
}

/** What a search makes better. On sites it is a sum of `site` over them, so that methods can trade sites against each other; on a graph output it is a metric. */
export interface Objective<S extends Schema = Schema> extends Named<S> {
  readonly better: 'smaller' | 'larger';
  /** Absent: it has no meaning on a single site. */
  site?(e: SiteError): number;
  /** On a single site, of what transforms made of its input and weight; types have no part in it. */
  rows?(e: LayerRows, p: ParamsOf<S>): number | Promise<number>;
  /** The metric that measures it on graph outputs: by name, or made for its parameters. */
  readonly metric?: string | ((p: ParamsOf<S>) => Metric);
  /** Where it is measured without an argument, if not on an output or on layers. */
  readonly scope?: 'block';
}

/** A value of every variable of a search. */
export type Assignment = Record<string, number | string | boolean>;
/** What a trial gave. With a budget `cost <= limit`, both are there, so that a method can trade them. */
export interface Trial {
  readonly objective: number;
  readonly feasible: boolean;
  readonly cost?: number;
  readonly limit?: number;
}
/** The variables of a search; each starts at the first value of its domain. */
export type Space = readonly { readonly name: string; readonly domain: readonly (number | string | boolean)[] }[];

/** A search method over a finite space. `score` is called with whole assignments (the driver remembers them); lower is better. */
export interface SearchMethod<S extends Schema = Schema> extends Named<S> {
  run(space: Space, score: (a: Assignment) => Promise<Trial>, p: ParamsOf<S>): Promise<Assignment>;
}

/** Where a model is to run. `lower` turns the simulated level into operators of that target; a type that it cannot express is refused, never replaced. */
export interface Target<S extends Schema = Schema> extends Named<S> {
  /** undefined: expressible. Else the reason. */
  covers(site: Site, port: string, type: QType, peers: Readonly<Record<string, QType>>): string | undefined;
  lower(s: Simulated, p: ParamsOf<S>): Promise<Lowered>;
}
export interface Lowered {
  readonly model: Model;
  /** What each site became: operators emitted, and the initializers that hold its numbers. */
  readonly emitted: readonly { site: string; ops: readonly string[]; initializers: readonly string[] }[];
}
/** What a law of channel scales may look at. */
export interface ScaleQuestion {
  readonly set: import('./fold/scale.ts').ScaleSet;
  /** A statistic of the value for each channel (the largest over what shares one). */
  activation(observer: import('./schema.ts').Ref, name: string): Float64Array;
  /** The largest weight of each channel over all readers; of q where k is scaled. */
  weight(): Promise<Float64Array>;
  readonly observed: import('./fold/job.ts').Observed;
  readonly job: import('./fold/job.ts').Job;
}
/** A law of channel scales: what each channel of an edge is divided by. It stands beside the scale laws of quantizers under one kind of name. */
export interface Scaling<S extends Schema = Schema> extends Named<S> {
  /** What is observed of the value; absmax by channel if absent. */
  readonly observes?: readonly import('./schema.ts').Ref[];
  scales(q: ScaleQuestion, p: ParamsOf<S>): Promise<Float64Array>;
  /** What else the ledger says of the scales. */
  note?(s: Float64Array): string;
}

/** What was seen of one channel: counts in equal bins over [lo, hi], and the extremes. */
export interface ChannelHistogram {
  readonly counts: Float64Array;
  readonly lo: number;
  readonly hi: number;
  readonly min: number;
  readonly max: number;
}
/** A law of clips: the range of one channel that a quantizer of `steps` steps shall cover. */
export interface Clip<S extends Schema = Schema> extends Named<S> {
  range(h: ChannelHistogram, steps: number, p: ParamsOf<S>): { readonly lo: number; readonly hi: number };
}

/** Channels of a value as heads of equal size (one head where there are none), in groups of heads that stay where they are. */
export interface OrderQuestion {
  readonly heads: number;
  readonly size: number;
  readonly groups: number;
  /** The largest magnitude of each channel, head after head. */
  readonly absmax: Float64Array;
}
/** A law of orders: which channel comes to which place. */
export interface Order<S extends Schema = Schema> extends Named<S> {
  /** `from`: the channel that comes to each place; `clusters`: for each place the cluster that shares a scale. */
  order(q: OrderQuestion, p: ParamsOf<S>): { readonly from: Int32Array; readonly clusters?: Int32Array; readonly note: string };
}

/** An orthogonal matrix by name. */
export interface OrthogonalMatrix<S extends Schema = Schema> extends Named<S> {
  /** It comes from a covariance: whose. */
  from?(p: ParamsOf<S>): 'inputs' | 'weights';
  /** undefined: there is none of that size. */
  make(size: number, p: ParamsOf<S>): import('./fold/rotation.ts').Rotation | undefined;
}

/** A rewrite of the float model that keeps what it computes (proved), so that its numbers quantize better. */
export interface Transform<S extends Schema = Schema> extends Named<S> {
  /** Place in the canonical order (language.md, rule 1); smaller runs earlier. */
  stage(on: { readonly edges: number }): number;
  /** The role that its readers (of an edge), or its sites, have afterwards. */
  readonly marks?: string;
  /** Parameters that the language knows and this version does not build: using one is the error `planned`. */
  readonly later?: readonly string[];
  /** What it will observe, so that all transforms share one pass over the data; what it asks for beside these is observed when it asks. */
  needs?(edges: import('./fold/job.ts').Job['edges'], p: ParamsOf<S>): readonly import('./fold/job.ts').Need[];
  apply(job: import('./fold/job.ts').Job, p: ParamsOf<S>): Promise<void>;
}

/** One layer that a solver works on. */
export interface Layer {
  /** Its float weight and its type. */
  readonly weight: import('./simulated.ts').EncodedWeight;
  readonly matrix: import('./crunch.ts').Matrix;
  /** XᵀX of its inputs [reduce, reduce], float64, and the number of rows of X. */
  readonly hessian: Float64Array;
  readonly rows: number;
  /** XᵀX_float, where the solver aims at the float model's output. */
  readonly cross?: Float64Array;
  readonly crunch: Crunch;
}

/** What a solver decided for a layer: integers in plain layout (crunch.ts). */
export interface Decision {
  readonly codes: Uint8Array;
  readonly scales: Uint8Array;
  readonly zeros?: Uint8Array;
  /** Progressive formats: steps of the output channels. */
  readonly outer?: Uint8Array;
  /** What happened, for the ledger. */
  readonly note: string;
}

/** Weights that a solver found, [out, reduce]; they are rounded, or given to a solver of codes, afterwards. */
export interface Reweighted {
  readonly weight: Float32Array;
  readonly note: string;
}

export interface Solving<S extends Schema> extends Named<S> {
  /** undefined: it can solve weights of this type. Else the reason why not. */
  covers(w: import('./simulated.ts').EncodedWeight, p: ParamsOf<S>): string | undefined;
  /** What of its parameters the language knows and this version does not build, in the words of the recipe. */
  later?(p: ParamsOf<S>): string | undefined;
  /** Which inputs it wants: of the float model, or those that went through the quantized layers before; and whether it also wants the float ones beside them. */
  wants(p: ParamsOf<S>): { readonly inputs: 'float' | 'block' | 'layer'; readonly float: boolean };
}
/** An algorithm that finds the numbers of a layer from calibration inputs. Of one layer they run in this order: weight, codes, correction. */
export type Solver<S extends Schema = Schema> = Solving<S> &
  (
    | { readonly decides: 'codes'; solve(layer: Layer, p: ParamsOf<S>): Promise<Decision> }
    | { readonly decides: 'weight'; solve(layer: Layer, p: ParamsOf<S>): Promise<Reweighted> }
    /** What is added to the bias, from the mean output of the float model and of the quantized one, by output channel. */
    | { readonly decides: 'correction'; correct(float: Float64Array, actual: Float64Array, p: ParamsOf<S>): Float64Array }
  );
/** One kind of solver, for the file that defines it. */
export type SolverOf<K extends Solver['decides'], S extends Schema> = Extract<Solver<S>, { decides: K }>;
export type { Session, Tensor };
