/** Loads the heavy loops: the native addon where it is built, else the wasm module. Same bytes from both. */
import type { AdaRoundRequest, Bytes, Crunch, QuantizeResult, SolveRequest } from '../compiler/crunch.ts';
import { fail, QcError } from '../grammar/diagnostics.ts';
import type { Engine } from './engine.ts';
import { scaleBytes, sizes } from './geometry.ts';
import { nativeEngine } from './native.ts';
import {
  adaroundNumbers,
  dequantizeNumbers,
  element,
  formatNumbers,
  lawNumbers,
  leastSquaresNumbers,
  lowRankNumbers,
  op,
  quantizeNumbers,
  solveNumbers,
} from './protocol.ts';
import { wasmEngine } from './wasm.ts';

export interface CrunchOptions {
  /** 'wasm' refuses native code (as QC_CRUNCH=wasm does), 'native' refuses to fall back. */
  readonly prefer?: 'native' | 'wasm';
  /** The wasm module's bytes, where there is no file system (browser). */
  readonly wasm?: Uint8Array;
}

/** @throws QcError `no-crunch` when neither can be loaded. */
export async function loadCrunch(options: CrunchOptions = {}): Promise<Crunch> {
  const prefer = options.prefer ?? (globalThis.process?.env['QC_CRUNCH'] === 'wasm' ? 'wasm' : undefined);
  if (options.wasm && prefer !== 'native') return crunchOf(await wasmEngine(options.wasm));
  const folder = await packageFolder();
  let why = '';
  if (prefer !== 'wasm') {
    const native = await nativeEngine(folder);
    if (typeof native !== 'string') return crunchOf(native);
    if (native.startsWith('bad-isa: ')) fail('bad-isa', native.slice(9), 'leave QC_ISA unset for the best of this machine');
    why = `the native addon does not load (${native})`;
  }
  if (prefer === 'native') fail('no-crunch', why, 'npm run build:native builds it, with cargo');
  const { readFile } = await import('node:fs/promises');
  const bytes = await readFile(`${folder}/runtime/wasm/qc.wasm`).catch(() =>
    fail('no-crunch', [why, `${folder}/runtime/wasm/qc.wasm cannot be read`].filter(Boolean).join('; '), 'reinstall qrecipe'),
  );
  return crunchOf(await wasmEngine(bytes));
}

/** The folder of the package `qrecipe`: above this file in the sources, above dist/ when bundled. */
export async function packageFolder(): Promise<string> {
  const [{ readFile }, { dirname }, { fileURLToPath }] = await Promise.all([
    import('node:fs/promises'),
    import('node:path'),
    import('node:url'),
  ]);
  const start = dirname(fileURLToPath(import.meta.url));
  for (let at = start; ; at = dirname(at)) {
    const text = await readFile(`${at}/package.json`, 'utf8').catch(() => '{}');
    if ((JSON.parse(text) as { name?: string }).name === 'qrecipe') return at;
    if (dirname(at) === at) fail('no-crunch', `the package qrecipe is not found above ${start}`);
  }
}

const view = (a: ArrayBufferView): Uint8Array => new Uint8Array(a.buffer, a.byteOffset, a.byteLength);

