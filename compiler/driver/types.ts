/** What `compile` takes and gives. */

import type { Resolver } from '../check/check.ts';
import type { Host } from '../host.ts';
import type { Locked } from '../lock.ts';
import type { Planned } from '../plan/plan.ts';
import type { Binding } from '../recipe.ts';
import type { ReportData } from '../report/data.ts';

/** Text dumps, one for each arrow of the pipeline. */
export const dumps = ['ast', 'recipe', 'plan', 'graph', 'lowered'] as const;
export type Dump = (typeof dumps)[number];

/** Where a compile stands. `done` of `total` where the phase can count. */
export interface Event {
  readonly phase: string;
  readonly done?: number;
  readonly total?: number;
}

export interface PlanOptions {
  readonly host: Host;
  /** Path of the model. */
  readonly model: string;
  /** Path of the recipe, `file.qrecipe#name` for one of several in a file. With `text`: its name in messages. */
  readonly recipe: string;
  readonly text?: string;
  /** Finds what `use` names. Without it every `use` is an error. */
  readonly resolve?: Resolver;
  /** The packages behind `resolve`: they travel in the metadata of the output. */
  readonly packages?: readonly Locked[];
  /** `--param k=v`. */
  readonly params?: Readonly<Record<string, number | string | boolean>>;
  /** Values that an earlier search found (`--replay`). */
  readonly replay?: Binding;
  /** Overrides the recipe's target; `portable` where neither says. */
  readonly target?: string;
  readonly onEvent?: (e: Event) => void;
  readonly signal?: AbortSignal;
}

export interface CompileOptions extends PlanOptions {
  /** Path of the model to write. Weights above 64 MiB in all go into `output.data`. */
  readonly output: string;
  /** Folders or files behind the names of `data("calib")`: `{ calib: 'DIR' }`. */
  readonly data?: Readonly<Record<string, string>>;
  /** A `.qstats` file of an earlier calibration, instead of data. */
  readonly stats?: string;
  /** Replaces existing files. */
  readonly force?: boolean;
  /** Caches of attention: float inputs and outputs as the model has them, or what the recipe quantizes them to. */
  readonly io?: 'keep' | 'quantized';
  /** Takes what a killed compile to the same output had solved. */
  readonly resume?: boolean;
  /** Weights beside the model (true) or inside it (false). */
  readonly external?: boolean;
  readonly dumps?: readonly Dump[];
  /** Histograms of weights for the report. */
  readonly histograms?: boolean;
  /** Threads of ONNX Runtime sessions. */
  readonly threads?: number;
}

/** One `require` and what was measured. */
export interface Required {
  readonly text: string;
  readonly passed: boolean;
  readonly measured: string;
  readonly at: string;
}

export interface CompileResult {
  /** False when a `require` failed: then nothing was written. */
  readonly ok: boolean;
  readonly recipe: string;
  readonly version: string;
  readonly target: string;
  /** Every file that was written. */
  readonly files: readonly { readonly path: string; readonly bytes: number }[];
  readonly bytes: { readonly before: number; readonly after: number };
  /** Share of the weight parameters of linear and conv sites that have codes, 0..1. */
  readonly coverage: number;
  readonly plan: Planned;
  readonly requires: readonly Required[];
  /** What `evaluate` measured. */
  readonly metrics: readonly { readonly name: string; readonly value: number; readonly text: string }[];
  /** Values of the searched variables. */
  readonly binding: Binding;
  readonly warnings: readonly { readonly code: string; readonly message: string; readonly hint?: string }[];
  readonly seconds: Readonly<Record<string, number>>;
  readonly dumps: Partial<Record<Dump, string>>;
  readonly report: ReportData;
}
