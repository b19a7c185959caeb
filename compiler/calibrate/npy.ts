/** The .npy format of numpy: https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html */
import { fail } from '../../grammar/diagnostics.ts';
import { byteLength, elements } from '../graph/dtype.ts';
import type { DType } from '../graph/types.ts';
import type { Value } from '../host.ts';

const types: Readonly<Record<string, DType>> = {
  f2: 'float16',
  f4: 'float32',
  f8: 'float64',
  i1: 'int8',
  i2: 'int16',
  i4: 'int32',
  i8: 'int64',
  u1: 'uint8',
  u2: 'uint16',
  u4: 'uint32',
  u8: 'uint64',
  b1: 'bool',
};
const codes = new Map(Object.entries(types).map(([code, type]) => [type, code]));
const magic = [0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59];
const malformed = (label: string, why: string): never =>
  fail('npy-malformed', `${label}: ${why}`, 'write it again with numpy.save or numpy.savez');

/**
 * Reads one array. Fortran order is turned into C order. `label` names the file (and the array in it) in messages.
 * Errors: npy-malformed (header or length), npy-type (a type that no graph input has).
 */
export function decodeNpy(bytes: Uint8Array, label: string): Value {
  if (bytes.length < 10 || magic.some((b, i) => bytes[i] !== b)) malformed(label, 'not a .npy array (no \\x93NUMPY at its start)');
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const major = bytes[6]!;
  if (major < 1 || major > 3) malformed(label, `.npy version ${major} is not known`);
  const start = major === 1 ? 10 : 12;
  if (bytes.length < start) malformed(label, 'the header is cut off');
  const length = major === 1 ? view.getUint16(8, true) : view.getUint32(8, true);
  if (start + length > bytes.length) malformed(label, `the header says ${length} bytes, the file has ${bytes.length - start}`);
  const header = new TextDecoder('latin1').decode(bytes.subarray(start, start + length));
  const descr = /'descr'\s*:\s*'([^']*)'/.exec(header)?.[1];
  const order = /'fortran_order'\s*:\s*(True|False)/.exec(header)?.[1];
  const dims = /'shape'\s*:\s*\(([\d\s,]*)\)/.exec(header)?.[1];
  if (descr === undefined || order === undefined || dims === undefined)
    return /'descr'\s*:\s*\[/.test(header)
      ? fail('npy-type', `${label}: structured arrays are not read`, 'save one plain array for each graph input')
      : malformed(label, 'the header lacks descr, fortran_order or shape');
  if (descr.startsWith('>'))
    fail('npy-type', `${label}: big-endian values (${descr}) are not read`, "save with .astype(a.dtype.newbyteorder('<'))");
  const dtype = types[descr.slice(1)];
  if (dtype === undefined)
    return fail('npy-type', `${label}: values of type ${descr} are not read`, `use one of ${[...codes.keys()].join(', ')}`);
  const shape = dims.split(',').flatMap((d) => (d.trim() === '' ? [] : [Number(d)]));
  const size = byteLength(dtype, shape);
  const data = bytes.subarray(start + length);
  if (!Number.isSafeInteger(size) || size !== data.length)
    malformed(label, `shape [${shape.join(', ')}] of ${dtype} needs ${size} bytes, the file has ${data.length}`);
  return { dtype, shape, bytes: order === 'True' ? rowMajor(data, shape, size / Math.max(1, elements(shape))) : data };
}

/** Column-major → row-major for elements of `width` bytes. */
function rowMajor(data: Uint8Array, shape: readonly number[], width: number): Uint8Array {
  if (shape.length < 2) return data;
  const out = new Uint8Array(data.length);
  const index = shape.map(() => 0);
  const strides = shape.map((_, axis) => shape.slice(0, axis).reduce((a, b) => a * b, width));
  let from = 0;
  for (let to = 0; to < out.length; to += width) {
    for (let k = 0; k < width; k++) out[to + k] = data[from + k]!;
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      from += strides[axis]!;
      if (++index[axis]! < shape[axis]!) break;
      from -= strides[axis]! * shape[axis]!;
      index[axis] = 0;
    }
  }
  return out;
}

/** Writes one array (version 1.0, C order, data 64-byte aligned as numpy does). */
export function encodeNpy(value: Value): Uint8Array {
  const code = codes.get(value.dtype);
  if (code === undefined) return fail('npy-type', `.npy has no type for ${value.dtype}`);
  const mark = code.endsWith('1') ? '|' : '<';
  const shape = value.shape.length === 1 ? `${value.shape[0]},` : value.shape.join(', ');
  const text = `{'descr': '${mark}${code}', 'fortran_order': False, 'shape': (${shape}), }`;
  const start = Math.ceil((10 + text.length + 1) / 64) * 64;
  const out = new Uint8Array(start + value.bytes.length);
  out.set([...magic, 1, 0]);
  new DataView(out.buffer).setUint16(8, start - 10, true);
  out.set(new TextEncoder().encode(`${text.padEnd(start - 11)}\n`), 10);
  out.set(value.bytes, start);
  return out;
}
