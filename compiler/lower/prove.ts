/** Proof that a lowered model computes what was simulated: weights bit by bit, outputs within a stated tolerance. */
import { fail } from '../../grammar/diagnostics.ts';
import { isFloat } from '../graph/dtype.ts';
import { toFloat64 } from '../graph/numeric.ts';
import type { Model } from '../graph/types.ts';
import type { EvalContext, Host, Session, Value } from '../host.ts';
import { dequantizedRows } from '../simulate/dequantized.ts';
import { simulate } from '../simulate/simulate.ts';
import type { EncodedWeight, Simulated } from '../simulated.ts';

/** One output on one feed: ‖lowered − simulated‖ / ‖simulated‖. */
export interface Difference {
  readonly output: string;
  readonly feed: number;
  readonly relative: number;
}

/**
 * Largest relative L2 error that counts as equal. Sums of float32 in another order differ by about 1e-6; one code that rounds the other way
 * (a tie, or a scale one ulp apart) moves an 8-bit activation by 1/255 of its range.
 */
export const TOLERANCE = { floats: 1e-4, rounded: 2e-2 } as const;

const numbersOf = (v: Value): ArrayLike<number> | undefined => (isFloat(v.dtype) ? toFloat64(v.dtype, v.bytes) : undefined);

/** Runs both models on the feeds. Outputs that are no floats are skipped. `dir` is the folder of the model's data. `open`: sessions of `expected`. */
export async function compareOutputs(
  host: Host,
  expected: Model,
  actual: Model,
  dir: string,
  feeds: readonly Record<string, Value>[],
  open: (model: Model) => Promise<Session> = (model) => host.session(model, dir),
): Promise<Difference[]> {
  const [lowered, reference] = await Promise.all([host.session(actual, dir), open(expected)]);
  try {
    const found: Difference[] = [];
    for (const [feed, values] of feeds.entries()) {
      const [a, b] = await Promise.all([reference.run(values), lowered.run(values)]);
      for (const output of reference.outputs) {
        const [x, y] = [a[output] && numbersOf(a[output]), b[output] && numbersOf(b[output])];
        if (x && y) found.push({ output, feed, relative: relative(x, y) });
      }
    }
    return found;
  } finally {
    await reference.close();
    await lowered.close();
  }
}

/** ‖actual − reference‖ / ‖reference‖ of two float values. */
export const distance = (reference: Value, actual: Value): number =>
  relative(toFloat64(reference.dtype, reference.bytes), toFloat64(actual.dtype, actual.bytes));

function relative(reference: ArrayLike<number>, actual: ArrayLike<number>): number {
  let error = 0;
  let energy = 0;
  for (let i = 0; i < reference.length; i++) {
    const x = reference[i] ?? 0;
    error += (x - (actual[i] ?? 0)) ** 2;
    energy += x * x;
  }
  return energy === 0 ? Math.sqrt(error) : Math.sqrt(error / energy);
}

/**
 * Proves `lowered` = `simulate(s)` on feeds. Error: `not-proved`, which names the worst output; it is a fault of the target, not of the recipe.
 * Returns the differences.
 */
export async function prove(
  host: Host,
  s: Simulated,
  lowered: Model,
  dir: string,
  feeds: readonly Record<string, Value>[],
): Promise<Difference[]> {
  const differences = await compareOutputs(host, simulate(s), lowered, dir, feeds);
  const limit = s.values.some((v) => v.type.codes) ? TOLERANCE.rounded : TOLERANCE.floats;
  const worst = differences.reduce<Difference | undefined>((w, d) => (w && w.relative >= d.relative ? w : d), undefined);
  if (worst && !(worst.relative <= limit))
    fail(
      'not-proved',
      `output "${worst.output}" of the lowered model differs from the simulated one by ${worst.relative.toExponential(2)} (limit ${limit})`,
      'this is a fault of the target: please report it with the recipe',
    );
  return differences;
}

/** Do the codes, scales and zero points that a layout stores stand for exactly the simulated weight? */
export async function weightIsExact(w: EncodedWeight, layout: 'source' | 'nbits', ctx: EvalContext): Promise<boolean> {
  if (!w.type.codes) return true;
  const expected = await dequantizedRows(w, ctx);
  const actual = await dequantizedRows(w, ctx, layout);
  return expected.every((x, i) => Object.is(x, actual[i]) || x === actual[i]);
}
