/** The second moments of the inputs of layers, folded batch by batch. */
import { floats, ofFloats } from '../calibrate/values.ts';
import type { Crunch } from '../crunch.ts';
import type { Model } from '../graph/types.ts';
import type { Value } from '../host.ts';
import { byChannel } from '../observers/_values.ts';
import type { Site } from '../sites.ts';
import type { Stream } from './stream.ts';

export interface Moments {
  /** XᵀX [n, n]. */
  readonly hessian: Float64Array;
  readonly rows: number;
  /** XᵀX_float [n, n]. */
  readonly cross?: Float64Array;
}

const inputOf = (site: Site): string => site.ports['input']!.value;
export const channelOf = (site: Site): number => site.ports['input']!.axes['channel'] ?? -1;

/** By name of the input value. `float`: the float model on its own stream, where the cross moments are wanted too. `front`: where the streams move to. `passing`: only that they move. */
export async function momentsOf(
  sites: readonly Site[],
  on: { readonly model: Model; readonly stream: Stream },
  float: { readonly model: Model; readonly stream: Stream } | undefined,
  crunch: Crunch,
  front?: readonly string[],
  passing = false,
): Promise<Map<string, Moments>> {
  const axes = new Map(sites.map((s) => [inputOf(s), channelOf(s)]));
  const values = [...axes.keys()];
  const moments = new Map<string, Folding>();
  const beside = float?.stream.read(float.model, values, front);
  const matrix = (v: Value, axis: number, n: number) => byChannel(ofFloats(v.shape, floats(v)), axis, n);
  try {
    for await (const found of on.stream.read(on.model, values, front)) {
      const exact = beside ? (await beside.next()).value : undefined;
      if (passing) continue;
      for (const [value, axis] of axes) {
        const before = moments.get(value);
        const { x, channels: n } = matrix(found[value]!, axis, before?.n ?? 0);
        const m = before ?? new Folding(crunch, n);
        moments.set(value, m);
        await m.add(x, exact && matrix(exact[value]!, axis, n).x);
      }
    }
    for (const m of moments.values()) await m.finish();
    // the end of the other stream, where its front moves
    await beside?.next();
  } finally {
    await beside?.return(undefined);
  }
  return moments;
}

/** Rows of inputs that are folded at a time, since each fold reads and writes the whole Hessian, and bytes that may wait for that. */
const ROWS = 1024;
const BYTES = 64 << 20;

/** The moments of one value on their way: folded while the model computes the next batch. Sums run over rows in order, so when they are folded changes no bit. */
class Folding implements Moments {
  readonly hessian: Float64Array;
  cross?: Float64Array;
  rows = 0;
  readonly n: number;
  readonly #crunch: Crunch;
  #x: Float32Array[] = [];
  #exact: Float32Array[] = [];
  #waiting = 0;
  #busy: Promise<void> = Promise.resolve();

  constructor(crunch: Crunch, n: number) {
    this.#crunch = crunch;
    this.n = n;
    this.hessian = new Float64Array(n * n);
  }

  /** Returns as soon as no more than one fold is under way, so that memory stays bounded. */
  async add(x: Float32Array, exact?: Float32Array): Promise<void> {
    this.#x.push(x);
    if (exact) this.#exact.push(exact);
    this.#waiting += x.length;
    if (this.#waiting < ROWS * this.n && this.#waiting * (exact ? 8 : 4) < BYTES) return;
    await this.#busy;
    this.#busy = this.#fold(joined(this.#x), this.#exact.length ? joined(this.#exact) : undefined);
    // whoever waits for it learns of an error
    this.#busy.catch(() => {});
    [this.#x, this.#exact, this.#waiting] = [[], [], 0];
  }

  async finish(): Promise<void> {
    await this.#busy;
    if (this.#x.length) await this.#fold(joined(this.#x), this.#exact.length ? joined(this.#exact) : undefined);
    [this.#x, this.#exact, this.#waiting] = [[], [], 0];
  }

  async #fold(x: Float32Array, exact: Float32Array | undefined): Promise<void> {
    await this.#crunch.cross(this.hessian, x, x, this.n);
    if (exact) {
      this.cross ??= new Float64Array(this.n * this.n);
      await this.#crunch.cross(this.cross, x, exact, this.n);
    }
    this.rows += x.length / this.n;
  }
}

function joined(parts: readonly Float32Array[]): Float32Array {
  if (parts.length === 1) return parts[0]!;
  const all = new Float32Array(parts.reduce((n, p) => n + p.length, 0));
  let at = 0;
  for (const p of parts) {
    all.set(p, at);
    at += p.length;
  }
  return all;
}
