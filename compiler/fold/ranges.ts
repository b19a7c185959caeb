/** What learnt rotations make smaller: the p-norms of rows, as smooth ranges. */
import type { Crunch } from '../crunch.ts';
import { negative } from './product.ts';

/** Sample rows X and weight rows W of n channels each. */
export interface Sides {
  readonly x: Float32Array;
  readonly w: Float32Array;
}

/** Elements that are turned at once. */
const MOST = 1 << 21;

/**
 * J(R) = Σ over pairs of Σ_i ‖x_i R‖²_p / ‖X‖² + Σ_o ‖w_o R‖²_p / ‖W‖², and its gradient. Rows are scaled once, so that J is a plain sum over them;
 * rows that several pairs share are turned once.
 */
export class Ranges {
  readonly #n: number;
  readonly #p: number;
  readonly #crunch: Crunch;
  readonly #pieces: readonly Float32Array[];
  readonly #sums: Float64Array;
  readonly #turned: Float32Array;

  constructor(pairs: readonly Sides[], n: number, p: number, crunch: Crunch) {
    [this.#n, this.#p, this.#crunch] = [n, p, crunch];
    const weights = new Map<Float32Array, number>();
    for (const { x, w } of pairs) {
      const [ex, ew] = [energy(x), energy(w)];
      if (ex === 0 || ew === 0) continue;
      weights.set(x, (weights.get(x) ?? 0) + 1 / ex);
      weights.set(w, (weights.get(w) ?? 0) + 1 / ew);
    }
    this.#pieces = stacked(weights, Math.max(1, Math.floor(MOST / n)) * n);
    const longest = Math.max(0, ...this.#pieces.map((x) => x.length));
    this.#sums = new Float64Array(longest);
    this.#turned = new Float32Array(longest);
  }

  async at(r: Float32Array): Promise<{ readonly j: number; readonly g: Float64Array }> {
    const n = this.#n;
    const g = new Float64Array(n * n);
    const right = negative(r);
    let j = 0;
    for (const m of this.#pieces) {
      const sums = this.#sums.subarray(0, m.length).fill(0);
      await this.#crunch.minusProduct(sums, m, right, n);
      const y = this.#turned.subarray(0, m.length);
      y.set(sums);
      const { sum, derivative } = await this.#crunch.rangeNorms(y, n, this.#p, 1);
      j += sum;
      await this.#crunch.cross(g, m, derivative, n);
    }
    return { j, g };
  }
}

/** Arrays of rows, each times the root of its weight, one behind the other in pieces of at most `most` elements. */
function stacked(weights: ReadonlyMap<Float32Array, number>, most: number): Float32Array[] {
  let left = [...weights.keys()].reduce((sum, m) => sum + m.length, 0);
  const pieces: Float32Array[] = [];
  let piece = new Float32Array(0);
  let at = 0;
  for (const [m, weight] of weights) {
    const by = Math.sqrt(weight);
    for (let i = 0; i < m.length; i++) {
      if (at === piece.length) {
        piece = new Float32Array(Math.min(most, left));
        pieces.push(piece);
        left -= piece.length;
        at = 0;
      }
      piece[at++] = by * m[i]!;
    }
  }
  return pieces;
}

/** ‖M‖². */
function energy(m: Float32Array): number {
  let sum = 0;
  for (let i = 0; i < m.length; i++) sum += m[i]! * m[i]!;
  return sum;
}
