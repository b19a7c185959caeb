/**
 * What the report shows: plain data, so that it can be saved as JSON and rendered later.
 * `compile` fills it; fields that were not measured are absent, never invented.
 */

/** Counts over equal bins of [lo, hi]. */
export interface HistogramData {
  readonly lo: number;
  readonly hi: number;
  readonly counts: readonly number[];
}

/** One port of one site, and what became of it. */
export interface PortReport {
  readonly site: string;
  readonly path: string;
  readonly role: string;
  readonly block?: number;
  readonly port: string;
  readonly kind: 'weight' | 'activation';
  /** Printed type (`int4 group 32 symmetric mse(80)`); absent: left in float, `why` says the reason. */
  readonly type?: string;
  readonly why?: string;
  /** The statement that decided, as text, and those that it shadowed. */
  readonly by?: string;
  readonly shadowed?: readonly string[];
  /** Weight parameters, and bytes before and after (weights only). */
  readonly parameters?: number;
  readonly bytesBefore?: number;
  readonly bytesAfter?: number;
  /** dB: 10·log10(Σw² / Σ(w−ŵ)²) of the weight. */
  readonly weightSqnr?: number;
  /** dB of the site's output against the float model on calibration data, where it was measured. */
  readonly outputSqnr?: number;
  readonly histogram?: HistogramData;
  /** Range that codes cover, drawn into the histogram. */
  readonly range?: readonly [number, number];
  /** Operators emitted for the site. */
  readonly ops?: readonly string[];
}

export interface RequireReport {
  readonly text: string;
  readonly passed: boolean;
  /** What was measured, printed with its unit. */
  readonly measured: string;
}

export interface LedgerEntry {
  readonly what: string;
  readonly site?: string;
  readonly detail: string;
}

export interface ReportData {
  readonly recipe: {
    readonly name: string;
    readonly title?: string;
    readonly version: string;
    readonly text: string;
    readonly docs?: readonly string[];
  };
  readonly model: { readonly path: string; readonly bytes: number };
  readonly output: { readonly path: string; readonly bytes: number };
  readonly target: string;
  readonly ports: readonly PortReport[];
  readonly requires: readonly RequireReport[];
  /** Metrics of the whole model: name, float value, quantized value. */
  readonly metrics: readonly { readonly name: string; readonly value: string; readonly float?: string }[];
  readonly ledger: readonly LedgerEntry[];
  /** Values that searches chose. */
  readonly bindings: readonly { readonly name: string; readonly value: string }[];
  readonly phases: readonly { readonly name: string; readonly seconds: number }[];
  /** Versions, hashes, instruction set, threads, date. */
  readonly environment: readonly { readonly name: string; readonly value: string }[];
}
