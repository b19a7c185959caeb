/** The bytes of tensors, wherever they are: the evaluator of lazy tensors. */
import type { Crunch } from '../crunch.ts';
import type { EvalContext, Host, ReadFile } from '../host.ts';
import { byteLength } from './dtype.ts';
import type { FileRange, LazyTensor, Tensor } from './types.ts';

/** Pieces in which file ranges are copied. */
const CHUNK = 1 << 22;

interface Evaluation {
  readonly key: string;
  readonly parts: Promise<Record<string, Uint8Array>>;
}

/** Reads tensors of one model. Keeps its files open, and the parts of the lazy tensor that was evaluated last. */
export interface Reader extends EvalContext {
  /** The bytes in pieces; a file range is never in memory as a whole. */
  chunks(t: Tensor): AsyncGenerator<Uint8Array>;
  /** Starts the evaluation of a lazy tensor that will be asked for next, so that it runs while the last one is written. */
  prefetch(t: Tensor): void;
  close(): Promise<void>;
}

/** `dir` is the folder that the model's file ranges refer to. `host.crunch` may be missing where nothing is lazy. */
export function openTensors(host: Pick<Host, 'open'> & { readonly crunch?: Crunch }, dir: string): Reader {
  const files = new Map<string, Promise<ReadFile>>();
  const fileOf = (r: FileRange): Promise<ReadFile> => {
    const key = `${r.dir ?? dir}\0${r.file}`;
    let file = files.get(key);
    if (file === undefined) {
      file = host.open(r.dir ?? dir, r.file);
      files.set(key, file);
    }
    return file;
  };
  let last: Evaluation | undefined;
  const ahead = new Map<string, Evaluation>();

  const reader: Reader = {
    get crunch() {
      if (host.crunch === undefined) throw new Error('this reader was opened without crunch');
      return host.crunch;
    },
    mapped(r) {
      return host.crunch?.kind === 'native' ? { path: `${r.dir ?? dir}/${r.file}`, at: r.at, len: r.len } : undefined;
    },
    async bytes(t) {
      const s = t.source;
      switch (s.kind) {
        case 'bytes':
          return s.bytes;
        case 'file':
          return (await fileOf(s)).read(s.at, s.len);
        case 'strings':
          throw new Error('a tensor of strings has no bytes');
        case 'lazy':
          return part(t, s.lazy, await parts(s.lazy));
      }
    },
    async *chunks(t) {
      if (t.source.kind !== 'file') {
        yield await reader.bytes(t);
        return;
      }
      const { at, len } = t.source;
      const file = await fileOf(t.source);
      for (let done = 0; done < len; done += CHUNK) yield await file.read(at + done, Math.min(CHUNK, len - done));
    },
    prefetch(t) {
      if (t.source.kind !== 'lazy' || last?.key === t.source.lazy.key || ahead.has(t.source.lazy.key)) return;
      ahead.set(t.source.lazy.key, evaluation(t.source.lazy));
    },
    async close() {
      await Promise.allSettled([...ahead.values()].map((e) => e.parts));
      last = undefined;
      ahead.clear();
      const open = await Promise.allSettled(files.values());
      files.clear();
      for (const f of open) if (f.status === 'fulfilled') await f.value.close();
    },
  };

  function evaluation(lazy: LazyTensor): Evaluation {
    const parts = lazy.evaluate(nested);
    // whoever asks for the parts sees the error; one that nobody asks for is none
    parts.catch(() => undefined);
    return { key: lazy.key, parts };
  }
  function parts(lazy: LazyTensor): Promise<Record<string, Uint8Array>> {
    if (last?.key === lazy.key) return last.parts;
    // drop the old parts before new ones are made, so that few layers are in memory
    last = undefined;
    last = ahead.get(lazy.key) ?? evaluation(lazy);
    ahead.delete(lazy.key);
    return last.parts;
  }
  /** Lazy tensors over lazy tensors: inner results are not kept, so the outer key stays. */
  const nested: EvalContext = {
    get crunch() {
      return reader.crunch;
    },
    mapped: (r) => reader.mapped(r),
    async bytes(t) {
      if (t.source.kind !== 'lazy') return reader.bytes(t);
      return part(t, t.source.lazy, await t.source.lazy.evaluate(nested));
    },
  };
  return reader;
}

function part(t: Tensor, lazy: LazyTensor, parts: Record<string, Uint8Array>): Uint8Array {
  const bytes = parts[lazy.part];
  if (bytes === undefined) throw new Error(`${lazy.key} yields no part "${lazy.part}"`);
  const expected = byteLength(t.dtype, t.shape);
  if (bytes.length !== expected) {
    throw new Error(`${lazy.key}.${lazy.part} (${t.dtype} [${t.shape.join(', ')}]) is ${bytes.length} bytes instead of ${expected}`);
  }
  return bytes;
}

/** Bytes that a tensor takes in a file. */
export const sizeOf = (t: Tensor): number =>
  t.source.kind === 'strings' ? t.source.strings.reduce((n, s) => n + s.length, 0) : byteLength(t.dtype, t.shape);