function crunchOf(engine: Engine): Crunch {
  const call = async (
    code: number,
    numbers: readonly number[],
    first: Bytes,
    rest: readonly Uint8Array[],
    outputs: readonly Uint8Array[],
    label?: string,
  ) => {
    try {
      if (first instanceof Uint8Array) return await engine.call(code, numbers, undefined, [first, ...rest], outputs);
      if (engine.maps) return await engine.call(code, numbers, first, rest, outputs);
      return await engine.call(code, numbers, undefined, [await readRange(first), ...rest], outputs);
    } catch (error) {
      const [, name, message] = /^([a-z]+(?:-[a-z]+)+|unreadable|panic): (.*)/s.exec(error instanceof Error ? error.message : '') ?? [];
      if (error instanceof QcError || !name || !message || name === 'panic' || name === 'bad-request') throw error;
      return fail(name, label === undefined ? message : `${label}: ${message}`);
    }
  };
  return {
    kind: engine.kind,
    isa: engine.isa,
    async quantize(r): Promise<QuantizeResult> {
      const size = sizes({ ...r, ...r.weight });
      const codes = new Uint8Array(size.codes);
      const scales = new Uint8Array(size.scales * scaleBytes[r.scaleType]);
      const zeros = r.symmetric || r.format.kind === 'float' ? undefined : new Uint8Array(size.zeros);
      const rowSteps = r.outer && new Uint8Array(r.weight.out * scaleBytes[r.outer.type]);
      const digest = r.digest ? new Uint8Array(32) : undefined;
      const given = [r.importance, r.scales, r.zeros].flatMap((a) => (a ? [view(a)] : []));
      const numbers = quantizeNumbers(r);
      const [error, energy, global] = await call(
        op.quantize,
        numbers,
        r.weight.data,
        given,
        [codes, scales, ...(zeros ? [zeros] : []), ...(digest ? [digest] : []), ...(rowSteps ? [rowSteps] : [])],
        r.label,
      );
      return {
        codes,
        scales,
        ...(zeros ? { zeros } : {}),
        ...(rowSteps ? { rowSteps } : {}),
        ...(r.scaleType === 'nv' ? { globalScale: global! } : {}),
        error: error!,
        energy: energy!,
        ...(digest ? { digest } : {}),
      };
    },
    async dequantize(r) {
      const to = r.to ?? new Float32Array(r.out * r.reduce);
      const rest = [r.scales, ...(r.zeros ? [r.zeros] : []), ...(r.rowSteps ? [r.rowSteps] : [])];
      await call(op.dequantize, dequantizeNumbers(r), r.codes, rest, [view(to)]);
      return to;
    },
    async hash(data) {
      const out = new Uint8Array(32);
      await call(op.hash, [], data, [], [out]);
      return out;
    },
    async cast(data, from, to) {
      const [[a, bitsFrom], [b, bitsTo]] = [element(from), element(to)];
      const bytes = data instanceof Uint8Array ? data.length : data.len;
      const out = new Uint8Array(Math.ceil((Math.floor((bytes * 8) / bitsFrom) * bitsTo) / 8));
      await call(op.cast, [a, b], data, [], [out]);
      return out;
    },
    async gram(h, x, n) {
      await call(op.cross, [n], view(x), [], [view(h)]);
    },
    async cross(c, x, y, n) {
      await call(op.cross, [n], view(x), y === x ? [] : [view(y)], [view(c)]);
    },
    async solve(r) {
      const { buffers, found } = codesOf(r);
      const [error, energy, loss, damping, dead] = await call(op.solve, solveNumbers(r), r.weight.data, momentsOf(r), buffers);
      return { ...found, error: error!, energy: energy!, loss: loss!, damping: damping!, dead: dead! };
    },
    async adaround(r) {
      const { buffers, found } = codesOf(r);
      const [error, energy, loss, nearest, kept] = await call(op.adaround, adaroundNumbers(r), r.weight.data, momentsOf(r), buffers);
      return { ...found, error: error!, energy: energy!, loss: loss!, nearest: nearest!, kept: kept! };
    },
    async leastSquares(r) {
      const weight = new Float32Array(r.weight.out * r.weight.reduce);
      const given = [...momentsOf(r), ...(r.mask ? [r.mask] : [])];
      const [before, after, free] = await call(op.leastSquares, leastSquaresNumbers(r), r.weight.data, given, [view(weight)]);
      return { weight, before: before!, after: after!, free: free! };
    },
    async eigen(a, n) {
      const [values, vectors] = [new Float64Array(n), new Float64Array(n * n)];
      await call(op.eigen, [n], view(a), [], [view(values), view(vectors)]);
      return { values, vectors };
    },
    async orthonormal(rows, n) {
      const to = new Float64Array(rows.length);
      await call(op.orthonormal, [n], view(rows), [], [view(to)]);
      return to;
    },
    async rangeNorms(y, n, p, weight) {
      const derivative = new Float32Array(y.length);
      const [sum] = await call(op.rangeNorms, [n, p, weight], view(y), [], [view(derivative)]);
      return { sum: sum!, derivative };
    },
    async lowRank(r) {
      const found = {
        basis: new Float32Array(r.start.length),
        down: new Float32Array(r.rank * r.n),
        up: new Float32Array((r.weight.length / r.n) * r.rank),
        rest: r.rest ?? new Float32Array(r.weight.length),
      };
      const given = [r.start, r.codes, r.space?.root, r.space?.inverse].flatMap((a) => (a ? [view(a)] : []));
      await call(op.lowRank, lowRankNumbers(r), view(r.weight), given, Object.values(found).map(view));
      return found;
    },
    async distance(a, b, x, y, n) {
      const [sum] = await call(op.distance, [n], view(a), [b, x, y].map(view), []);
      return sum!;
    },
    async minusProduct(x, left, right, columns) {
      await call(op.minusProduct, [columns], view(left), [view(right)], [view(x)]);
    },
    async hadamard(x, { n, inner, from, to, size }, base) {
      await call(op.hadamard, [n, inner, from, to, size], view(base), [], [view(x)]);
    },
    async moments(acc, x, n) {
      await call(op.moments, [n], view(x), [], [view(acc)]);
    },
    async histogram(counts, x, lo, hi) {
      await call(op.histogram, [lo, hi], view(x), [], [view(counts)]);
    },
    async clip(counts, lo, hi, format, symmetric, law) {
      const numbers = [lo, hi, ...formatNumbers(format), Number(symmetric), ...lawNumbers(law)];
      const [a, b] = await call(op.clip, numbers, view(counts), [], []);
      return { lo: a!, hi: b! };
    },
    async close() {
      engine.close();
    },
  };
}

