/** Calibration data on its way through a model, block by block: what one block gives is kept and feeds the next, nothing runs twice from the start. */
import { fail } from '../../grammar/diagnostics.ts';
import type { Batch } from '../calibrate/index.ts';
import { cut } from '../graph/cut.ts';
import type { Model, ValueInfo } from '../graph/types.ts';
import type { Host, Value } from '../host.ts';

export class Stream {
  readonly #host: Host;
  readonly #dir: string;
  readonly #batches: readonly Batch[];
  /** Of each batch: the values at the front. */
  #front: ReadonlyMap<string, Value>[];

  constructor(host: Host, dir: string, batches: readonly Batch[]) {
    this.#host = host;
    this.#dir = dir;
    this.#batches = batches;
    this.#front = batches.map(() => new Map());
  }

  /**
   * Values of `model`, batch after batch. Everything before the front is taken as it was when the front moved;
   * with `front`, it moves to these values when all batches are through.
   */
  async *read(model: Model, values: readonly string[], front?: readonly string[]): AsyncGenerator<Readonly<Record<string, Value>>> {
    const all = [...new Set([...values, ...(front ?? [])])];
    const part = cut(model, infos(this.#front[0]), all);
    const wanted = part.graph.outputs.map((o) => o.name);
    const session = wanted.length ? await this.#host.session(part, this.#dir) : undefined;
    const next: ReadonlyMap<string, Value>[] = [];
    try {
      for (const [i, batch] of this.#batches.entries()) {
        const given: Record<string, Value> = { ...batch.feeds, ...Object.fromEntries(this.#front[i] ?? []) };
        const feeds = Object.fromEntries((session?.inputs ?? []).map((name) => [name, given[name]!]));
        const made = await session?.run(feeds, wanted);
        const found = Object.fromEntries(all.map((name) => [name, made?.[name] ?? given[name]!]));
        next.push(new Map((front ?? []).map((name) => [name, found[name]!])));
        yield found;
      }
    } finally {
      await session?.close();
    }
    if (front) this.#front = next;
  }
}

function infos(front: ReadonlyMap<string, Value> | undefined): Map<string, ValueInfo> {
  const of = ([name, v]: readonly [string, Value]): [string, ValueInfo] => [
    name,
    { name, dtype: v.dtype, shape: v.shape.map((_, axis) => `${name}.${axis}`) },
  ];
  return new Map([...(front ?? [])].map(of));
}

/** All batches of a source in memory: they are small beside what the layers make of them. Error: `data-empty`. */
export async function gathered(batches: AsyncIterable<Batch>, name: string): Promise<Batch[]> {
  const out: Batch[] = [];
  for await (const b of batches) out.push(b);
  return out.length ? out : fail('data-empty', `${name} gives no batch`, 'solving needs data');
}
