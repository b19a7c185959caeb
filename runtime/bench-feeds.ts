/** Inputs for measuring: sizes by name, values that do not matter. */
import type { InferenceSession, Tensor } from 'onnxruntime-node';
import { bytesOf, type Ort, tensorOver } from './tensors.ts';

export type Sizes = Readonly<Record<string, number>>;

/** The named sizes of a model's inputs, in order. */
export const namedSizes = (inputs: readonly InferenceSession.ValueMetadata[]): string[] =>
  [
    ...new Set(
      inputs.flatMap((m) =>
        m.isTensor
          ? m.shape.filter((d): d is string => typeof d === 'string' && d !== '').flatMap((d) => d.split('+').map((p) => p.trim()))
          : [],
      ),
    ),
  ].filter((name) => !/^\d+$/.test(name));

/** A size that nobody gave: one of a batch, no past, 128 of what else runs along the first axes, 224 of an image. */
function usual(name: string, axis: number): number {
  if (/past/i.test(name)) return 0;
  if (/height|width|^[hw]$/i.test(name)) return 224;
  return axis === 0 || /batch/i.test(name) ? 1 : 128;
}

/** The size of an axis. Sums are the sums of their parts; a total is past and new together. */
function sizeOf(dim: number | string, axis: number, given: Sizes): number {
  if (typeof dim === 'number') return dim;
  if (given[dim] !== undefined) return given[dim];
  const parts = dim.split('+').map((p) => p.trim());
  if (parts.length > 1) return parts.reduce((n, p) => n + (/^\d+$/.test(p) ? Number(p) : sizeOf(p, axis, given)), 0);
  return usual(dim, axis);
}

/** The shape of every input. */
export function shapesOf(inputs: readonly InferenceSession.ValueMetadata[], given: Sizes): Map<string, number[]> {
  const shapes = new Map<string, number[]>();
  for (const m of inputs)
    if (m.isTensor)
      shapes.set(
        m.name,
        m.shape.map((d, axis) => sizeOf(d, axis, given)),
      );
  // The mask of a model with a cache covers the past too.
  const past = [...shapes].find(([name]) => name.startsWith('past'))?.[1][2];
  const tokens = shapes.get('input_ids');
  const mask = shapes.get('attention_mask');
  if (
    past !== undefined &&
    tokens?.length === 2 &&
    mask?.length === 2 &&
    shapes.get([...shapes.keys()].find((n) => n.startsWith('past'))!)!.length === 4
  )
    mask[1] = past + tokens[1]!;
  return shapes;
}

const writers: Readonly<Record<string, (bytes: Uint8Array, i: number, v: number) => void>> = {
  int64: (b, i, v) => new DataView(b.buffer).setBigInt64(8 * i, BigInt(v), true),
  uint64: (b, i, v) => new DataView(b.buffer).setBigUint64(8 * i, BigInt(v), true),
  int32: (b, i, v) => new DataView(b.buffer).setInt32(4 * i, v, true),
  uint32: (b, i, v) => new DataView(b.buffer).setUint32(4 * i, v, true),
  float32: (b, i, v) => new DataView(b.buffer).setFloat32(4 * i, v, true),
  float64: (b, i, v) => new DataView(b.buffer).setFloat64(8 * i, v, true),
};

/** One input: masks of ones, positions, small token ids, noise; `at`: where positions begin. */
export function made(ort: Ort, m: InferenceSession.ValueMetadata, dims: readonly number[], at = 0): Tensor {
  if (!m.isTensor) throw new Error(`input "${m.name}" is not a tensor`);
  const bytes = new Uint8Array(bytesOf(m.type, dims));
  const write = writers[m.type];
  const count = dims.reduce((a, b) => a * b, 1);
  const width = dims.at(-1) ?? 1;
  let seed = 12345;
  if (write && !m.name.startsWith('past'))
    for (let i = 0; i < count; i++) {
      seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
      if (m.type.startsWith('float')) write(bytes, i, seed / 2 ** 31 - 1);
      else
        write(
          bytes,
          i,
          /mask/.test(m.name) ? 1 : /position/.test(m.name) ? at + (i % width) : /type_ids/.test(m.name) ? 0 : 1 + ((seed >>> 8) % 7),
        );
    }
  else if (m.type === 'bool') bytes.fill(1);
  return tensorOver(ort, m.type, bytes, dims);
}
