import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { decodeNpy, encodeNpy } from '../../compiler/calibrate/npy.ts';
import { decodeNpz, encodeNpz } from '../../compiler/calibrate/npz.ts';
import { floats, valueFrom, view } from '../../compiler/calibrate/values.ts';
import type { DType } from '../../compiler/graph/types.ts';
import { errorOf } from './_make.ts';

/** A version 1.0 file with any header. */
function npy(header: string, data: Uint8Array = new Uint8Array(0), version = 1): Uint8Array {
  const text = `${header}\n`;
  return Uint8Array.from([0x93, ...Buffer.from('NUMPY'), version, 0, text.length & 255, text.length >> 8, ...Buffer.from(text), ...data]);
}
const bytesOf = (a: ArrayBufferView) => new Uint8Array(a.buffer, a.byteOffset, a.byteLength);

test('every type of a feed survives writing and reading', () => {
  const types: DType[] = [
    'float16',
    'float32',
    'float64',
    'int8',
    'int16',
    'int32',
    'int64',
    'uint8',
    'uint16',
    'uint32',
    'uint64',
    'bool',
  ];
  for (const dtype of types) {
    const value = valueFrom(dtype, [2, 3], [0, 1, 1, 0, 1, 0]);
    const back = decodeNpy(encodeNpy(value), dtype);
    assert.equal(back.dtype, dtype);
    assert.equal(back.shape, [2, 3]);
    assert.equal([...floats(back)], [0, 1, 1, 0, 1, 0]);
  }
});

test('what numpy writes', () => {
  // np.save(f, np.asfortranarray(np.arange(6, dtype='<i2').reshape(2, 3)))
  const fortran = npy("{'descr': '<i2', 'fortran_order': True, 'shape': (2, 3), }", bytesOf(Int16Array.of(0, 3, 1, 4, 2, 5)));
  assert.equal([...view(decodeNpy(fortran, 'f'))], [0, 1, 2, 3, 4, 5]);
  const cube = Float32Array.from({ length: 24 }, (_, i) => i);
  const columns = Float32Array.from({ length: 24 }, (_, i) => (i % 2) * 12 + (Math.floor(i / 2) % 3) * 4 + Math.floor(i / 6));
  assert.equal([...view(decodeNpy(npy("{'descr': '<f4', 'fortran_order': True, 'shape': (2, 3, 4)}", bytesOf(columns)), 'f'))], [...cube]);
  const scalar = decodeNpy(npy("{'descr': '<f8', 'fortran_order': False, 'shape': (), }", bytesOf(Float64Array.of(2.5))), 's');
  assert.equal([scalar.shape, [...view(scalar)]], [[], [2.5]]);
  const empty = decodeNpy(npy("{'descr': '<f4', 'fortran_order': False, 'shape': (0, 4), }"), 'e');
  assert.equal([empty.shape, empty.bytes.length], [[0, 4], 0]);
});

test('float16 values are exact', () => {
  const some = [0, 1, -2, 0.5, 65504, 2 ** -14, 2 ** -24, 1.0009765625, Number.POSITIVE_INFINITY];
  assert.equal([...floats(valueFrom('float16', [some.length], some))], some);
  assert.ok(Number.isNaN(floats(valueFrom('float16', [1], [Number.NaN]))[0]!));
  const all = Uint16Array.from({ length: 65536 }, (_, i) => i);
  const wide = floats({ dtype: 'float16', shape: [65536], bytes: bytesOf(all) });
  const back = new Uint16Array(valueFrom('float16', [65536], wide).bytes.buffer);
  for (let i = 0; i < 65536; i++) if (!Number.isNaN(wide[i]!)) assert.is(back[i], i);
});

test('malformed arrays', async () => {
  const cases: [Uint8Array, string][] = [
    [
      new Uint8Array(3),
      'npy-malformed: a.npy: not a .npy array (no \\x93NUMPY at its start) | write it again with numpy.save or numpy.savez',
    ],
    [npy('{}', undefined, 9), 'npy-malformed: a.npy: .npy version 9 is not known | write it again with numpy.save or numpy.savez'],
    [npy('{}'), 'npy-malformed: a.npy: the header lacks descr, fortran_order or shape | write it again with numpy.save or numpy.savez'],
    [
      npy("{'descr': '<f4', ".padEnd(20)).subarray(0, 20),
      'npy-malformed: a.npy: the header says 21 bytes, the file has 10 | write it again with numpy.save or numpy.savez',
    ],
    [
      npy("{'descr': '<f4', 'fortran_order': False, 'shape': (3, 2), }", new Uint8Array(20)),
      'npy-malformed: a.npy: shape [3, 2] of float32 needs 24 bytes, the file has 20 | write it again with numpy.save or numpy.savez',
    ],
    [
      npy("{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999, 99999999999), }", new Uint8Array(4)),
      'npy-malformed: a.npy: shape [99999999999, 99999999999] of float32 needs 3.99999999992e+22 bytes, the file has 4 | write it again with numpy.save or numpy.savez',
    ],
    [
      npy("{'descr': '>f4', 'fortran_order': False, 'shape': (1,), }", new Uint8Array(4)),
      "npy-type: a.npy: big-endian values (>f4) are not read | save with .astype(a.dtype.newbyteorder('<'))",
    ],
    [
      npy("{'descr': '<c8', 'fortran_order': False, 'shape': (1,), }", new Uint8Array(8)),
      'npy-type: a.npy: values of type <c8 are not read | use one of float16, float32, float64, int8, int16, int32, int64, uint8, uint16, uint32, uint64, bool',
    ],
    [
      npy("{'descr': [('x', '<f4')], 'fortran_order': False, 'shape': (1,), }", new Uint8Array(4)),
      'npy-type: a.npy: structured arrays are not read | save one plain array for each graph input',
    ],
  ];
  for (const [bytes, message] of cases) assert.is(await errorOf(() => decodeNpy(bytes, 'a.npy')), message);
});

test('npz: round trip, the same bytes each time, malformed ones', async () => {
  const arrays = new Map([
    ['past.0/key', valueFrom('float32', [2], [1, 2])],
    ['ids', valueFrom('int64', [1, 2], [3, 4])],
  ]);
  const bytes = encodeNpz(arrays);
  assert.equal(decodeNpz(bytes, 'b.npz'), arrays);
  assert.equal(encodeNpz(arrays), bytes);
  assert.is(
    await errorOf(() => decodeNpz(bytes.subarray(0, 60), 'b.npz')),
    'npz-malformed: b.npz: not a readable zip archive (invalid zip data) | write it again; it may be cut off',
  );
  // The declared size of the first entry (central directory, offset 24) blown up: refused before it is allocated.
  const bomb = bytes.slice();
  const view = new DataView(bomb.buffer);
  const central = view.getUint32(bomb.length - 6, true);
  view.setUint32(central + 24, 0x7fffffff, true);
  assert.match(
    await errorOf(() => decodeNpz(bomb, 'b.npz')),
    /^npz-malformed: b\.npz: entry "past\.0\/key\.npy" declares 2147483647 bytes, more than its data can hold/,
  );
});

test.run();
