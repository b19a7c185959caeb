/** Calibration data on its way through a model, block by block: what one block gives is kept and feeds the next, nothing runs twice from the start. */
import { fail } from '../../grammar/diagnostics.ts';
import type { Batch } from '../calibrate/index.ts';
import { cut } from '../graph/cut.ts';
import type { Dim, Graph, Model, ValueInfo } from '../graph/types.ts';
import type { Host, Session, Value } from '../host.ts';
import type { Parts } from './parts.ts';

type Values = Readonly<Record<string, Value>>;

/** What a batch gave. */
export interface Found {
  readonly values: Values;
  /** `attention_mask` of the batch: what it leaves out is no data. */
  readonly mask: Value | undefined;
  /** Nobody reads the value of this name any more. To be called once at most; what the front holds is kept. */
  done(name: string): void;
}

/** What is read of a model. */
export interface Wanted {
  readonly model: Model;
  /** What becomes of the part of it that computes the values, which keep their names. */
  readonly change?: (part: Model) => Model;
  readonly values: readonly string[];
  /** Values to which the front moves when all batches are through. */
  readonly front?: readonly string[] | undefined;
}

export class Stream {
  readonly #host: Host;
  readonly #parts: Parts;
  readonly #batches: readonly Batch[];
  /** Of each batch: the values at the front. */
  #front: ReadonlyMap<string, Value>[];
  /** What was cut for a read to come. */
  #ahead: { readonly wanted: Wanted; readonly part: Model } | undefined;

  constructor(host: Host, parts: Parts, batches: readonly Batch[]) {
    this.#host = host;
    this.#parts = parts;
    this.#batches = batches;
    this.#front = batches.map(() => new Map());
  }

  /** Runs that are under way at once: all machines compute alike, since a batch is one run anyway. */
  async #lanes(): Promise<{ runs: number; threads?: number }> {
    const lanes = await this.#host.lanes?.();
    return lanes && this.#batches.length >= lanes.runs ? lanes : { runs: 1 };
  }

  /**
   * Values of a model, batch after batch. Everything before the front is taken as it was when the front moved.
   * `next`: what is read next, as far as is known; asked while batches run, so that its session is there in time.
   */
  async *read(wanted: Wanted, next?: () => Wanted | undefined): AsyncGenerator<Found> {
    const { values, front } = wanted;
    const all = [...new Set([...values, ...(front ?? [])])];
    const part = this.#ahead?.wanted === wanted ? this.#ahead.part : cutOf(wanted, this.#front[0]);
    this.#ahead = undefined;
    const made = part.graph.outputs.map((o) => o.name);
    const { runs, threads } = await this.#lanes();
    const session = made.length ? await this.#parts.session(part, threads) : undefined;
    const moved: ReadonlyMap<string, Value>[] = [];
    const one = async (i: number): Promise<Values> => {
      const given: Record<string, Value> = { ...this.#batches[i]!.feeds, ...Object.fromEntries(this.#front[i] ?? []) };
      const feeds = Object.fromEntries((session?.inputs ?? []).map((name) => [name, given[name]!]));
      const found = await session?.run(feeds, made);
      return Object.fromEntries(all.map((name) => [name, found?.[name] ?? given[name]!]));
    };
    // Several batches are under way, one more waits for its turn; they are given in their order.
    const ahead = new Map<number, Promise<Values>>();
    const begin = (i: number): void => {
      const before = ahead.get(i - runs);
      const run = before ? before.then(() => one(i)) : one(i);
      // whoever waits for it learns of an error
      run.catch(() => {});
      ahead.set(i, run);
    };
    // what comes next is prepared once they have begun and the first one has shown what the front holds
    const last = Math.min(Math.max(runs, 1), this.#batches.length - 1);
    try {
      for (let i = 0, begun = 0; i < this.#batches.length; i++) {
        for (; begun <= Math.min(i + runs, this.#batches.length - 1); begun++) begin(begun);
        if (i === last) this.#prepare(next?.(), front ? moved[0] : this.#front[0], threads);
        const found = await ahead.get(i)!;
        ahead.delete(i);
        moved.push(new Map((front ?? []).map((name) => [name, found[name]!])));
        const own = new Set(made.filter((name) => !front?.includes(name)));
        const mask = this.#batches[i]!.feeds['attention_mask'];
        yield { values: found, mask, done: (name) => void (own.has(name) && session?.recycle?.(found[name]!)) };
      }
    } finally {
      await Promise.allSettled(ahead.values());
      await session?.close();
    }
    if (front) this.#move(moved, session, values);
  }

  /** `front`: the values where the next read begins, of any batch. */
  #prepare(wanted: Wanted | undefined, front: ReadonlyMap<string, Value> | undefined, threads: number | undefined): void {
    if (!wanted || !front) return;
    const part = cutOf(wanted, front);
    this.#ahead = { wanted, part };
    if (part.graph.outputs.length > 0) this.#parts.prepare(part, threads);
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

function cutOf({ model, change, values, front }: Wanted, known: ReadonlyMap<string, Value> | undefined): Model {
  const part = cut(model, infos(known, model.graph), [...new Set([...values, ...(front ?? [])])]);
  return change ? change(part) : part;
}

/** What the front is: as the model says, where that is so. */
function infos(front: ReadonlyMap<string, Value> | undefined, graph: Graph): Map<string, ValueInfo> {
  const inputs = new Map(graph.inputs.map((i) => [i.name, i]));
  const of = ([name, v]: readonly [string, Value]): [string, ValueInfo] => {
    const said = (inputs.get(name) ?? graph.values.get(name))?.shape;
    const dim = (size: number, axis: number): Dim => {
      const d = said?.length === v.shape.length ? said[axis] : undefined;
      return typeof d === 'string' || d === size ? d : `${name}.${axis}`;
    };
    return [name, { name, dtype: v.dtype, shape: v.shape.map(dim) }];
  };
  return new Map([...(front ?? [])].map(of));
}

/** All batches of a source in memory: they are small beside what the layers make of them. Error: `data-empty`. */
export async function gathered(batches: AsyncIterable<Batch>, name: string): Promise<Batch[]> {
  const out: Batch[] = [];
  for await (const b of batches) out.push(b);
  return out.length ? out : fail('data-empty', `${name} gives no batch`, 'solving needs data');
}
