/**
 * The second moments of the inputs of a layer: H = XᵀX, and C = XᵀX_float where the float inputs are wanted too. Inputs wait until they weigh as much as
 * the Hessian, and are folded into it while the model computes the next batch; what waits beyond a limit of memory waits on disk. So a block costs no more
 * than its inputs or its Hessians, whichever is less, and one Hessian at work. Sums run over rows in order: when they are folded changes no bit.
 */
import type { Crunch } from '../crunch.ts';
import type { Held, Shelf } from './shelf.ts';

export interface Moments {
  /** XᵀX [n, n]. */
  readonly hessian: Float64Array;
  readonly rows: number;
  /** XᵀX_float [n, n]. */
  readonly cross?: Float64Array;
}

/** Rows that are folded in one call at least, where there are as many: each call reads and writes the whole Hessian. */
const ROWS = 1024;

interface Part {
  readonly x: Held<Float32Array>;
  readonly exact?: Held<Float32Array>;
  readonly done?: () => void;
}

export class Folding {
  /** Channels. */
  readonly n: number;
  readonly #crunch: Crunch;
  readonly #shelf: Shelf;
  #rows = 0;
  #parts: Part[] = [];
  #waiting = 0;
  #hessian: Held<Float64Array> | undefined;
  #cross: Held<Float64Array> | undefined;
  #busy: Promise<void> = Promise.resolve();

  constructor(crunch: Crunch, shelf: Shelf, n: number) {
    this.#crunch = crunch;
    this.#shelf = shelf;
    this.n = n;
  }

  /** One batch [rows, n], with what the float model has there. `done` is called when neither is read any more. */
  async add(x: Float32Array, exact?: Float32Array, done?: () => void): Promise<void> {
    this.#parts.push({
      x: await this.#shelf.put(x),
      ...(exact ? { exact: await this.#shelf.put(exact) } : {}),
      ...(done ? { done } : {}),
    });
    this.#waiting += x.length;
    if (this.#waiting < 2 * this.n * this.n) return;
    // One fold at a time: what waits for it stays bounded.
    await this.#busy;
    const parts = this.#parts;
    [this.#parts, this.#waiting] = [[], 0];
    this.#busy = this.#fold(parts).then(async ({ hessian, cross }) => {
      this.#hessian = await this.#shelf.put(hessian);
      this.#cross = cross && (await this.#shelf.put(cross));
    });
    // whoever waits for it learns of an error
    this.#busy.catch(() => {});
  }

  /** Everything folded; to be asked for once. */
  async finish(): Promise<Moments> {
    await this.#busy;
    const parts = this.#parts;
    [this.#parts, this.#waiting] = [[], 0];
    const { hessian, cross } = await this.#fold(parts);
    return { hessian, rows: this.#rows, ...(cross ? { cross } : {}) };
  }

  async #fold(parts: readonly Part[]): Promise<{ hessian: Float64Array; cross?: Float64Array }> {
    const { n } = this;
    const square = async (held: Held<Float64Array> | undefined) => (held ? held.take() : new Float64Array(n * n));
    const hessian = await square(this.#hessian);
    const cross = this.#cross || parts.some((p) => p.exact) ? await square(this.#cross) : undefined;
    [this.#hessian, this.#cross] = [undefined, undefined];
    for (let at = 0; at < parts.length; ) {
      const group: Part[] = [];
      for (let rows = 0; at < parts.length && rows < ROWS; at++) {
        group.push(parts[at]!);
        rows += parts[at]!.x.length / n;
      }
      const x = await joined(group.map((p) => p.x));
      const exact = group.flatMap((p) => (p.exact ? [p.exact] : []));
      await this.#crunch.cross(hessian, x, x, n);
      if (cross && exact.length) await this.#crunch.cross(cross, x, await joined(exact), n);
      this.#rows += x.length / n;
      for (const p of group) p.done?.();
    }
    return { hessian, ...(cross ? { cross } : {}) };
  }
}

async function joined(parts: readonly Held<Float32Array>[]): Promise<Float32Array> {
  if (parts.length === 1) return parts[0]!.take();
  const all = new Float32Array(parts.reduce((n, p) => n + p.length, 0));
  let at = 0;
  for (const p of parts) {
    all.set(await p.take(), at);
    at += p.length;
  }
  return all;
}
