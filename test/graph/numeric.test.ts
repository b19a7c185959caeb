import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { fromBfloat16, fromFloat32, fromHalf, toBfloat16, toFloat32, toFloat64, toHalf } from '../../compiler/graph/numeric.ts';

const f32 = (bits: number): number => {
  const v = new DataView(new ArrayBuffer(4));
  v.setUint32(0, bits);
  return v.getFloat32(0);
};

test('every half goes to a number and back; what lies between goes to the nearest, ties to even', () => {
  for (let h = 0; h < 65536; h++) {
    const x = fromHalf(h);
    if (Number.isNaN(x)) assert.ok(Number.isNaN(fromHalf(toHalf(x))));
    else assert.is(toHalf(x), h, `${h}`);
    const exponent = (h >> 10) & 31;
    if (h >= 0x8000 || exponent >= 30) continue;
    const next = fromHalf(h + 1);
    const middle = (x + next) / 2;
    assert.is(toHalf(middle), h % 2 === 0 ? h : h + 1, `middle of ${h}`);
    assert.is(toHalf(middle - (next - x) / 8), h);
    assert.is(toHalf(middle + (next - x) / 8), h + 1);
  }
  assert.is(toHalf(65504), 0x7bff);
  assert.is(toHalf(65519.99), 0x7bff);
  assert.is(toHalf(65520), 0x7c00);
  assert.is(toHalf(-1e10), 0xfc00);
  assert.is(toHalf(2 ** -25), 0);
  assert.is(toHalf(1e-30), 0);
});

test('bfloat16 is the upper half of a float32, rounded to even', () => {
  for (let h = 0; h < 65536; h += 7) {
    const x = fromBfloat16(h);
    assert.is(Number.isNaN(x) ? Number.NaN.toString() : toBfloat16(x).toString(), Number.isNaN(x) ? 'NaN' : h.toString());
  }
  assert.is(toBfloat16(f32(0x3f808000)), 0x3f80);
  assert.is(toBfloat16(f32(0x3f818000)), 0x3f82);
  assert.is(toBfloat16(f32(0x3f808001)), 0x3f81);
});

test('small formats by their tables', () => {
  const all = (dtype: 'float4e2m1' | 'int4' | 'uint2' | 'int2', ...bytes: number[]) => [...toFloat64(dtype, Uint8Array.from(bytes))];
  assert.equal(all('float4e2m1', 0x10, 0x32, 0x54, 0x76, 0xf9), [0, 0.5, 1, 1.5, 2, 3, 4, 6, -0.5, -6]);
  assert.equal(all('int4', 0x70, 0x8f), [0, 7, -1, -8]);
  assert.equal(all('uint2', 0b11100100), [0, 1, 2, 3]);
  assert.equal(all('int2', 0b11100100), [0, 1, -2, -1]);
  const one = (dtype: 'float8e4m3fn' | 'float8e4m3fnuz' | 'float8e5m2' | 'float8e5m2fnuz' | 'float8e8m0', b: number) =>
    toFloat64(dtype, Uint8Array.of(b))[0]!;
  assert.is(one('float8e4m3fn', 0x7e), 448);
  assert.ok(Number.isNaN(one('float8e4m3fn', 0x7f)));
  assert.is(one('float8e4m3fn', 0x01), 2 ** -9);
  assert.is(one('float8e4m3fnuz', 0x7f), 240);
  assert.ok(Number.isNaN(one('float8e4m3fnuz', 0x80)));
  assert.is(one('float8e5m2', 0x7b), 57344);
  assert.is(one('float8e5m2', 0xfc), -Infinity);
  assert.is(one('float8e5m2fnuz', 0x7f), 57344);
  assert.is(one('float8e8m0', 127), 1);
  assert.is(one('float8e8m0', 0), 2 ** -127);
});

test('float32 views are not copied where they lie aligned', () => {
  const bytes = new Uint8Array(Float32Array.of(1, 2, 3).buffer);
  assert.is(toFloat32('float32', bytes).buffer, bytes.buffer);
  const shifted = new Uint8Array(13);
  shifted.set(bytes, 1);
  assert.equal([...toFloat32('float32', shifted.subarray(1))], [1, 2, 3]);
  assert.equal([...toFloat32('float16', fromFloat32('float16', Float32Array.of(1, -0.5, 65504)))], [1, -0.5, 65504]);
});

test.run();
