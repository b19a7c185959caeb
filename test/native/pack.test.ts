// Layout 1 as docs/layouts.md defines it: where each code and scale of an odd matrix lies.
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { codesShape, type Geometry, packCodes, packScales, scalesShape } from '../../compiler/lower/native/pack.ts';

const geometries: Geometry[] = [
  { out: 1, reduce: 1, bits: 4, group: 4 },
  { out: 33, reduce: 37, bits: 4, group: 16 },
  { out: 70, reduce: 64, bits: 8, group: 32 },
  { out: 31, reduce: 130, bits: 8, group: 132 },
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
        const byte = packed[cell + (g.bits === 4 ? place % 64 : place)]!;
        const code = g.bits === 8 ? byte : place < 64 ? byte & 15 : byte >> 4;
        assert.is(code, codes[o * g.reduce + r], `W[${o}, ${r}]`);
      }
    const sum = (a: Uint8Array) => a.reduce((n, b) => n + (g.bits === 8 ? b : (b & 15) + (b >> 4)), 0);
    assert.is(
      sum(packed),
      codes.reduce((n, b) => n + b, 0),
      'padding is 0',
    );
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
