import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { CodeFormat, CodeGrain, QuantizeRequest } from '../../compiler/crunch.ts';
import { bytesOf, engines, random } from './engines.ts';

const all = await engines();
const f = Math.fround;
const INT4: CodeFormat = { kind: 'int', bits: 4, signed: true, lo: -8, hi: 7 };
const UINT4: CodeFormat = { kind: 'int', bits: 4, signed: false, lo: 0, hi: 15 };
const INT8: CodeFormat = { kind: 'int', bits: 8, signed: true, lo: -128, hi: 127 };
const even = (x: number): number => {
  const r = Math.round(x);
  return r - x === 0.5 && r % 2 !== 0 ? r - 1 : r;
};

function request(w: Float32Array, out: number, rest: Partial<QuantizeRequest>): QuantizeRequest {
  return {
    weight: { data: bytesOf(w), dtype: 'float32', out, reduce: w.length / out, order: 'or' },
    format: INT8,
    symmetric: true,
    grain: { per: 'channel' },
    law: { name: 'minmax' },
    scaleType: 'float32',
    layout: 'plain',
    ...rest,
  };
}

/** minmax as the language says it, one patch at a time in doubles rounded to float32 at each step. */
function oracle(w: Float32Array, out: number, format: CodeFormat & { kind: 'int' }, symmetric: boolean, grain: CodeGrain) {
  const reduce = w.length / out;
  const [rows, cols] =
    grain.per === 'tensor'
      ? [out, reduce]
      : grain.per === 'channel'
        ? [1, reduce]
        : grain.per === 'group'
          ? [1, grain.group]
          : [grain.rows, grain.cols];
  const codes = new Int8Array(w.length);
  const [scales, zeros]: number[][] = [[], []];
  for (let n0 = 0; n0 < out; n0 += rows) {
    for (let k0 = 0; k0 < reduce; k0 += cols) {
      const at: number[] = [];
      for (let n = n0; n < Math.min(out, n0 + rows); n++) for (let k = k0; k < Math.min(reduce, k0 + cols); k++) at.push(n * reduce + k);
      const [min, max] = [Math.min(0, ...at.map((i) => w[i]!)), Math.max(0, ...at.map((i) => w[i]!))];
      const s = (symmetric ? f(Math.max(max, -min) / format.hi) : f(f(max - min) / (format.hi - format.lo))) || 1;
      const z = symmetric ? 0 : Math.min(format.hi, Math.max(format.lo, even(f(format.lo - f(min / s)))));
      scales!.push(s);
      zeros!.push(z);
      for (const i of at) codes[i] = Math.min(format.hi, Math.max(format.lo, even(f(w[i]! / s)) + z));
    }
  }
  return { codes: new Uint8Array(codes.buffer), scales: Float32Array.from(scales!), zeros: new Uint8Array(Int8Array.from(zeros!).buffer) };
}

test('minmax in every grain is what its formula says', async () => {
  const next = random(11);
  const grains: CodeGrain[] = [{ per: 'tensor' }, { per: 'channel' }, { per: 'group', group: 16 }, { per: 'block', rows: 3, cols: 20 }];
  for (const [out, reduce] of [
    [1, 1],
    [7, 33],
    [10, 64],
    [17, 48],
  ] as const) {
    const w = Float32Array.from({ length: out * reduce }, () => even((next() - 0.4) * 40) / 16);
    for (const grain of grains) {
      for (const format of [INT4, UINT4, INT8]) {
        for (const symmetric of format === UINT4 ? [false] : [true, false]) {
          const want = oracle(w, out, format as CodeFormat & { kind: 'int' }, symmetric, grain);
          for (const [name, c] of all) {
            const got = await c.quantize(request(w, out, { format, symmetric, grain }));
            const label = `${name} ${out}×${reduce} ${JSON.stringify([grain, format, symmetric])}`;
            assert.equal(new Float32Array(got.scales.buffer), want.scales, label);
            assert.equal(got.codes, want.codes, label);
            assert.equal(got.zeros, symmetric ? undefined : want.zeros, label);
          }
        }
      }
    }
  }
});

