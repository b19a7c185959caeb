/**
 * A fixed row added before rounding and taken out behind it: the quantizer, the row's mean and its size with the least error of the readers' outputs
 * on a sample. Roundings of different channels count as independent, so a channel's error weighs as much as its column of the weights.
 */
import { toFloat64 } from '../graph/numeric.ts';
import type { QType } from '../plan/types.ts';
import { quantParams } from '../simulate/params.ts';
import type { Site } from '../sites.ts';
import type { Job } from './job.ts';

/** What is searched, and how finely. Numbers are in steps of the quantizer and are taken as they are. */
export interface NoiseSearch {
  readonly clip: number;
  readonly mean: number | { readonly points: number };
  readonly amplitude: number | { readonly points: number };
}
export interface Noise {
  readonly scale: number;
  readonly zero: number;
  readonly mean: number;
  readonly amplitude: number;
  /** Error over that of the same quantizer without a row. */
  readonly gain: number;
}

/** Σ_o W_ok² over all readers: what an error of input k costs. */
export async function columnEnergies(job: Job, readers: readonly Site[], width: number): Promise<Float64Array> {
  const out = new Float64Array(width);
  for (const site of readers) {
    const port = site.ports['weight']!;
    const t = job.rewriter.tensor(port.value)!;
    const w = toFloat64(t.dtype, await job.ctx.bytes(t));
    const inner = port.axes['reduce'] === 0 ? w.length / width : 1;
    for (let i = 0; i < w.length; i++) out[Math.floor(i / inner) % width]! += w[i]! ** 2;
  }
  return out;
}

/** A row of `width` numbers in −1…1, or standard normal ones, the same for the same name. */
export function noiseRow(name: string, width: number, distribution: 'uniform' | 'normal'): Float64Array {
  let state = [...name].reduce((h, c) => (Math.imul(h, 31) + c.charCodeAt(0)) >>> 0, 2166136261);
  const uniform = () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return (state + 1) / (2 ** 32 + 1);
  };
  const draw = {
    uniform: () => 2 * uniform() - 1,
    normal: () => Math.sqrt(-2 * Math.log(uniform())) * Math.cos(2 * Math.PI * uniform()),
  };
  return Float64Array.from({ length: width }, draw[distribution]);
}

const grid = (of: number | { readonly points: number }, from: number, to: number): number[] =>
  typeof of === 'number' ? [of] : [0, ...Array.from({ length: of.points }, (_, i) => from + ((i + 0.5) * (to - from)) / of.points)];

/** `sample` [rows, width], min and max those of all values. The type has static integer codes, one step for the tensor. */
export function searchNoise(
  sample: Float32Array,
  [min, max]: readonly [min: number, max: number],
  row: Float64Array,
  energy: Float64Array,
  type: QType,
  how: NoiseSearch,
): Noise {
  const { codes } = type;
  if (codes?.kind !== 'int') throw new Error(`${type.text} has no integer codes`);
  const width = row.length;
  const { lo: low, hi: high } = codes;
  const steps = new Float64Array(sample.length);
  const offset = new Float64Array(width);
  /** Of the sample in steps; the row is in steps as well. */
  const error = (scale: number, zero: number, mean: number, amplitude: number): number => {
    for (let k = 0; k < width; k++) offset[k] = mean + amplitude * row[k]!;
    const [from, to] = [low - zero, high - zero];
    let sum = 0;
    for (let at = 0; at < steps.length; at += width)
      for (let k = 0; k < width; k++) {
        const x = steps[at + k]! + offset[k]!;
        let q = Math.floor(x + 0.5);
        if (q < from) q = from;
        else if (q > to) q = to;
        sum += energy[k]! * (x - q) * (x - q);
      }
    return sum * scale * scale;
  };
  const inSteps = (scale: number) => {
    for (let i = 0; i < steps.length; i++) steps[i] = sample[i]! / scale;
  };
  let best = { scale: 1, zero: 0, error: Number.POSITIVE_INFINITY };
  for (let i = 0; i < how.clip; i++) {
    const r = 1 - (0.9 * i) / how.clip;
    const { scale, zero } = quantParams(min * r, max * r, type);
    inSteps(scale);
    const e = error(scale, zero, 0, 0);
    if (e < best.error) best = { scale, zero, error: e };
  }
  const { scale, zero } = best;
  inSteps(scale);
  let found = { mean: 0, amplitude: 0, error: best.error };
  for (const mean of grid(how.mean, -1, 1)) {
    const e = error(scale, zero, mean, 0);
    if (e < found.error || typeof how.mean === 'number') found = { mean, amplitude: 0, error: e };
  }
  const { mean } = found;
  for (const amplitude of grid(how.amplitude, 0, 2)) {
    const e = error(scale, zero, mean, amplitude);
    if (e < found.error || typeof how.amplitude === 'number') found = { mean, amplitude, error: e };
  }
  return { scale, zero, mean: scale * found.mean, amplitude: scale * found.amplitude, gain: best.error > 0 ? found.error / best.error : 1 };
}
