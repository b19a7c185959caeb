import { fail } from '../../grammar/diagnostics.ts';
import { decodeNpz } from '../calibrate/npz.ts';
import { floats, view } from '../calibrate/values.ts';
import type { Host, Value } from '../host.ts';

/** The arrays of one .npz file of an evaluation set. */
export interface Arrays {
  /** Error: eval-array (no such array). */
  get(name: string): Value;
  floats(name: string): Float32Array;
  /** Any numeric type as doubles. */
  numbers(name: string): Float64Array;
}

/** Reads `<folder>/<name>.npz`. */
export async function readArrays(host: Host, folder: string, name: string): Promise<Arrays> {
  const label = `${folder}/${name}.npz`;
  const file = await host.open(folder, `${name}.npz`);
  const bytes = await file.read(0, file.size).finally(() => file.close());
  const arrays = decodeNpz(bytes, label);
  const get = (key: string): Value =>
    arrays.get(key) ?? fail('eval-array', `${label} has no array "${key}"; it has ${[...arrays.keys()].map((k) => `"${k}"`).join(', ')}`);
  return { get, floats: (key) => floats(get(key)), numbers: (key) => Float64Array.from(view(get(key)), Number) };
}

/** Index of the largest of `n` numbers from `at` on; the first of equals. */
export function argmax(x: ArrayLike<number>, at: number, n: number): number {
  let best = 0;
  for (let i = 1; i < n; i++) if (x[at + i]! > x[at + best]!) best = i;
  return best;
}

export const mean = (x: ArrayLike<number>): number => {
  let sum = 0;
  for (let i = 0; i < x.length; i++) sum += x[i]!;
  return sum / x.length;
};

/** 10 log10( Σ r² / Σ (r − q)² ). */
export function sqnr(reference: Float32Array, actual: Float32Array): number {
  let signal = 0;
  let noise = 0;
  for (let i = 0; i < reference.length; i++) {
    signal += reference[i]! ** 2;
    noise += (reference[i]! - actual[i]!) ** 2;
  }
  return 10 * Math.log10(signal / Math.max(noise, 1e-300));
}