test('layouts hold the same codes', async () => {
  const next = random(2);
  const [out, reduce, group] = [6, 40, 16];
  const w = Float32Array.from({ length: out * reduce }, () => next() - 0.5);
  const ro = Float32Array.from(w, (_, i) => w[(i % out) * reduce + Math.floor(i / out)]!);
  for (const [, c] of all) {
    const base = { format: INT4, grain: { per: 'group', group }, symmetric: false } as const;
    const plain = await c.quantize(request(w, out, base));
    const at = (n: number, k: number) => plain.codes[n * reduce + k]! & 15;
    const nibble = (bytes: Uint8Array, i: number) => (bytes[i >> 1]! >> (4 * (i & 1))) & 15;
    const source = await c.quantize({ ...request(w, out, base), layout: 'source' });
    const turned = await c.quantize({
      ...request(w, out, base),
      weight: { data: bytesOf(ro), dtype: 'float32', out, reduce, order: 'ro' },
      layout: 'source',
    });
    const nbits = await c.quantize({ ...request(w, out, base), layout: 'nbits' });
    assert.is(nbits.codes.length, out * 3 * 8);
    for (let n = 0; n < out; n++) {
      for (let k = 0; k < reduce; k++) {
        assert.is(nibble(source.codes, n * reduce + k), at(n, k));
        assert.is(nibble(turned.codes, k * out + n), at(n, k));
        assert.is(nibble(nbits.codes, n * 48 + k), at(n, k) ^ 8);
      }
      for (let g = 0; g < 3; g++) {
        assert.is(nibble(source.zeros!, n * 3 + g), plain.zeros![n * 3 + g]! & 15);
        assert.is(nibble(turned.zeros!, g * out + n), plain.zeros![n * 3 + g]! & 15);
        assert.is(nibble(nbits.zeros!.subarray(n * 2), g), (plain.zeros![n * 3 + g]! & 15) ^ 8);
        assert.is(new Float32Array(turned.scales.buffer)[g * out + n], new Float32Array(plain.scales.buffer)[n * 3 + g]);
      }
    }
  }
});

test('mse is not worse than its start, and importance moves it', async () => {
  const next = random(4);
  const w = Float32Array.from({ length: 8 * 128 }, () => (next() + next() + next() - 1.5) ** 3);
  const grain: CodeGrain = { per: 'group', group: 32 };
  const law = { name: 'mse', steps: 60, shrink: 0.5, p: 2, signed: true } as const;
  for (const [, c] of all) {
    const [plain, signed, mse] = await Promise.all(
      [{ name: 'minmax' } as const, { name: 'signed_absmax' } as const, law].map((l) =>
        c.quantize(request(w, 8, { format: INT4, grain, law: l })),
      ),
    );
    assert.ok(mse!.error < 0.95 * Math.min(plain!.error, signed!.error));
    const importance = Float32Array.from({ length: 128 }, (_, k) => (k % 32 < 4 ? 100 : 0.01));
    const weighted = await c.quantize(request(w, 8, { format: INT4, grain, law, importance }));
    const cost = async (q: typeof weighted) => {
      const d = await c.dequantize({ ...q, out: 8, reduce: 128, order: 'or', format: INT4, grain, scaleType: 'float32', layout: 'plain' });
      return d.reduce((sum, v, i) => sum + importance[i % 128]! * (v - w[i]!) ** 2, 0);
    };
    assert.ok((await cost(weighted)) < (await cost(mse!)));
  }
});

test('given scales and zero points are kept', async () => {
  const w = Float32Array.of(-1, 0.25, 0.5, 9, 0.1, 0.2, 0.3, 0.4);
  const given = { scales: Float32Array.of(0.5, -0.1), zeros: Float32Array.of(3, 15), format: UINT4, symmetric: false };
  for (const [, c] of all) {
    const q = await c.quantize(request(w, 2, given));
    assert.equal([...q.codes], [1, 3, 4, 15, 14, 13, 12, 11]);
    assert.equal([...q.zeros!], [3, 15]);
    assert.equal(new Float32Array(q.scales.buffer), given.scales);
  }
});

