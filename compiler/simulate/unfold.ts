/** A convolution as a matrix product: each place of its kernel is a row of inputs (im2col), in the order of the kernel's weights [in, taps…]. */
import type { Value } from '../host.ts';
import type { Site } from '../sites.ts';

export interface Patches {
  readonly kernel: readonly number[];
  readonly strides: readonly number[];
  readonly dilations: readonly number[];
  /** Begins of all axes, then ends, as in ONNX. */
  readonly pads: readonly number[];
}

/** Why the inputs of a convolution are no matrix; undefined where they are. */
export function unlike(site: Site): string | undefined {
  const { groups, auto_pad: pad } = site.facts;
  if (site.form !== 'Conv') return `a ${site.form} has no matrix of inputs`;
  if (groups !== 1) return `its ${groups} groups have inputs of their own`;
  return pad === 'NOTSET' || pad === 'VALID' ? undefined : `auto_pad ${pad} is not read here`;
}

export const patches = ({ facts }: Site): Patches => ({
  kernel: facts['kernel'] as readonly number[],
  strides: facts['strides'] as readonly number[],
  dilations: facts['dilations'] as readonly number[],
  pads: facts['auto_pad'] === 'VALID' ? (facts['pads'] as readonly number[]).map(() => 0) : (facts['pads'] as readonly number[]),
});

/** x [batch, channels, space…] → [batch · places, channels · taps], padding as zeros. */
export function unfolded(value: Value, { kernel, strides, dilations, pads }: Patches): { x: Float32Array; channels: number } {
  const from = new Float32Array(value.bytes.buffer, value.bytes.byteOffset, value.bytes.byteLength / 4);
  const [batch = 1, channels = 1, ...space] = value.shape;
  const rank = space.length;
  const taps = product(kernel);
  const out = space.map(
    (size, a) => Math.floor((size + pads[a]! + pads[rank + a]! - (dilations[a]! * (kernel[a]! - 1) + 1)) / strides[a]!) + 1,
  );
  const [places, area, n] = [product(out), product(space), channels * taps];
  /** Where each tap reads in a channel at each place; −1 in the padding. */
  const reads = new Int32Array(places * taps);
  for (let p = 0; p < places; p++)
    for (let t = 0; t < taps; t++) {
      let [at, place, tap, stride] = [0, p, t, 1];
      for (let a = rank - 1; a >= 0; a--) {
        const i = (place % out[a]!) * strides[a]! + (tap % kernel[a]!) * dilations[a]! - pads[a]!;
        if (i < 0 || i >= space[a]!) at = Number.NEGATIVE_INFINITY;
        at += i * stride;
        stride *= space[a]!;
        place = Math.floor(place / out[a]!);
        tap = Math.floor(tap / kernel[a]!);
      }
      reads[p * taps + t] = at < 0 ? -1 : at;
    }
  const x = new Float32Array(batch * places * n);
  for (let b = 0, to = 0; b < batch; b++)
    for (let p = 0; p < places; p++)
      for (let c = 0; c < channels; c++) {
        const base = (b * channels + c) * area;
        for (let t = 0; t < taps; t++, to++) {
          const at = reads[p * taps + t]!;
          if (at >= 0) x[to] = from[base + at]!;
        }
      }
  return { x, channels: n };
}

const product = (xs: readonly number[]): number => xs.reduce((a, b) => a * b, 1);
