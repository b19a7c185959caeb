/** Hashes that bind records to models, and outputs to what they were made from. */

import type { Batch, Source } from '../calibrate/index.ts';
import type { Reader } from '../graph/bytes.ts';
import type { Graph, Model } from '../graph/types.ts';
import { encodeModel } from '../graph/write.ts';

const hex = (bytes: Uint8Array): string => [...bytes].map((b) => b.toString(16).padStart(2, '0')).join('');

/** SHA-256 in hexadecimal. */
export const sha256 = async (bytes: Uint8Array): Promise<string> =>
  hex(new Uint8Array(await crypto.subtle.digest('SHA-256', Uint8Array.from(bytes))));

/** Stands for an identity that is not known yet, and is as long. */
export const UNKNOWN = '0'.repeat(64);

/**
 * The identity of a model: BLAKE3, in hexadecimal, over its graph, where the BLAKE3 of its bytes stands for each weight. It is the same wherever
 * the weights lie, and any other byte in them is another identity. Weights in files cost reading them, once, and no memory.
 */
export async function fingerprint(model: Model, reader: Reader): Promise<string> {
  const { crunch } = reader;
  const graph = await encodeModel(model, reader, async (t) =>
    crunch.hash((t.source.kind === 'file' && reader.mapped(t.source)) || (await reader.bytes(t))),
  );
  return hex(await crunch.hash(graph));
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