test('block scales of floating-point formats', async () => {
  const w = Float32Array.from({ length: 64 }, (_, i) => (i === 5 ? 7.9 : i === 40 ? 0.11 : i / 1000));
  for (const [, c] of all) {
    const grain: CodeGrain = { per: 'group', group: 32 };
    const mx = await c.quantize(request(w, 1, { format: { kind: 'float', name: 'e2m1' }, grain, scaleType: 'e8m0' }));
    assert.equal([...mx.scales], [127 + 2 - 2, 127 - 4 - 2]);
    assert.is(mx.codes[5], 7);
    const nv = await c.quantize(request(w, 1, { format: { kind: 'float', name: 'e2m1' }, grain, scaleType: 'nv' }));
    assert.is(nv.globalScale, f(f(f(7.9) / 6) / 448));
    assert.equal([nv.scales[0], nv.codes[5]], [0x7e, 7]);
  }
});

test('a weight can be a range of a file', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'qc-'));
  const path = join(folder, 'w.bin');
  const w = Float32Array.from({ length: 4096 }, (_, i) => Math.sin(i));
  writeFileSync(path, new Uint8Array([1, 2, 3, ...bytesOf(w)]));
  for (const [, c] of all) {
    const inMemory = await c.quantize(request(w, 16, {}));
    const weight = { data: { path, at: 3, len: w.byteLength }, dtype: 'float32', out: 16, reduce: 256, order: 'or' } as const;
    assert.equal(await c.quantize({ ...request(w, 16, {}), weight }), inMemory);
    const late = { ...weight, data: { ...weight.data, at: 9 } };
    assert.match(
      await failure(c.quantize({ ...request(w, 16, {}), weight: late })),
      /^unreadable: .*w\.bin: bytes 9 \+ 16384 are past its end/,
    );
    const missing = { ...weight, data: { ...weight.data, path: join(folder, 'none') } };
    assert.match(await failure(c.quantize({ ...request(w, 16, {}), weight: missing })), /^unreadable: /);
  }
  rmSync(folder, { recursive: true });
});

test('weights that are not finite are refused with their place', async () => {
  for (const bad of [NaN, Infinity, -Infinity]) {
    const w = Float32Array.from({ length: 30 * 50 }, (_, i) => (i === 17 * 50 + 31 || i === 20 * 50 ? bad : i % 7));
    for (const [, c] of all) {
      for (const law of [
        { name: 'minmax' },
        { name: 'mse', steps: 5, shrink: 0.5, p: 2, signed: true },
        { name: 'entropy', bins: 64 },
      ] as const) {
        for (const grain of [{ per: 'tensor' }, { per: 'group', group: 10 }] as const) {
          const message = await failure(c.quantize(request(w, 30, { law, grain })));
          assert.is(message, 'nan-weight: the weight of output 17, input 31 is NaN or infinite');
        }
      }
    }
  }
});

test('what no law can do is refused', async () => {
  const w = new Float32Array(64);
  for (const [, c] of all) {
    const hqq = { name: 'hqq', p: 0.7, beta: 10, kappa: 1.01, iterations: 20 } as const;
    assert.match(await failure(c.quantize(request(w, 2, { law: hqq }))), /^bad-law: /);
    assert.match(await failure(c.quantize(request(w, 2, { format: { ...INT8, hi: 300 } as CodeFormat }))), /bad-request/);
    assert.match(await failure(c.quantize({ ...request(w, 2, {}), layout: 'nbits', grain: { per: 'tensor' } })), /bad-request/);
    assert.match(await failure(c.quantize({ ...request(w, 2, {}), weight: { ...request(w, 2, {}).weight, out: 3 } })), /bad-request/);
  }
});

async function failure(promise: Promise<unknown>): Promise<string> {
  return promise.then(
    () => 'no error',
    (e: Error) => e.message,
  );
}

test.run();