async function readRange(range: { readonly path: string; readonly at: number; readonly len: number }): Promise<Uint8Array> {
  const { open } = await import('node:fs/promises');
  const file = await open(range.path).catch((e: Error) => fail('unreadable', `${range.path}: ${e.message}`));
  try {
    const bytes = new Uint8Array(range.len);
    for (let done = 0; done < range.len; ) {
      const { bytesRead } = await file.read(bytes, done, range.len - done, range.at + done);
      if (bytesRead === 0) fail('unreadable', `${range.path}: bytes ${range.at} + ${range.len} are past its end at ${range.at + done}`);
      done += bytesRead;
    }
    return bytes;
  } finally {
    await file.close();
  }
}

type Coding = SolveRequest | AdaRoundRequest;
/** Room for codes, scales, zero points and steps of rows, in the order in which they are written. */
function codesOf(r: Coding) {
  const groups = r.grain.per === 'group' ? Math.ceil(r.weight.reduce / r.grain.group) : 1;
  const codes = new Uint8Array(r.weight.out * r.weight.reduce);
  const scales = new Uint8Array(r.weight.out * groups * scaleBytes[r.scaleType]);
  const zeros = r.symmetric ? undefined : new Uint8Array(r.weight.out * groups);
  const rowSteps = r.outer && new Uint8Array(r.weight.out * scaleBytes[r.outer.type]);
  return {
    buffers: [codes, scales, ...(zeros ? [zeros] : []), ...(rowSteps ? [rowSteps] : [])],
    found: { codes, scales, ...(zeros ? { zeros } : {}), ...(rowSteps ? { rowSteps } : {}) },
  };
}
const momentsOf = (r: { readonly hessian: Float64Array; readonly cross?: Float64Array }) => [
  view(r.hessian),
  ...(r.cross ? [view(r.cross)] : []),
];
