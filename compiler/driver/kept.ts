/**
 * What was solved, on disk as soon as it is known: one file for each layer in a folder beside the output, so that a compile that was killed goes on
 * from there. A file is the length of its header, the header (JSON), and the tensors; it appears whole or not at all.
 */
import { fail } from '../../grammar/diagnostics.ts';
import type { Tensor } from '../graph/types.ts';
import type { Host, Workspace } from '../host.ts';

/** Bytes of tensors that stay in memory; larger ones are read back where they are needed. */
const MEMORY = 64 << 20;
const KEY = 'qc-solving.json';
const suffix = '.layer';

export const workspacePath = (output: string): string => `${output}.solving`;

type Tensors = Readonly<Record<string, Tensor | undefined>>;
/** A layer: its tensors and what was noted of it. */
export interface Entry {
  readonly tensors: Tensors;
  readonly note: string;
}
interface Header {
  readonly site: string;
  readonly note: string;
  readonly parts: readonly {
    readonly name: string;
    readonly dtype: Tensor['dtype'];
    readonly shape: readonly number[];
    readonly len: number;
  }[];
}

export class Kept {
  readonly #host: Host;
  readonly #at: Workspace;
  readonly #done = new Map<string, Entry>();
  #held = 0;
  #files = 0;

  private constructor(host: Host, at: Workspace) {
    this.#host = host;
    this.#at = at;
  }

  /**
   * Opens the folder of an output: empty, or with `resume` as an earlier compile of the same `key` left it.
   * Errors: `resume-nothing`, `resume-differs`, `workspace-foreign` (a folder of that name that qc did not make).
   */
  static async open(host: Host, output: string, key: string, resume: boolean): Promise<Kept> {
    const path = workspacePath(output);
    const at = await host.workspace(path, KEY, resume);
    const kept = new Kept(host, at);
    if (!resume) {
      const file = await host.create(`${at.dir}/${KEY}`, true);
      await file.write(new TextEncoder().encode(key));
      await file.commit();
      at.claim();
      return kept;
    }
    const file = await host.open(at.dir, KEY);
    const before = new TextDecoder().decode(await file.read(0, Math.min(file.size, 4096)));
    await file.close();
    if (before !== key)
      fail(
        'resume-differs',
        `${path} is of a compile with another model, recipe, data or version of qc`,
        'compile as before to go on with it, or leave out --resume to start again',
      );
    at.claim();
    for (const name of await host.list(at.dir)) if (name.endsWith(suffix)) await kept.#read(name);
    return kept;
  }

  /** The folder, for what else shall go with it. */
  get dir(): string {
    return this.#at.dir;
  }

  get(site: string): Entry | undefined {
    return this.#done.get(site);
  }

  /** Stores a layer; gives its tensors, backed by the file where memory is used up. */
  async keep<T extends Tensors>(site: string, tensors: T, note: string): Promise<T> {
    const given = Object.entries(tensors).flatMap(([name, t]) => (t?.source.kind === 'bytes' ? [{ name, t, bytes: t.source.bytes }] : []));
    const parts = given.map(({ name, t, bytes }) => ({ name, dtype: t.dtype, shape: t.shape, len: bytes.length }));
    const header = new TextEncoder().encode(JSON.stringify({ site, note, parts } satisfies Header));
    const name = `${this.#files++}${suffix}`;
    const file = await this.#host.create(`${this.#at.dir}/${name}`, true);
    const size = given.reduce((n, { bytes }) => n + bytes.length, 0);
    const pieces = [new Uint8Array(Uint32Array.of(header.length).buffer), header, ...given.map((g) => g.bytes)];
    // one write where that costs no memory to speak of
    for (const piece of size < MEMORY / 8 ? [joined(pieces)] : pieces) await file.write(piece);
    await file.commit();
    if (this.#held + size <= MEMORY) {
      this.#held += size;
      return tensors;
    }
    return this.#placed(name, 4 + header.length, parts) as T;
  }

  /** Ends the folder: the output is written. */
  remove(): Promise<void> {
    return this.#at.remove();
  }

  async #read(name: string): Promise<void> {
    const file = await this.#host.open(this.#at.dir, name);
    try {
      const [length = 0] = new Uint32Array((await file.read(0, 4)).buffer);
      const header = JSON.parse(new TextDecoder().decode(await file.read(4, length))) as Header;
      const tensors = this.#placed(name, 4 + length, header.parts);
      this.#done.set(header.site, { tensors, note: header.note });
      this.#files = Math.max(this.#files, Number.parseInt(name, 10) + 1);
    } finally {
      await file.close();
    }
  }

  #placed(name: string, from: number, parts: Header['parts']): Tensors {
    let at = from;
    const tensors: Record<string, Tensor> = {};
    for (const p of parts) {
      tensors[p.name] = { dtype: p.dtype, shape: p.shape, source: { kind: 'file', file: name, dir: this.#at.dir, at, len: p.len } };
      at += p.len;
    }
    return tensors;
  }
}

function joined(pieces: readonly Uint8Array[]): Uint8Array {
  const all = new Uint8Array(pieces.reduce((n, p) => n + p.length, 0));
  let at = 0;
  for (const p of pieces) {
    all.set(p, at);
    at += p.length;
  }
  return all;
}
