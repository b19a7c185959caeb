/** TensorProto → Tensor, with every size checked before anything is allocated. */
import { fail } from '../../grammar/diagnostics.ts';
import { bitsOf, byteLength, dtypeOf, elements } from './dtype.ts';
import type { Data, Message } from './proto.ts';
import type { DType, FileRange, Tensor, TensorSource } from './types.ts';
import { concatBytes, decodeVarints, isSpan } from './wire.ts';

/** Where the messages came from. */
export interface Origin {
  /** The model file, relative to its folder: what spans refer to. Undefined where all bytes are in memory. */
  readonly file?: string;
  /** Called for every range of an external data file; the loader checks it against the file. */
  external(range: FileRange, where: string): void;
}

const damaged = 'the file is damaged or was written by a broken exporter; export the model again';

/** `where` names the tensor in messages: `initializer "w"`. */
export function decodeTensor(t: Message<'Tensor'>, where: string, origin: Origin): Tensor {
  const dtype = dtypeOf(Number(t.data_type ?? 0));
  if (dtype === undefined) {
    return fail(
      'bad-tensor',
      `${where} has the unknown element type ${Number(t.data_type ?? 0)}`,
      'known are the types of ONNX IR 13 (numbers 1 to 26)',
    );
  }
  const shape = (t.dims ?? []).map(Number);
  const negative = shape.find((d) => d < 0);
  if (negative !== undefined)
    fail('bad-tensor', `${where} has the negative dimension ${negative} in its shape [${shape.join(', ')}]`, damaged);
  // checked by partial products of nonzero sizes, so that a zero does not hide an overflow
  if (!Number.isSafeInteger(shape.reduce((a, d) => a * Math.max(d, 1), 1) * 16)) {
    fail('bad-tensor', `${where} has more elements than can exist: shape [${shape.join(', ')}]`, damaged);
  }
  const source =
    Number(t.data_location ?? 0) === 1 ? externalSource(t, dtype, shape, where, origin) : inlineSource(t, dtype, shape, where, origin);
  return { dtype, shape, source, ...(t.unknown === undefined ? {} : { unknown: t.unknown }) };
}

function inlineSource(t: Message<'Tensor'>, dtype: DType, shape: number[], where: string, origin: Origin): TensorSource {
  if (dtype === 'string') {
    const strings = t.string_data ?? [];
    if (strings.length !== elements(shape)) mismatch(where, dtype, shape, elements(shape), strings.length, 'strings');
    return { kind: 'strings', strings };
  }
  const expected = byteLength(dtype, shape);
  const data = payload(t, dtype, where);
  if (data === undefined) {
    if (expected !== 0) fail('bad-tensor', `${where} (${dtype} [${shape.join(', ')}]) has no data`, damaged);
    return { kind: 'bytes', bytes: new Uint8Array(0) };
  }
  if (!isSpan(data)) {
    if (data.length !== expected) mismatch(where, dtype, shape, expected, data.length, 'bytes');
    return { kind: 'bytes', bytes: data };
  }
  if (data.len !== expected) mismatch(where, dtype, shape, expected, data.len, 'bytes');
  if (origin.file === undefined) throw new Error('a span without a file');
  return { kind: 'file', file: origin.file, at: data.at, len: data.len };
}

function mismatch(where: string, dtype: DType, shape: readonly number[], expected: number, actual: number, unit: string): never {
  return fail('bad-tensor', `${where} (${dtype} [${shape.join(', ')}]) needs ${expected} ${unit} of data, but has ${actual}`, damaged);
}

/** The raw bytes, from whichever field holds them. */
function payload(t: Message<'Tensor'>, dtype: DType, where: string): Data | undefined {
  if (t.raw_data !== undefined) return t.raw_data;
  switch (dtype) {
    case 'float32':
    case 'complex64':
      return one(t.float_data, where, 'float_data');
    case 'float64':
    case 'complex128':
      return one(t.double_data, where, 'double_data');
    case 'int64':
      return t.int64_data && varints(t.int64_data, 8);
    case 'uint32':
    case 'uint64':
      return t.uint64_data && varints(t.uint64_data, bitsOf(dtype) / 8);
    default:
      // 4- and 2-bit types: one packed byte an entry
      return t.int32_data && varints(t.int32_data, Math.max(8, bitsOf(dtype)) / 8);
  }
}

function one(chunks: Data[] | undefined, where: string, field: string): Data | undefined {
  if (chunks === undefined || chunks.length === 1) return chunks?.[0];
  const inMemory = chunks.filter((c) => c instanceof Uint8Array);
  if (inMemory.length !== chunks.length)
    fail('bad-tensor', `${where} has its ${field} in several large pieces`, 'save the model again with onnx.save');
  return concatBytes(inMemory);
}

/** Little-endian integers of `width` bytes. */
function varints(chunks: readonly Uint8Array[], width: number): Uint8Array {
  const values = decodeVarints(chunks);
  const out = new Uint8Array(values.length * width);
  const view = new DataView(out.buffer);
  values.forEach((v, i) => {
    if (width === 8) view.setBigInt64(i * 8, BigInt(v), true);
    else {
      const n = Number(BigInt.asIntN(32, BigInt(v)));
      if (width === 4) view.setInt32(i * 4, n, true);
      else if (width === 2) view.setInt16(i * 2, n, true);
      else view.setInt8(i, n);
    }
  });
  return out;
}

function externalSource(t: Message<'Tensor'>, dtype: DType, shape: number[], where: string, origin: Origin): TensorSource {
  const keys = new Map((t.external_data ?? []).map((e) => [e.key ?? '', e.value ?? '']));
  const file = keys.get('location');
  if (file === undefined || file === '') return fail('bad-external-data', `${where} is external, but has no location`, damaged);
  if (dtype === 'string') fail('bad-external-data', `${where} has strings in external data, which ONNX does not allow`, damaged);
  const reason = escapes(file);
  if (reason !== undefined) {
    fail(
      'path-escape',
      `${where} has its data in "${file}", which ${reason}`,
      'external data has to lie beside the model or in a folder below it',
    );
  }
  const expected = byteLength(dtype, shape);
  const at = wholeNumber(keys.get('offset') ?? '0', 'offset', where);
  const len = wholeNumber(keys.get('length') ?? String(expected), 'length', where);
  if (len !== expected) mismatch(where, dtype, shape, expected, len, 'bytes');
  const range = { file: file.replace(/^(\.\/)+/, ''), at, len };
  origin.external(range, where);
  return { kind: 'file', ...range };
}

function wholeNumber(text: string, key: string, where: string): number {
  const n = /^\d+$/.test(text) ? Number(text) : Number.NaN;
  return Number.isSafeInteger(n)
    ? n
    : fail('bad-external-data', `${where} has the impossible ${key} "${text}" of its external data`, damaged);
}

/** Why a location may not be followed; links are the host's to check. */
function escapes(location: string): string | undefined {
  if (/^([/\\]|[A-Za-z]:)/.test(location)) return 'is an absolute path';
  if (location.split(/[/\\]/).includes('..')) return 'leaves the folder of the model';
  return location.includes('\0') ? 'is not a path' : undefined;
}
