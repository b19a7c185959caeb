/**
 * The backend `qc` of onnxruntime-node: sessions with our operators registered, on the ONNX Runtime that it ships. Models without operators of
 * `qc.v1`, and options that we do not serve, go to the stock backend.
 */
import type { Tensor as OrtTensor, InferenceSession as Session } from 'onnxruntime-node';

type Ort = typeof import('onnxruntime-node');

interface Fetched {
  readonly element: number;
  readonly dims: number[];
  readonly data: Uint8Array;
}
/** element 0: not a tensor of a type that passes. */
interface Described {
  readonly element: number;
  readonly dims: readonly number[];
  readonly symbols: readonly string[];
}
interface NativeSession {
  inputs(): string[];
  outputs(): string[];
  inputTypes(): Described[];
  outputTypes(): Described[];
  run(feeds: { name: string; element: number; dims: number[]; data: Uint8Array }[], fetch: string[]): Promise<Fetched[]>;
  close(): void;
}
/** What runtime/native/node exports for sessions. */
export interface SessionAddon {
  openSession(runtime: string, model: string | Uint8Array, threads: number, config: string[]): Promise<NativeSession>;
}

/** ONNX's number of each element type that passes. */
const elements: Readonly<Record<string, number>> = {
  float32: 1,
  uint8: 2,
  int8: 3,
  uint16: 4,
  int16: 5,
  int32: 6,
  int64: 7,
  bool: 9,
  float16: 10,
  float64: 11,
  uint32: 12,
  uint64: 13,
};
const types = new Map(Object.entries(elements).map(([name, number]) => [number, name]));

const DOMAIN = 'qc.v1';
/** Options that our sessions understand; with any other the stock backend serves. */
const served = new Set(['executionProviders', 'intraOpNumThreads', 'logSeverityLevel', 'logVerbosityLevel', 'extra']);

/** Does a model's file import our domain? Read piece by piece: the name may lie anywhere. */
async function usesDomain(model: string | Uint8Array): Promise<boolean> {
  if (typeof model !== 'string') return Buffer.from(model.buffer, model.byteOffset, model.byteLength).includes(DOMAIN);
  const { open } = await import('node:fs/promises');
  const file = await open(model).catch(() => undefined);
  if (!file) return false;
  try {
    const piece = Buffer.alloc(4 << 20);
    for (let at = 0, kept = 0; ; ) {
      const { bytesRead } = await file.read(piece, kept, piece.length - kept, at);
      if (bytesRead === 0) return false;
      const end = kept + bytesRead;
      if (piece.subarray(0, end).includes(DOMAIN)) return true;
      at += bytesRead;
      kept = Math.min(DOMAIN.length - 1, end);
      piece.copyWithin(0, end - kept, end);
    }
  } finally {
    await file.close();
  }
}

/** Session configuration entries from `extra: { session: { key: value } }`, as onnxruntime-node names them. */
function configOf(extra: unknown): string[] {
  const session = (extra as { session?: Record<string, unknown> } | undefined)?.session ?? {};
  return Object.entries(session).flatMap(([key, value]) => [`session.${key}`, String(value)]);
}

/** The library that onnxruntime-node itself has loaded. */
async function runtimeLibrary(): Promise<string> {
  const [{ createRequire }, { dirname, join }] = await Promise.all([import('node:module'), import('node:path')]);
  const package_ = dirname(createRequire(import.meta.url).resolve('onnxruntime-node/package.json'));
  const file = { win32: 'onnxruntime.dll', darwin: 'libonnxruntime.1.dylib' }[process.platform as string] ?? 'libonnxruntime.so.1';
  return join(package_, 'bin/napi-v6', process.platform, process.arch, file);
}

function toFeed(name: string, tensor: OrtTensor) {
  const element = elements[tensor.type];
  if (element === undefined) throw new Error(`input "${name}": sessions with ${DOMAIN} take no ${tensor.type} tensors`);
  const { buffer, byteOffset, byteLength } = tensor.data as ArrayBufferView;
  return { name, element, dims: [...tensor.dims], data: new Uint8Array(buffer, byteOffset, byteLength) };
}

function toTensor(ort: Ort, f: Fetched): OrtTensor {
  const type = types.get(f.element) as 'float32';
  const empty = new ort.Tensor(type, [] as never, [0]).data;
  const make = empty.constructor as unknown as { new (b: ArrayBufferLike, at: number, n: number): Float32Array; BYTES_PER_ELEMENT: number };
  return new ort.Tensor(type, new make(f.data.buffer, f.data.byteOffset, f.data.byteLength / make.BYTES_PER_ELEMENT), f.dims);
}

/** The handler that onnxruntime-common drives. */
function handler(ort: Ort, session: NativeSession) {
  const metadata = (names: readonly string[], kinds: readonly Described[]) =>
    names.map((name, i) => {
      const { element = 0, dims = [], symbols = [] } = kinds[i] ?? {};
      const type = types.get(element);
      return type === undefined
        ? { name, isTensor: false }
        : { name, isTensor: true, type, shape: dims.map((d, axis) => (d < 0 ? (symbols[axis] ?? '') : d)) };
    });
  return {
    inputNames: session.inputs(),
    outputNames: session.outputs(),
    inputMetadata: metadata(session.inputs(), session.inputTypes()),
    outputMetadata: metadata(session.outputs(), session.outputTypes()),
    startProfiling() {},
    endProfiling() {},
    dispose: async () => session.close(),
    async run(feeds: Record<string, OrtTensor>, fetches: Record<string, OrtTensor | null>) {
      const wanted = Object.keys(fetches);
      const results = await session.run(
        Object.entries(feeds).map(([name, tensor]) => toFeed(name, tensor)),
        wanted,
      );
      return Object.fromEntries(wanted.map((name, i) => [name, toTensor(ort, results[i] as Fetched)]));
    },
  };
}

/**
 * Puts the backend `qc` before the stock one of `ort` (the object that `onnxruntime-node` exports): after this a plain
 * `InferenceSession.create(path)` runs models of target native on our kernels; `executionProviders: ['cpu']` is still stock.
 */
export function registerBackend(ort: Ort, addon: SessionAddon): void {
  const backend = {
    init: async () => {},
    async createInferenceSessionHandler(model: string | Uint8Array, options: Session.SessionOptions = {}) {
      if (!Object.keys(options).every((key) => served.has(key)) || !(await usesDomain(model))) {
        const stock = { ...options, executionProviders: ['cpu'] };
        const session = typeof model === 'string' ? ort.InferenceSession.create(model, stock) : ort.InferenceSession.create(model, stock);
        return ((await session) as unknown as { handler: ReturnType<typeof handler> }).handler;
      }
      const threads = options.intraOpNumThreads ?? 0;
      return handler(ort, await addon.openSession(await runtimeLibrary(), model, threads, configOf(options.extra)));
    },
  };
  ort.registerBackend('qc', backend as never, 200);
}
