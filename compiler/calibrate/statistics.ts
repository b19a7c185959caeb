/** What was observed: for each value and observer, named arrays. Bound to its graph by hash. */
import { fail } from '../../grammar/diagnostics.ts';
import type { Ref } from '../schema.ts';
import { resolveObserver } from './observer.ts';

export type Arrays = Readonly<Record<string, Float64Array | Float32Array>>;

/** How a record came to be. */
export interface Provenance {
  /** Hash of the graph that was observed. */
  readonly graph: string;
  /** The data, in words. */
  readonly source: string;
  readonly samples: number;
  readonly batches: number;
}

export interface Entry {
  readonly value: string;
  readonly observer: Ref;
  readonly arrays: Arrays;
}

/** An observer with its arguments, the same text for the same meaning. */
export const refText = (ref: Ref): string =>
  `${ref.name}(${Object.keys(ref.args)
    .sort()
    .map((key) => `${key}: ${JSON.stringify(ref.args[key])}`)
    .join(', ')})`;

const keyOf = (value: string, observer: Ref): string => `${value}\u0000${refText(resolveObserver(observer).ref)}`;

/** A statistics record. */
export class Statistics {
  readonly #entries: ReadonlyMap<string, Entry>;
  constructor(
    readonly from: Provenance,
    entries: readonly Entry[],
  ) {
    this.#entries = new Map(entries.map((e) => [keyOf(e.value, e.observer), e]));
  }

  /** Entries in an order that depends only on what was observed. */
  get entries(): readonly Entry[] {
    return [...this.#entries].sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0)).map(([, entry]) => entry);
  }

  has(value: string, observer: Ref): boolean {
    return this.#entries.has(keyOf(value, observer));
  }

  /** The arrays of one observation. Error: stats-missing. */
  get(value: string, observer: Ref): Arrays {
    const entry = this.#entries.get(keyOf(value, observer));
    if (entry) return entry.arrays;
    const others = this.entries.filter((e) => e.value === value).map((e) => refText(e.observer));
    return fail(
      'stats-missing',
      `the statistics record has no ${refText(observer)} of "${value}"${others.length ? `; it has ${others.join(', ')}` : ''}`,
      'the recipe asks for more than was observed: calibrate again with --data',
    );
  }

  /** Refuses a record of another graph. Error: stats-mismatch. */
  expectGraph(hash: string): this {
    if (this.from.graph !== hash)
      fail(
        'stats-mismatch',
        `the statistics record is of another graph: it was made from ${this.from.graph.slice(0, 16)}…, this model is ${hash.slice(0, 16)}…`,
        'use the model that it was made from, or calibrate again with --data',
      );
    return this;
  }
}
