/** Writes ONNX models: the graph in one protobuf, large weights streamed into a file beside it, both appearing at once. */
import { fail } from '../../grammar/diagnostics.ts';
import type { Crunch } from '../crunch.ts';
import type { Host, WriteFile } from '../host.ts';
import { openTensors, type Reader, sizeOf } from './bytes.ts';
import { encodeWith, type Placed } from './encode.ts';
import type { FileRange, Graph, Model, Tensor } from './types.ts';
import { allGraphs, allNodes } from './walk.ts';
import { LAZY_BYTES } from './wire.ts';

export interface WriteOptions {
  /** The folder that the model's file ranges refer to (`Loaded.dir`). */
  readonly dir: string;
  /** Weights beside the model file instead of inside it. Undefined: where they are larger than INLINE_LIMIT in all. */
  readonly external?: boolean;
  /** Replaces existing files. */
  readonly force?: boolean;
  /** Asked when all weights are written: the same graph, with its final metadata. */
  readonly finish?: () => Promise<Model>;
  /** Bytes of weights written so far, of how many. */
  readonly progress?: (done: number, total: number) => void;
}

/** What was written. */
export interface Written {
  readonly files: readonly { readonly path: string; readonly bytes: number }[];
  readonly bytes: number;
}

/** Weights above this in all go beside the model: inline ones are in memory twice while ONNX Runtime loads. */
export const INLINE_LIMIT = 64 << 20;
/** What protobuf can hold in one message. */
const PROTOBUF_LIMIT = 2 ** 31 - 1;

/** Offsets of external data: a cache line, and a page for what is large enough to be mapped on its own. */
export const alignment = (bytes: number): number => (bytes >= 1 << 20 ? 4096 : 64);

/**
 * Writes `path` and, with external data, `path.data`. Lazy tensors are evaluated in graph order. On an error neither file is there.
 * @throws QcError `too-large` where the protobuf alone would pass 2 GB; what Host.create refuses (`exists`, read-only …)
 */
export async function writeModel(
  host: Pick<Host, 'open' | 'create'> & { readonly crunch?: Crunch },
  model: Model,
  path: string,
  options: WriteOptions,
): Promise<Written> {
  const weights = [...allGraphs(model.graph)].flatMap((g) => [...g.initializers.values()]).filter(hasBytes);
  const total = weights.reduce((n, t) => n + sizeOf(t), 0);
  const external = options.external ?? total > INLINE_LIMIT;
  const outside = new Set(external || total > PROTOBUF_LIMIT / 2 ? weights.filter((t) => sizeOf(t) > LAZY_BYTES) : []);
  const reader = openTensors(host, options.dir);
  const open: WriteFile[] = [];
  try {
    const file = await host.create(path, options.force ?? false);
    open.push(file);
    const data = outside.size > 0 ? await host.create(`${path}.data`, options.force ?? false) : undefined;
    if (data !== undefined) open.push(data);
    const places = await place(model, reader, outside, data, total, options.progress);
    const bytes = encodeWith((await options.finish?.()) ?? model, (t) => places.get(t)!);
    if (bytes.length > PROTOBUF_LIMIT) {
      fail(
        'too-large',
        `"${path}" would be ${bytes.length} bytes without its external data; ONNX files end at 2 GB`,
        'tensors in attributes cannot be external: make them initializers',
      );
    }
    await file.write(bytes);
    const files = open.map((f) => ({ path: f.path, bytes: f.at }));
    // the data first: a model without its data must never be there
    for (const f of [...open].reverse()) await f.commit();
    return { files, bytes: files.reduce((n, f) => n + f.bytes, 0) };
  } catch (e) {
    for (const f of open) await f.abort();
    throw e;
  } finally {
    await reader.close();
  }
}

const hasBytes = (t: Tensor): boolean => t.source.kind !== 'strings';

