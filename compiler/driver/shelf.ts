/** Arrays that wait for their turn: in memory up to a limit, beyond it in files of a folder that goes with the run. */
import type { Host } from '../host.ts';

type Floats = Float32Array | Float64Array;

/** An array that was put away. `take` gives it back, once. */
export interface Held<A extends Floats> {
  readonly length: number;
  take(): Promise<A>;
}

/** Bytes that wait in memory; the arrays at work come on top. */
const LIMIT = 1 << 30;

export class Shelf {
  readonly #host: Pick<Host, 'create' | 'open'>;
  readonly #dir: () => Promise<string>;
  readonly #limit: number;
  /** Names of files whose array was taken: they are written again. */
  readonly #free: string[] = [];
  #files = 0;
  #bytes = 0;

  constructor(host: Pick<Host, 'create' | 'open'>, dir: () => Promise<string>, limit = LIMIT) {
    this.#host = host;
    this.#dir = dir;
    this.#limit = limit;
  }

  /** Bytes that wait in memory. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Files that were made: as many as ever waited there at the same time. */
  get files(): number {
    return this.#files;
  }

  async put<A extends Floats>(array: A): Promise<Held<A>> {
    const { length, byteLength } = array;
    if (this.#bytes + byteLength > this.#limit) return this.#written(array);
    this.#bytes += byteLength;
    return {
      length,
      take: async () => {
        this.#bytes -= byteLength;
        return array;
      },
    };
  }

  async #written<A extends Floats>(array: A): Promise<Held<A>> {
    const { length, byteLength } = array;
    const make = array.constructor as new (buffer: ArrayBufferLike) => A;
    const dir = await this.#dir();
    const name = this.#free.pop() ?? `${this.#files++}.spilled`;
    const file = await this.#host.create(`${dir}/${name}`, true);
    await file.write(new Uint8Array(array.buffer, array.byteOffset, byteLength));
    await file.commit();
    return {
      length,
      take: async () => {
        const source = await this.#host.open(dir, name);
        const bytes = await source.read(0, byteLength);
        await source.close();
        this.#free.push(name);
        return new make(bytes.buffer);
      },
    };
  }
}
