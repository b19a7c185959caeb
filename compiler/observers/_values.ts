import { fail } from '../../grammar/diagnostics.ts';
import type { Value } from '../host.ts';

/** The batch's numbers: capture hands every batch to observers as float32, row-major, 4-byte aligned. */
export const float32 = (batch: Value): Float32Array =>
  new Float32Array(batch.bytes.buffer, batch.bytes.byteOffset, batch.bytes.byteLength / 4);

/**
 * The batch as a matrix [rows, channels] with the channels of `axis` (negative: from the end) last. `before`: the channels of earlier batches, 0 at first.
 * Error: observer-channels, where their number changes.
 */
export function byChannel(batch: Value, axis: number, before: number): { x: Float32Array; rows: number; channels: number } {
  const x = float32(batch);
  const { shape } = batch;
  const at = axis < 0 ? shape.length + axis : axis;
  const channels = shape[at] ?? 1;
  if (before > 0 && before !== channels)
    fail(
      'observer-channels',
      `axis ${axis} of [${shape.join(', ')}] has ${channels} channels, an earlier batch had ${before}`,
      'statistics of channels need an axis of fixed size',
    );
  const rows = channels === 0 ? 0 : x.length / channels;
  const inner = shape.slice(at + 1).reduce((a, b) => a * b, 1);
  if (inner === 1) return { x, rows, channels };
  const moved = new Float32Array(x.length);
  for (let outer = 0, from = 0; from < x.length; outer++)
    for (let c = 0; c < channels; c++) for (let i = 0; i < inner; i++) moved[(outer * inner + i) * channels + c] = x[from++]!;
  return { x: moved, rows, channels };
}

/** The smallest and largest of `x` and of what was seen before. */
export function extremes(x: Float32Array, min: number, max: number): [min: number, max: number] {
  let [lo, hi] = [min, max];
  for (let i = 0; i < x.length; i++) {
    const v = x[i]!;
    if (v < lo) lo = v;
    if (v > hi) hi = v;
  }
  return [lo, hi];
}
