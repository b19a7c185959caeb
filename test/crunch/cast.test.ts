import { readFileSync } from 'node:fs';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { DType } from '../../compiler/graph/types.ts';
import { loadCrunch } from '../../runtime/crunch.ts';
import { bytesOf, engines, random } from './engines.ts';

const all = await engines();
const types: DType[] = [
  'float64',
  'float16',
  'bfloat16',
  'float8e4m3fn',
  'float8e5m2',
  'float4e2m1',
  'float8e8m0',
  'int2',
  'uint4',
  'int8',
  'uint16',
  'int32',
  'int64',
  'bool',
];

test('every pair of types is the same on every engine', async () => {
  const next = random(1);
  const specials = [0, -0, 0.5, 1.5, 2.5, -0.5, 448, 464, 465, -1e9, 1e38, 65504, 65520, 1e-8, 6e-8, 1e-45, 6, 7, 0.25, 0.75];
  const x = Float32Array.from({ length: 64 }, (_, i) => specials[i] ?? (next() - 0.5) * 20);
  for (const from of types) {
    const start = await all[0]![1].cast(bytesOf(x), 'float32', from);
    for (const to of [...types, 'float32'] as DType[]) {
      const results = await Promise.all(all.map(([, c]) => c.cast(start, from, to)));
      for (const r of results) assert.equal(r, results[0], `${from} to ${to}`);
    }
  }
});

test('known values', async () => {
  const x = bytesOf(Float32Array.of(1.0625, 1.1875, 500, -0.001, 2.5, -2.5));
  for (const [, c] of all) {
    assert.equal([...(await c.cast(x, 'float32', 'float8e4m3fn'))], [0x38, 0x3a, 0x7e, 0x80 | 1, 0x42, 0xc2]);
    assert.equal([...(await c.cast(x, 'float32', 'float4e2m1'))], [0x22, 0x87, 0xc4]);
    assert.equal([...(await c.cast(x, 'float32', 'int8'))], [1, 1, 127, 0, 2, 254]);
  }
});

/** e4m3fn by its definition: exponent bias 7, no infinity, 0x7f is no number. */
const e4m3 = (code: number): number => {
  const [sign, e, m] = [code & 0x80 ? -1 : 1, (code >> 3) & 15, code & 7];
  return sign * (e === 0 ? (m / 8) * 2 ** -6 : (1 + m / 8) * 2 ** (e - 7));
};
test('e4m3: all 256 codes come back, ties go to the even code, what is too large saturates', async () => {
  const codes = Array.from({ length: 256 }, (_, c) => c).filter((c) => (c & 0x7f) !== 0x7f);
  const between = codes.filter((c) => (c & 0x7f) < 0x7e);
  for (const [, c] of all) {
    const cast = async (x: number[]) => [...(await c.cast(bytesOf(Float32Array.from(x)), 'float32', 'float8e4m3fn'))];
    assert.equal(await cast(codes.map(e4m3)), codes);
    assert.equal([...new Float32Array((await c.cast(Uint8Array.from(codes), 'float8e4m3fn', 'float32')).slice().buffer)], codes.map(e4m3));
    const middles = between.map((code) => (e4m3(code) + e4m3(code + 1)) / 2);
    assert.equal(
      await cast(middles),
      between.map((code) => (code % 2 ? code + 1 : code)),
    );
    assert.equal(await cast([449, 464, 1e6, -465, -1e30]), [0x7e, 0x7e, 0x7e, 0xfe, 0xfe]);
    assert.is((await cast([Number.NaN]))[0]! & 0x7f, 0x7f);
  }
});

test('a type that nothing converts is refused', async () => {
  const message = await all[0]![1].cast(new Uint8Array(8), 'complex64', 'float32').catch((e: Error) => e.message);
  assert.is(message, 'unsupported-cast: elements of type complex64 cannot be converted');
});

test('the wasm module loads from bytes, as a browser has it', async () => {
  const c = await loadCrunch({ wasm: readFileSync(new URL('../../runtime/wasm/qc.wasm', import.meta.url)) });
  assert.is(c.kind, 'wasm');
  assert.equal([...(await c.cast(Uint8Array.of(0x21), 'uint4', 'uint8'))], [1, 2]);
});

test('after a large call the wasm module starts anew', async () => {
  const wasm = all.at(-1)![1];
  const n = 2 ** 25;
  const half = await wasm.cast(new Uint8Array(4 * n), 'float32', 'float16');
  assert.is(half.length, 2 * n);
  assert.equal([...(await wasm.cast(Uint8Array.of(0x21), 'uint4', 'uint8'))], [1, 2]);
});

test.run();
