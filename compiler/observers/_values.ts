import type { Value } from '../host.ts';

/** The batch's numbers: capture hands every batch to observers as float32, row-major, 4-byte aligned. */
export const float32 = (batch: Value): Float32Array =>
  new Float32Array(batch.bytes.buffer, batch.bytes.byteOffset, batch.bytes.byteLength / 4);

/** The batch as a matrix [rows, channels] with the channels of `axis` (negative: from the end) last. */
export function byChannel(batch: Value, axis: number): { x: Float32Array; rows: number; channels: number } {
  const x = float32(batch);
  const { shape } = batch;
  const at = axis < 0 ? shape.length + axis : axis;
  const channels = shape[at] ?? 1;
  const rows = channels === 0 ? 0 : x.length / channels;
  const inner = shape.slice(at + 1).reduce((a, b) => a * b, 1);
  if (inner === 1) return { x, rows, channels };
  const moved = new Float32Array(x.length);
  for (let outer = 0, from = 0; from < x.length; outer++)
    for (let c = 0; c < channels; c++) for (let i = 0; i < inner; i++) moved[(outer * inner + i) * channels + c] = x[from++]!;
  return { x: moved, rows, channels };
}
