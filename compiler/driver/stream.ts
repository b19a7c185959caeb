/** Calibration data on its way through a model, block by block: what one block gives is kept and feeds the next, nothing runs twice from the start. */
import { fail } from '../../grammar/diagnostics.ts';
import type { Batch } from '../calibrate/index.ts';
import { attended } from '../graph/attend.ts';
import { cut } from '../graph/cut.ts';
import type { Model, ValueInfo } from '../graph/types.ts';
import type { Host, Session, Value } from '../host.ts';

type Values = Readonly<Record<string, Value>>;

/** What a batch gave. */
export interface Found {
  readonly values: Values;
  /** `attention_mask` of the batch: what it leaves out is no data. */
  readonly mask: Value | undefined;
  /** Nobody reads the value of this name any more. To be called once at most; what the front holds is kept. */
  done(name: string): void;
}

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

  /** Runs that are under way at once: all machines compute alike, since a batch is one run anyway. */
  async #lanes(): Promise<{ runs: number; threads?: number }> {
    const lanes = await this.#host.lanes?.();
    return lanes && this.#batches.length >= lanes.runs ? lanes : { runs: 1 };
  }

  /**
   * Values of `model`, batch after batch. Everything before the front is taken as it was when the front moved;
   * with `front`, it moves to these values when all batches are through.
   */
  async *read(model: Model, values: readonly string[], front?: readonly string[]): AsyncGenerator<Found> {
    const all = [...new Set([...values, ...(front ?? [])])];
    const part = attended(cut(model, infos(this.#front[0]), all), model.graph.values);
    const wanted = part.graph.outputs.map((o) => o.name);
    const { runs, threads } = await this.#lanes();
    const session = wanted.length ? await this.#host.session(part, this.#dir, threads ? { threads } : {}) : undefined;
    const next: ReadonlyMap<string, Value>[] = [];
    const one = async (i: number): Promise<Values> => {
      const given: Record<string, Value> = { ...this.#batches[i]!.feeds, ...Object.fromEntries(this.#front[i] ?? []) };
      const feeds = Object.fromEntries((session?.inputs ?? []).map((name) => [name, given[name]!]));
      const made = await session?.run(feeds, wanted);
      return Object.fromEntries(all.map((name) => [name, made?.[name] ?? given[name]!]));
    };
    // Several batches are under way, and given in their order.
    const ahead: Promise<Values>[] = [];
    try {
      for (let i = 0, begun = 0; i < this.#batches.length; i++) {
        for (; begun < Math.min(i + runs, this.#batches.length); begun++) ahead.push(one(begun));
        const found = await ahead.shift()!;
        next.push(new Map((front ?? []).map((name) => [name, found[name]!])));
        const own = new Set(wanted.filter((name) => !front?.includes(name)));
        yield { values: found, mask: this.#batches[i]!.feeds['attention_mask'], done: (name) => void (own.has(name) && session?.recycle?.(found[name]!)) };
      }
    } finally {
      await Promise.allSettled(ahead);
      await session?.close();
    }
    if (front) this.#move(next, session, values);
  }

  /** `read`: values that somebody may still read. */
  #move(next: ReadonlyMap<string, Value>[], session: Session | undefined, read: readonly string[]): void {
    for (const [i, before] of this.#front.entries()) {
      const kept = new Set([...next[i]!.values(), ...Object.values(this.#batches[i]!.feeds)]);
      for (const [name, value] of before) if (!kept.has(value) && !read.includes(name)) session?.recycle?.(value);
    }
    this.#front = next;
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
