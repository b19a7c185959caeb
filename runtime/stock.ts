/**
 * Sessions of stock ONNX Runtime that run off the main thread, several at once: the addon opens them on the library that onnxruntime-node ships,
 * without operators of ours, so they compute the same bits; with them where that is asked for.
 */
import { findAddon, runtimeLibrary } from './addon.ts';
import { packageFolder } from './crunch.ts';
import type { SessionSettings } from './handler.ts';
import { type Described, shapeOf, sizesOf } from './shapes.ts';
import { bytesOf, elementOf, typeOf } from './tensors.ts';

/** A tensor's ONNX type name, shape and little-endian bytes. */
export interface Plain {
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly bytes: Uint8Array;
}

export interface StockSession {
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  run(feeds: Readonly<Record<string, Plain>>, fetch: readonly string[]): Promise<Record<string, Plain>>;
  /** Nobody reads these bytes any more: if a run of such a session made them, a later one writes there. */
  recycle(bytes: Uint8Array): void;
  close(): void;
}

export interface StockOptions {
  /** Threads inside an operator; 0: ONNX Runtime's own choice. */
  readonly threads: number;
  readonly optimize: boolean;
  /** Operators of qc.v1 run on our kernels, else through their bodies. */
  readonly kernels: boolean;
  /** Session configuration entries, without `session.` before their names. */
  readonly config: Readonly<Record<string, string>>;
}

/** Undefined: an input or output is of a type that does not pass. */
export type OpenStock = (model: Uint8Array, options: StockOptions) => Promise<StockSession | undefined>;

/** Opens such sessions; undefined where the addon is not there. */
export async function stockSessions(): Promise<OpenStock | undefined> {
  const found = await findAddon(await packageFolder());
  if (typeof found === 'string') return undefined;
  const library = await runtimeLibrary();
  // The library loads while others work; that nothing is no model is told to nobody.
  found.addon
    .openSession(library, new Uint8Array(0), settingsOf({ threads: 1, optimize: false, kernels: false, config: {} }))
    .catch(() => {});
  return async (model, options) => {
    const session = await found.addon.openSession(library, model, settingsOf(options));
    const [inputs, outputs] = [session.inputs(), session.outputs()];
    const kinds = { in: session.inputTypes(), out: session.outputTypes() };
    if ([...kinds.in, ...kinds.out].some((k) => k.element === 0)) {
      session.close();
      return undefined;
    }
    /** Shapes of outputs by the shapes of inputs, as runs found them. */
    const known = new Map<string, ReadonlyMap<string, readonly number[]>>();

    return {
      inputs,
      outputs,
      async run(given, wanted) {
        const feeds = Object.entries(given).map(([name, { dtype, shape, bytes }]) => ({
          name,
          element: elementOf(dtype),
          dims: [...shape],
          data: bytes,
        }));
        const signature = feeds.map((f) => `${f.name}:${f.dims.join('x')}`).join(' ');
        const sizes = sizesOf(feeds.flatMap((f): [Described, number[]][] => [[kinds.in[inputs.indexOf(f.name)]!, f.dims]]));
        const shapes = known.get(signature);
        const place = (name: string, guess: boolean) => {
          const kind = kinds.out[outputs.indexOf(name)];
          const type = kind && typeOf(kind.element);
          const dims = kind && type && guess ? (shapes?.get(name) ?? shapeOf(kind, sizes)) : undefined;
          if (!dims) return { name, element: 0, dims: [] };
          return { name, element: kind!.element, dims: [...dims], data: memory(bytesOf(type!, dims)) };
        };
        const attempt = async (guess: boolean): Promise<Record<string, Plain>> => {
          const fetch = wanted.map((name) => place(name, guess));
          const results = await session.run(feeds, fetch);
          const found = fetch.map((f, i): [string, Plain] => {
            const { held, element, dims } = results[i]!;
            if ('data' in f) return [f.name, { dtype: typeOf(f.element)!, shape: f.dims, bytes: f.data }];
            const dtype = typeOf(element);
            if (dtype === undefined) throw new Error(`output "${f.name}" is of a type that cannot be passed`);
            const bytes = memory(bytesOf(dtype, dims));
            session.copy(held, bytes);
            session.release(held);
            return [f.name, { dtype, shape: dims, bytes }];
          });
          known.set(signature, new Map(found.map(([name, v]) => [name, v.shape])));
          return Object.fromEntries(found);
        };
        try {
          return await attempt(true);
        } catch (error) {
          if (!/pre-allocated output|shape verification failed/i.test((error as Error).message)) throw error;
          return attempt(false);
        }
      },
      recycle,
      close: () => session.close(),
    };
  };
}

const settingsOf = ({ threads, optimize, kernels, config }: StockOptions): SessionSettings => ({
  threads,
  config: Object.entries({ ...config, use_env_allocators: '1' }).flatMap(([key, value]) => [`session.${key}`, value]),
  optimize: optimize ? 99 : 0,
  arena: true,
  pattern: false,
  kernels,
  flush: true,
  dimensions: [],
});

/** Arrays that were given back, by their length: new ones cost page faults, and V8 collects garbage for every 64 MB of them. */
const spare = new Map<number, Uint8Array[]>();
const ours = new WeakSet<Uint8Array>();
let spared = 0;
/** Bytes that may lie idle. */
const MOST = 128 << 20;

/** Bytes that are written before they are read. */
function memory(length: number): Uint8Array {
  const old = spare.get(length)?.pop();
  if (old) {
    spared -= length;
    return old;
  }
  const { buffer, byteOffset } = Buffer.allocUnsafeSlow(length);
  const fresh = new Uint8Array(buffer, byteOffset, length);
  ours.add(fresh);
  return fresh;
}

function recycle(bytes: Uint8Array): void {
  const { length } = bytes;
  if (!ours.has(bytes) || spared + length > MOST) return;
  spared += length;
  const list = spare.get(length) ?? [];
  list.push(bytes);
  spare.set(length, list);
}
