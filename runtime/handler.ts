/** What onnxruntime-common drives for a session of ours: feeds in, outputs where they are wanted. */
import type { InferenceSession, Tensor } from 'onnxruntime-node';
import { type Described, shapeOf, sizesOf } from './shapes.ts';
import { bytesIn, bytesOf, elementOf, type Ort, tensorOver, typeOf } from './tensors.ts';

interface Feed {
  readonly name: string;
  readonly element: number;
  readonly dims: readonly number[];
  readonly data?: Uint8Array;
  readonly held?: number;
}
/** data: written there. grow: over the held value that it continues. Neither: held. */
interface Fetch {
  readonly name: string;
  readonly element: number;
  readonly dims: readonly number[];
  readonly data?: Uint8Array;
  readonly grow?: number;
}
export interface NativeSession {
  inputs(): string[];
  outputs(): string[];
  inputTypes(): Described[];
  outputTypes(): Described[];
  run(feeds: Feed[], fetch: Fetch[]): Promise<{ held: number; element: number; dims: number[] }[]>;
  copy(held: number, to: Uint8Array): void;
  release(held: number): void;
  metadata(key: string): string | null;
  endProfiling(): string;
  close(): void;
}
/** What the addon opens a session with. */
export interface SessionSettings {
  readonly threads: number;
  readonly config: readonly string[];
  readonly optimize: number;
  readonly arena: boolean;
  readonly pattern: boolean;
  /** Are operators of qc.v1 registered? */
  readonly kernels: boolean;
  /** Are denormal numbers zeros in its runs? */
  readonly flush: boolean;
  readonly dimensions: readonly string[];
  readonly profile?: string;
}

/** The key of the model's metadata that says which caches may grow where they lie: `{ "past": "present", … }`. */
const IN_PLACE = 'qc.in_place';

/** A value in ONNX Runtime's memory; 0: none yet. */
export interface Held {
  readonly session: NativeSession;
  readonly held: number;
  /** As a fetch: the output may be written over this value. */
  readonly grows: boolean;
}
/** Values that nothing refers to any more are freed. */
const lost = new FinalizationRegistry<Held>(({ session, held }) => session.release(held));

export interface Handler extends InferenceSession {
  /** Inputs that may grow where they lie, with the outputs that continue them. */
  readonly inPlace: Readonly<Record<string, string>>;
  /** A tensor that says where an output goes: kept by the session, over `past` where `grows`. */
  place(type: string, dims: readonly number[], grows: boolean): Tensor;
}

/** The handler of a session; `location`: where outputs go that nothing was given for. */
export function handlerOf(ort: Ort, session: NativeSession, location: (output: string) => string, profiled: boolean): Handler {
  const [inputs, outputs] = [session.inputs(), session.outputs()];
  const kinds = { in: session.inputTypes(), out: session.outputTypes() };
  // Off once a model's names of sizes turn out wrong.
  let guess = true;

  const heldTensor = (held: Held, type: string, dims: readonly number[]): Tensor => {
    const download = async () => {
      const bytes = new Uint8Array(bytesOf(type, dims));
      if (held.held) session.copy(held.held, bytes);
      return tensorOver(ort, type, bytes, dims).data as never;
    };
    const dispose = () => session.release(held.held);
    const tensor = ort.Tensor.fromMLTensor(held as never, { dataType: type as 'float32', dims: [...dims], download, dispose });
    if (held.held) lost.register(tensor, held);
    return tensor as Tensor;
  };
  const heldOf = (tensor: Tensor): Held | undefined => {
    if (tensor.location !== 'ml-tensor') return undefined;
    const held = tensor.mlTensor as unknown as Held;
    if (held.session !== session) throw new Error('the tensor belongs to another session: pass its data');
    return held;
  };
  const feed = (name: string, tensor: Tensor): Feed => {
    const held = heldOf(tensor);
    const base = { name, element: elementOf(tensor.type), dims: [...tensor.dims] };
    return held?.held
      ? { ...base, held: held.held }
      : { ...base, data: held ? new Uint8Array(bytesOf(tensor.type, tensor.dims)) : bytesIn(tensor) };
  };
  const fetch = (name: string, given: Tensor | null | undefined, sizes: ReadonlyMap<string, number>): Fetch => {
    const kind = kinds.out[outputs.indexOf(name)];
    const dims = kind && guess ? shapeOf(kind, sizes) : undefined;
    const held = given && heldOf(given);
    if (given && !held) return { name, element: elementOf(given.type), dims: [...given.dims], data: bytesIn(given) };
    if (held || location(name) === 'ml-tensor')
      return dims && kind && held?.grows ? { name, element: kind.element, dims, grow: held.held } : { name, element: 0, dims: [] };
    if (!dims || !kind) return { name, element: 0, dims: [] };
    const bytes = Buffer.allocUnsafeSlow(bytesOf(typeOf(kind.element)!, dims));
    return { name, element: kind.element, dims, data: new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length) };
  };

  const metadata = (names: readonly string[], described: readonly Described[]) =>
    names.map((name, i) => {
      const { element = 0, dims = [], symbols = [] } = described[i] ?? {};
      const type = typeOf(element);
      return type === undefined
        ? { name, isTensor: false }
        : { name, isTensor: true, type, shape: dims.map((d, axis) => (d < 0 ? (symbols[axis] ?? '') : d)) };
    });

  const handler = {
    inputNames: inputs,
    outputNames: outputs,
    inputMetadata: metadata(inputs, kinds.in),
    outputMetadata: metadata(outputs, kinds.out),
    inPlace: JSON.parse(session.metadata(IN_PLACE) ?? '{}') as Record<string, string>,
    startProfiling() {},
    endProfiling() {
      if (profiled) session.endProfiling();
    },
    dispose: async () => session.close(),
    place: (type: string, dims: readonly number[], grows: boolean) => heldTensor({ session, held: 0, grows }, type, dims),
    async run(given: Record<string, Tensor>, fetches: Record<string, Tensor | null>): Promise<Record<string, Tensor>> {
      const feeds = Object.entries(given).map(([name, tensor]) => feed(name, tensor));
      const sizes = sizesOf(
        feeds.flatMap((f) => (kinds.in[inputs.indexOf(f.name)] ? [[kinds.in[inputs.indexOf(f.name)]!, f.dims] as const] : [])),
      );
      const wanted = Object.entries(fetches).map(([name, tensor]) => fetch(name, tensor, sizes));
      let results: Awaited<ReturnType<NativeSession['run']>>;
      try {
        results = await session.run(feeds, wanted);
      } catch (error) {
        const guessed = wanted.some((w) => (w.data && !fetches[w.name]) || w.grow !== undefined);
        if (!guess || !guessed || !/pre-allocated output|shape verification failed/i.test((error as Error).message)) throw error;
        guess = false;
        return handler.run(given, fetches);
      }
      return Object.fromEntries(
        wanted.map((w, i) => {
          const { held, element, dims } = results[i]!;
          if (w.data) return [w.name, fetches[w.name] ?? tensorOver(ort, typeOf(w.element)!, w.data, w.dims)];
          const type = typeOf(element);
          if (type === undefined) throw new Error(`output "${w.name}" is of a type that cannot be passed`);
          const grows = w.grow !== undefined;
          if (grows || fetches[w.name] || location(w.name) === 'ml-tensor')
            return [w.name, heldTensor({ session, held, grows }, type, dims)];
          const bytes = new Uint8Array(bytesOf(type, dims));
          session.copy(held, bytes);
          session.release(held);
          return [w.name, tensorOver(ort, type, bytes, dims)];
        }),
      );
    },
  };
  return handler as unknown as Handler;
}
