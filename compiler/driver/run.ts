/** The state of one run: phases with their times, warnings, the ledger. */
import type { Span } from '../../grammar/diagnostics.ts';
import type { Host } from '../host.ts';
import type { LedgerEntry } from '../report/data.ts';
import type { CompileOptions, Event } from './types.ts';

export interface Warning {
  readonly code: string;
  readonly message: string;
  readonly hint?: string;
  /** The place in a recipe, where there is one. */
  readonly span?: Span;
}

export class Run {
  readonly seconds: Record<string, number> = {};
  readonly warnings: Warning[] = [];
  readonly ledger: LedgerEntry[] = [];
  /** What is left to do at the end, however it ends (a kill aside). */
  readonly atEnd: (() => Promise<void>)[] = [];

  readonly #host: Host;
  readonly #signal: AbortSignal | undefined;
  readonly onEvent: (e: Event) => void;

  constructor(options: Pick<CompileOptions, 'host' | 'signal' | 'onEvent'>) {
    this.#host = options.host;
    this.#signal = options.signal;
    this.onEvent = options.onEvent ?? (() => {});
  }

  /** Runs one phase under its name. */
  async phase<T>(name: string, work: () => T | Promise<T>): Promise<T> {
    this.#signal?.throwIfAborted();
    this.onEvent({ phase: name });
    const start = this.#host.now();
    try {
      return await work();
    } finally {
      this.seconds[name] = (this.seconds[name] ?? 0) + (this.#host.now() - start) / 1000;
    }
  }

  note(what: string, detail: string, site?: string): void {
    this.ledger.push({ what, detail, ...(site === undefined ? {} : { site }) });
  }
}
