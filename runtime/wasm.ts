/** The wasm module as an engine: copies buffers in, calls, copies outputs out. */
import type { Engine } from './engine.ts';

/** The part of the WebAssembly API in use: TypeScript has it only among the browser's types. */
interface Api {
  compile(bytes: Uint8Array): Promise<object>;
  instantiate(module: object, imports: object): Promise<{ readonly exports: unknown }>;
  readonly RuntimeError: new () => Error;
}
const { WebAssembly: api } = globalThis as unknown as { readonly WebAssembly: Api };

/** What runtime/native/wasm exports. */
interface Exports {
  readonly memory: { readonly buffer: ArrayBuffer };
  reserve(len: number): number;
  release(at: number, len: number): void;
  call(op: number, numbers: number, n: number, inputs: number, nIn: number, outputs: number, nOut: number, answer: number): void;
}

/** Above this much memory an instance is dropped after its call: wasm memory never shrinks. */
const KEEP = 256 * 2 ** 20;

export async function wasmEngine(bytes: Uint8Array): Promise<Engine> {
  const module = await api.compile(bytes);
  let exports: Exports | undefined;
  const instance = async (): Promise<Exports> => {
    exports ??= (await api.instantiate(module, {})).exports as Exports;
    return exports;
  };
  return {
    kind: 'wasm',
    isa: 'simd128',
    maps: false,
    async call(op, numbers, _file, inputs, outputs) {
      const wasm = await instance();
      try {
        return perform(wasm, op, numbers, inputs, outputs);
      } catch (error) {
        if (error instanceof api.RuntimeError) {
          exports = undefined;
          throw new Error(`panic: operation ${op} trapped (${error.message})`);
        }
        throw error;
      } finally {
        if (wasm.memory.buffer.byteLength > KEEP) exports = undefined;
      }
    },
    close() {
      exports = undefined;
    },
  };
}

function perform(
  wasm: Exports,
  op: number,
  numbers: readonly number[],
  inputs: readonly Uint8Array[],
  outputs: readonly Uint8Array[],
): number[] {
  const held: [at: number, len: number][] = [];
  const reserve = (len: number): number => {
    const at = wasm.reserve(len) >>> 0;
    if (at === 0) throw new Error(`out-of-memory: no room for ${len} bytes in wasm memory`);
    held.push([at, len]);
    return at;
  };
  const put = (bytes: Uint8Array): number => {
    const at = reserve(bytes.length);
    new Uint8Array(wasm.memory.buffer, at, bytes.length).set(bytes);
    return at;
  };
  const list = (places: readonly [number, number][]): number => put(new Uint8Array(Uint32Array.from(places.flat()).buffer));
  try {
    const at = (buffers: readonly Uint8Array[]) => buffers.map((b): [number, number] => [put(b), b.length]);
    const places = at(outputs);
    const args = [put(new Uint8Array(Float64Array.from(numbers).buffer)), numbers.length] as const;
    const answer = reserve(12);
    wasm.call(op, ...args, list(at(inputs)), inputs.length, list(places), outputs.length, answer);
    const [failed, start, len] = new Uint32Array(wasm.memory.buffer, answer, 3) as unknown as [number, number, number];
    held.push([start, len]);
    const said = wasm.memory.buffer.slice(start, start + len);
    if (failed) throw new Error(new TextDecoder().decode(said));
    outputs.forEach((o, i) => {
      o.set(new Uint8Array(wasm.memory.buffer, places[i]![0], o.length));
    });
    return [...new Float64Array(said)];
  } finally {
    for (const [at, len] of held) wasm.release(at, len);
  }
}
