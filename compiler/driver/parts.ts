/** Sessions of parts of a model: one for all parts of the same structure, opened ahead where it is known what comes next. */
import { attended } from '../graph/attend.ts';
import { openTensors } from '../graph/bytes.ts';
import { type Generic, generic } from '../graph/generic.ts';
import type { Model } from '../graph/types.ts';
import type { Host, Session, Value } from '../host.ts';
import { fuseFloats } from '../lower/native/fuse.ts';

type Values = Record<string, Value>;

/** Sessions that wait for another part of their structure. */
const WAITING = 12;

export class Parts {
  readonly #host: Host;
  readonly #dir: string;
  /** By the generic model's key and threads; the one that was used last is the last. */
  readonly #sessions = new Map<string, Promise<Session>>();
  readonly #known = new WeakMap<Model, Generic | undefined>();

  constructor(host: Host, dir: string) {
    this.#host = host;
    this.#dir = dir;
  }

  /** Opens the session that a part will need. What goes wrong is told to whoever needs it. */
  prepare(part: Model, threads: number | undefined): void {
    const g = this.#generic(part);
    if (g) this.#session(g, threads).catch(() => {});
  }

  /** A session of a part; its weights are read now. What it held is free when it is closed, the session waits for another part. */
  async session(part: Model, threads: number | undefined): Promise<Session> {
    const g = this.#generic(part);
    if (!g) return this.#host.session(attended(part, part.graph.values), this.#dir, threads ? { threads } : {});
    const [session, weights] = await Promise.all([this.#session(g, threads), this.#weights(g)]);
    const own = new Map([...g.names].map(([name, v]) => [v, name]));
    const named = (name: string): string => g.names.get(name) ?? name;
    const outputs = session.outputs.map((v) => own.get(v)!);
    return {
      inputs: session.inputs.flatMap((v) => (weights[v] ? [] : [own.get(v)!])),
      outputs,
      async run(feeds, fetch = outputs) {
        const given = Object.fromEntries(Object.entries(feeds).map(([name, v]) => [named(name), v]));
        const found = await session.run({ ...given, ...weights }, fetch.map(named));
        return Object.fromEntries(fetch.map((name) => [name, found[named(name)]!]));
      },
      recycle: (value) => session.recycle?.(value),
      close: async () => {},
    };
  }

  async close(): Promise<void> {
    const open = await Promise.allSettled(this.#sessions.values());
    this.#sessions.clear();
    for (const s of open) if (s.status === 'fulfilled') await s.value.close();
  }

  #generic(part: Model): Generic | undefined {
    const g = this.#known.has(part) ? this.#known.get(part) : generic(part);
    this.#known.set(part, g);
    return g;
  }

  #session(g: Generic, threads: number | undefined): Promise<Session> {
    const key = `${threads} ${g.key}`;
    const session = this.#sessions.get(key) ?? this.#opened(g, threads);
    this.#sessions.delete(key);
    this.#sessions.set(key, session);
    for (const [old, s] of [...this.#sessions].slice(0, -WAITING)) {
      this.#sessions.delete(old);
      s.then((x) => x.close()).catch(() => {});
    }
    return session;
  }

  async #opened(g: Generic, threads: number | undefined): Promise<Session> {
    const kernels = (await this.#host.lanes?.())?.kernels === true;
    const model = g.model((m) => (kernels ? fuseFloats(m) : attended(m, m.graph.values)));
    return this.#host.session(model, this.#dir, { ...(threads ? { threads } : {}), ...(kernels ? { kernels } : {}) });
  }

  async #weights(g: Generic): Promise<Values> {
    const reader = openTensors(this.#host, this.#dir);
    try {
      const read = [...g.weights].map(async ([name, t]) => {
        // not by way of the reader's one place for what was evaluated last: these are evaluated side by side
        const bytes = t.source.kind === 'lazy' ? (await t.source.lazy.evaluate(reader))[t.source.lazy.part]! : await reader.bytes(t);
        return [name, { dtype: t.dtype, shape: t.shape, bytes }] as const;
      });
      return Object.fromEntries(await Promise.all(read));
    } finally {
      await reader.close();
    }
  }
}
