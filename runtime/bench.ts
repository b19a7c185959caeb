/** Speed and memory of models beside each other: each in a process of its own, the processes turn by turn. */
import { type ChildProcess, fork } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { Sizes } from './bench-feeds.ts';
import { type Interval, interval } from './interval.ts';

/** What is measured: a run at some sizes, a prompt, a token behind a context. */
export type Case =
  | { readonly kind: 'shape'; readonly name: string; readonly sizes: Sizes; readonly least: number }
  | { readonly kind: 'prefill'; readonly name: string; readonly tokens: number }
  | { readonly kind: 'decode'; readonly name: string; readonly tokens: number; readonly context: number };
export type Order =
  | { readonly do: 'open'; readonly model: string; readonly threads: number }
  | { readonly do: 'time'; readonly case: Case }
  | { readonly do: 'memory' };
export interface Opened {
  readonly loadMs: number;
  /** Names of sizes that can be given. */
  readonly names: readonly string[];
  /** Its operators of qc.v1 run on our kernels. */
  readonly kernels: boolean;
  /** Has token ids and caches. */
  readonly language: boolean;
}

export interface BenchOptions {
  readonly threads: number;
  /** Sizes by name, one case each; none: usual ones, or a prompt and tokens where the model has caches. */
  readonly shapes: readonly Sizes[];
  readonly prefill: number;
  readonly decode: number;
  readonly context: number;
  readonly rounds: number;
  /** Seconds that a case may take, from six rounds on. */
  readonly seconds: number;
  readonly onProgress?: (what: string, done: number, total: number) => void;
  readonly signal?: AbortSignal;
}

export interface BenchModel {
  readonly path: string;
  readonly loadMs: number;
  readonly kernels: boolean;
  /** Anonymous bytes that the model added to its process, at most: activations, caches, what was not mapped. */
  readonly memory: number;
}
export interface BenchCase {
  readonly name: string;
  readonly kind: Case['kind'];
  readonly tokens?: number;
  readonly rounds: number;
  /** For each model: milliseconds of a run, of the prompt, or of a token; its speed as a multiple of the first model's, round by round. */
  readonly results: readonly { readonly ms: Interval; readonly ratio: Interval }[];
}
export interface Benched {
  readonly threads: number;
  readonly models: readonly BenchModel[];
  readonly cases: readonly BenchCase[];
}

/** A size that no input has: its name, and those that there are. */
export class UnknownSize extends Error {
  constructor(
    readonly name_: string,
    readonly model: string,
    readonly known: readonly string[],
  ) {
    super(`${model} has no input with a size "${name_}"; its sizes are ${known.join(', ') || 'all fixed'}`);
  }
}

class Served {
  readonly #child: ChildProcess;
  #waiting: { done: (value: never) => void; failed: (e: Error) => void } | undefined;
  #stopped: Error | undefined;

  constructor(readonly path: string) {
    const file = ['./bench-child.ts', './bench-child.js'].map((f) => fileURLToPath(new URL(f, import.meta.url))).find((f) => existsSync(f));
    if (!file) throw new Error('the program that serves a model is not there: reinstall qrecipe');
    this.#child = fork(file, { serialization: 'advanced', stdio: ['ignore', 'ignore', 'ignore', 'ipc'] });
    this.#child.on('message', (m: { value?: unknown; error?: string }) => {
      const waiting = this.#waiting;
      this.#waiting = undefined;
      if (m.error === undefined) waiting?.done(m.value as never);
      else waiting?.failed(new Error(`${path}: ${m.error}`));
    });
    this.#child.on('exit', (code, signal) => {
      this.#stopped = new Error(`${path}: its process ended (${signal ?? `status ${code}`})`);
      this.#waiting?.failed(this.#stopped);
    });
  }
  ask<T>(order: Order): Promise<T> {
    if (this.#stopped) return Promise.reject(this.#stopped);
    return new Promise<T>((done, failed) => {
      this.#waiting = { done, failed };
      this.#child.send(order);
    });
  }
  close(): void {
    this.#child.kill();
  }
}

/** Runs that are shorter are repeated to this many milliseconds. */
const LEAST = 3;

function casesOf(opened: readonly Opened[], o: BenchOptions): Case[] {
  if (o.shapes.length)
    return o.shapes.map((sizes) => ({
      kind: 'shape',
      name: Object.entries(sizes)
        .map(([k, v]) => `${k}=${v}`)
        .join(','),
      sizes,
      least: LEAST,
    }));
  if (!opened.every((m) => m.language)) return [{ kind: 'shape', name: 'usual sizes', sizes: {}, least: LEAST }];
  const prefill: Case = { kind: 'prefill', name: `prefill ${o.prefill}`, tokens: o.prefill };
  const decode: Case = { kind: 'decode', name: `decode ${o.decode} at ${o.context}`, tokens: o.decode, context: o.context };
  return [...(o.prefill ? [prefill] : []), ...(o.decode ? [decode] : [])];
}

/** Measures. Who begins a round moves on, so that all see the same machine. Errors: a model that does not load or run, `UnknownSize`. */
export async function bench(paths: readonly string[], o: BenchOptions): Promise<Benched> {
  const served: Served[] = [];
  try {
    const opened: Opened[] = [];
    for (const path of paths) {
      const one = new Served(path);
      served.push(one);
      opened.push(await one.ask<Opened>({ do: 'open', model: path, threads: o.threads }));
      for (const name of o.shapes.flatMap(Object.keys))
        if (!opened.at(-1)!.names.includes(name)) throw new UnknownSize(name, path, opened.at(-1)!.names);
    }
    const cases: BenchCase[] = [];
    for (const c of casesOf(opened, o)) {
      for (const s of served) await s.ask<number>({ do: 'time', case: c });
      const times: number[][] = served.map(() => []);
      const began = performance.now();
      let round = 0;
      for (; round < o.rounds && (round < 6 || performance.now() - began < 1000 * o.seconds); round++) {
        o.signal?.throwIfAborted();
        o.onProgress?.(c.name, round, o.rounds);
        for (let i = 0; i < served.length; i++) {
          const at = (i + round) % served.length;
          times[at]!.push(await served[at]!.ask<number>({ do: 'time', case: c }));
        }
      }
      const results = times.map((ms) => ({ ms: interval(ms), ratio: interval(ms.map((t, i) => times[0]![i]! / t)) }));
      cases.push({ name: c.name, kind: c.kind, ...(c.kind === 'shape' ? {} : { tokens: c.tokens }), rounds: round, results });
    }
    const models: BenchModel[] = [];
    for (const [i, s] of served.entries())
      models.push({ path: s.path, loadMs: opened[i]!.loadMs, kernels: opened[i]!.kernels, memory: await s.ask<number>({ do: 'memory' }) });
    return { threads: o.threads, models, cases };
  } finally {
    for (const s of served) s.close();
  }
}
