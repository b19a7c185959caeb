/** What was solved and waits to be written: in memory while it is small, else in the run's scratch folder. */
import type { Tensor } from '../graph/types.ts';
import type { Host } from '../host.ts';

/** Bytes that stay in memory. */
const MEMORY = 64 << 20;

export class Scratch {
  readonly #host: Host;
  #held = 0;
  #files = 0;

  constructor(host: Host) {
    this.#host = host;
  }

  /** The same tensors, backed by a file where memory is used up. */
  async keep<T extends Readonly<Record<string, Tensor | undefined>>>(tensors: T): Promise<T> {
    const bytes = Object.values(tensors).map((t) => (t?.source.kind === 'bytes' ? t.source.bytes : new Uint8Array(0)));
    const size = bytes.reduce((n, b) => n + b.length, 0);
    if (this.#held + size <= MEMORY) {
      this.#held += size;
      return tensors;
    }
    const dir = await this.#host.scratch();
    const name = `solved-${this.#files++}.bin`;
    const file = await this.#host.create(`${dir}/${name}`, true);
    const out: Record<string, Tensor | undefined> = {};
    for (const [key, t] of Object.entries(tensors)) {
      if (t?.source.kind !== 'bytes') continue;
      const at = file.at;
      await file.write(t.source.bytes);
      out[key] = { ...t, source: { kind: 'file', file: name, dir, at, len: t.source.bytes.length } };
    }
    await file.commit();
    return out as T;
  }
}
