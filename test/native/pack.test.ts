// Layout 1 as docs/layouts.md defines it: where each code and scale of an odd matrix lies.
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { codesShape, type Geometry, packCodes, packScales, scalesShape } from '../../compiler/lower/native/pack.ts';

const geometries: Geometry[] = [
  { out: 1, reduce: 1, bits: 4, group: 4 },
  { out: 33, reduce: 37, bits: 4, group: 16 },
  { out: 70, reduce: 64, bits: 8, group: 32 },
  { out: 31, reduce: 130, bits: 8, group: 132 },
  { out: 33, reduce: 37, bits: 2, group: 16 },
  { out: 40, reduce: 36, bits: 3, group: 12 },
  { out: 33, reduce: 37, bits: 5, group: 20 },
  { out: 70, reduce: 37, bits: 6, group: 40 },
  { out: 32, reduce: 8, bits: 7, group: 4 },
];

for (const g of geometries)
  test(`${g.out}×${g.reduce}, ${g.bits} bits, groups of ${g.group}`, () => {
    const codes = Uint8Array.from({ length: g.out * g.reduce }, (_, i) => (i * 37 + (i >> 3)) % 2 ** g.bits);
    const [panels, cells, bytes] = codesShape(g);
    const packed = packCodes(codes, g, 0);
    assert.is(packed.length, panels * cells * bytes);
    assert.is((cells * 4) % g.group, 0, 'groups are whole');
    for (let o = 0; o < g.out; o++)
      for (let r = 0; r < g.reduce; r++) {
        const cell = (Math.floor(o / 32) * cells + Math.floor(r / 4)) * bytes;
        const place = (o % 32) * 4 + (r % 4);
        // Planes of 4, 2 and 1 bits, as docs/layouts.md draws them.
        const widths = { 2: [2], 3: [2, 1], 4: [4], 5: [4, 1], 6: [4, 2], 7: [4, 2, 1], 8: [8] }[g.bits]!;
        let [code, low] = [0, 0];
        for (const width of widths) {
          const byte = packed[cell + 16 * low + (place % (16 * width))]!;
          code |= ((byte >> (width * Math.floor(place / (16 * width)))) & (2 ** width - 1)) << low;
          low += width;
        }
        assert.is(code, codes[o * g.reduce + r], `W[${o}, ${r}]`);
      }
    const ones = (a: Uint8Array) => a.reduce((n, b) => n + b.toString(2).replaceAll('0', '').length, 0);
    assert.is(ones(packed), ones(codes), 'padding is 0');
  });

test('scales', () => {
  const g: Geometry = { out: 33, reduce: 37, bits: 4, group: 16 };
  const values = Float32Array.from({ length: 33 * 3 }, (_, i) => i + 1);
  const packed = packScales(values, g, new Float32Array(scalesShape(g).reduce((a, b) => a * b)));
  assert.equal(scalesShape(g), [2, 3, 32]);
  for (let o = 0; o < 33; o++) for (let i = 0; i < 3; i++) assert.is(packed[(Math.floor(o / 32) * 3 + i) * 32 + (o % 32)], o * 3 + i + 1);
  assert.is(packed.filter((v) => v === 0).length, 2 * 3 * 32 - 99);
});

test('signed codes are shifted to unsigned ones', () => {
  const g: Geometry = { out: 1, reduce: 4, bits: 4, group: 4 };
  assert.equal([...packCodes(Uint8Array.from([-8, -1, 0, 7].map((v) => v & 255)), g, 8).subarray(0, 4)], [0, 7, 8, 15]);
});

test.run();