/** Every tensor of a model that has bytes, in file order. */
function* tensors(model: Model): Generator<Tensor> {
  for (const g of allGraphs(model.graph)) yield* g.initializers.values();
  const functions: Graph[] = model.functions.map((f) => ({
    name: f.name,
    nodes: f.nodes,
    inputs: [],
    outputs: [],
    initializers: new Map(),
    values: new Map(),
  }));
  for (const f of functions) for (const g of allGraphs(f)) yield* g.initializers.values();
  for (const g of [model.graph, ...functions]) {
    for (const { node } of allNodes(g)) for (const a of node.attrs.values()) if (a.type === 'tensor') yield a.value;
  }
  for (const f of model.functions) for (const a of f.defaults.values()) if (a.type === 'tensor') yield a.value;
}

async function place(
  model: Model,
  reader: Reader,
  outside: ReadonlySet<Tensor>,
  data: WriteFile | undefined,
  total: number,
  progress: WriteOptions['progress'],
): Promise<Map<Tensor, Placed>> {
  const places = new Map<Tensor, Placed>();
  const order = [...new Set(tensors(model))].filter(hasBytes);
  let done = 0;
  for (const [i, t] of order.entries()) {
    prefetchAfter(order, i, reader);
    const bytes = t.source.kind === 'lazy' ? await reader.bytes(t) : undefined;
    if (data !== undefined && outside.has(t)) places.set(t, await append(data, t, reader));
    else places.set(t, bytes ?? (await reader.bytes(t)));
    done += sizeOf(t);
    progress?.(Math.min(done, total), total);
  }
  return places;
}

/** Evaluations that run beside the one that is written, so that all cores have work while one waits for a disc. */
const AHEAD = 3;

/** Starts this evaluation and the next ones. */
function prefetchAfter(order: readonly Tensor[], i: number, reader: Reader): void {
  const keys = new Set<string>();
  for (const t of order.slice(i, i + 8 * AHEAD)) {
    if (t.source.kind !== 'lazy') continue;
    keys.add(t.source.lazy.key);
    if (keys.size > AHEAD) return;
    reader.prefetch(t);
  }
}

async function append(data: WriteFile, t: Tensor, reader: Reader): Promise<Placed> {
  const length = sizeOf(t);
  const gap = -data.at & (alignment(length) - 1);
  if (gap > 0) await data.write(new Uint8Array(gap));
  const offset = data.at;
  for await (const chunk of reader.chunks(t)) await data.write(chunk);
  return { location: data.path.slice(Math.max(data.path.lastIndexOf('/'), data.path.lastIndexOf('\\')) + 1), offset, length };
}

/**
 * The model as one protobuf in memory, for sessions. `resolve` says for every tensor above 1 KiB whether its bytes are written into it,
 * or stay where they are (a file range becomes an external reference, also one into the source .onnx itself).
 * Without `resolve` file ranges stay in their files and lazy tensors are evaluated.
 */
export async function encodeModel(
  model: Model,
  reader: Reader,
  resolve: (t: Tensor) => Promise<Uint8Array | FileRange> = async (t) => (t.source.kind === 'file' ? t.source : reader.bytes(t)),
): Promise<Uint8Array> {
  const inAttributes = new Set<Tensor>();
  for (const g of allGraphs(model.graph)) {
    for (const n of g.nodes) for (const a of n.attrs.values()) if (a.type === 'tensor') inAttributes.add(a.value);
  }
  const places = new Map<Tensor, Placed>();
  for (const t of tensors(model)) {
    if (places.has(t) || !hasBytes(t)) continue;
    // ONNX Runtime wants tensors of attributes inside
    const r = inAttributes.has(t) || sizeOf(t) <= LAZY_BYTES ? await reader.bytes(t) : await resolve(t);
    places.set(
      t,
      r instanceof Uint8Array ? r : { location: r.dir === undefined ? r.file : `${r.dir}/${r.file}`, offset: r.at, length: r.len },
    );
  }
  return encodeWith(model, (t) => places.get(t)!);
}
