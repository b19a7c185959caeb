/** Hashes that bind records to models, and outputs to what they were made from. */

import type { Batch, Source } from '../calibrate/index.ts';
import type { Reader } from '../graph/bytes.ts';
import { sizeOf } from '../graph/bytes.ts';
import type { FileRange, Graph, Model, Tensor } from '../graph/types.ts';
import { encodeModel } from '../graph/write.ts';

/** SHA-256 in hexadecimal. */
export async function sha256(bytes: Uint8Array): Promise<string> {
  const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', Uint8Array.from(bytes)));
  return [...digest].map((b) => b.toString(16).padStart(2, '0')).join('');
}

/** Large tensors are read in so many places, of so many bytes. */
const PLACES = 32;
const PIECE = 256;
const WHOLE = PLACES * PIECE;

/**
 * The identity of a model: SHA-256 over its graph and, of each weight, type, shape and all bytes up to 8 KiB or 32 evenly spread pieces of 256 bytes.
 * Training changes weights everywhere, so a fine-tuned model has another fingerprint; reading all of a 4 GiB model would cost more than compiling it.
 */
export async function fingerprint(model: Model, reader: Reader, read: (r: FileRange) => Promise<Uint8Array>): Promise<string> {
  const sampled = async (t: Tensor): Promise<Uint8Array> => {
    const size = sizeOf(t);
    if (size <= WHOLE || t.source.kind !== 'file') return reader.bytes(t);
    const out = new Uint8Array(WHOLE);
    for (let i = 0; i < PLACES; i++) {
      const at = Math.floor(((size - PIECE) * i) / (PLACES - 1));
      out.set(await read({ ...t.source, at: t.source.at + at, len: PIECE }), i * PIECE);
    }
    return out;
  };
  return sha256(await encodeModel(model, reader, sampled));
}

/** A source that hashes what it gives: the hash of the batches of its last whole reading, in order. */
export function hashed(source: Source): Source & { hash(): Promise<string | undefined> } {
  let last: string[] | undefined;
  const text = new TextEncoder();
  async function* read(graph: Graph): AsyncGenerator<Batch> {
    const seen: string[] = [];
    for await (const batch of source.read(graph)) {
      for (const [name, v] of Object.entries(batch.feeds)) seen.push(`${name} ${v.dtype} ${v.shape.join('x')} ${await sha256(v.bytes)}`);
      yield batch;
    }
    last = seen;
  }
  return { ...source, read, hash: async () => (last ? sha256(text.encode(last.join('\n'))) : undefined) };
}
