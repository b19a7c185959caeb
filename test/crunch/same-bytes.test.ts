import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { CodeFormat, CodeGrain, FloatType, Layout, QuantizeRequest, ScaleLaw } from '../../compiler/crunch.ts';
import { bytesOf, engines, random } from './engines.ts';

const all = await engines();
const int = (bits: number, signed: boolean): CodeFormat =>
  signed
    ? { kind: 'int', bits, signed, lo: -(2 ** (bits - 1)), hi: 2 ** (bits - 1) - 1 }
    : { kind: 'int', bits, signed, lo: 0, hi: 2 ** bits - 1 };
const formats: CodeFormat[] = [
  ...[2, 3, 4, 8, 16].flatMap((bits) => [int(bits, true), int(bits, false)]),
  ...(['e4m3', 'e5m2', 'e2m1'] as const).map((name) => ({ kind: 'float', name }) as const),
];
const laws: ScaleLaw[] = [
  { name: 'minmax' },
  { name: 'signed_absmax' },
  { name: 'percentile', p: 97 },
  { name: 'share', ratio: 0.85 },
  { name: 'mse', steps: 20, shrink: 0.5, p: 2, signed: true },
  { name: 'mse', steps: 9, shrink: 0.4, p: 2.4, signed: false },
  { name: 'entropy', bins: 256 },
  { name: 'hqq', p: 0.7, beta: 10, kappa: 1.01, iterations: 20 },
];
const scaleTypes = ['float32', 'float16', 'bfloat16', 'float64', 'e8m0', 'nv'] as const;
const types: FloatType[] = ['float32', 'float16', 'bfloat16', 'float64'];

/** Weights of a kind: ordinary, with outliers, near zero, huge, denormal, with groups of zeros. */
function weights(n: number, kind: number, next: () => number): Float32Array {
  return Float32Array.from({ length: n }, (_, i) => {
    const x = (next() + next() + next() - 1.5) * 0.1;
    if (kind === 1) return next() < 0.02 ? x * 100 : x;
    if (kind === 2) return x * 1e-7;
    if (kind === 3) return x * 3e5;
    if (kind === 4) return x * 1e-38;
    if (kind === 5) return i % 64 < 32 ? 0 : x;
    return Math.round(x * 64) / 64;
  });
}

async function requests(count: number): Promise<QuantizeRequest[]> {
  const next = random(7);
  const pick = <T>(a: readonly T[]): T => a[Math.floor(next() * a.length)]!;
  const list: QuantizeRequest[] = [];
  const wasm = all.at(-1)![1];
  while (list.length < count) {
    const [out, reduce] = [1 + Math.floor(next() * 40), 1 + Math.floor(next() * 300)];
    const dtype = pick(types);
    const data = await wasm.cast(bytesOf(weights(out * reduce, Math.floor(next() * 6), next)), 'float32', dtype);
    const format = pick(formats);
    const layout: Layout = format.kind === 'int' && format.bits <= 8 ? pick(['plain', 'source', 'nbits']) : pick(['plain', 'source']);
    const group = pick([1, 5, 16, 32, 128]);
    const grains: CodeGrain[] = [{ per: 'channel' }, { per: 'group', group }];
    if (layout !== 'nbits') grains.push({ per: 'tensor' }, { per: 'block', rows: pick([1, 3, 8, 16]), cols: group });
    const symmetric = format.kind === 'float' || next() < 0.5;
    const law = pick(symmetric ? laws.filter((l) => l.name !== 'hqq') : laws);
    const importance = law.name === 'mse' && next() < 0.5 ? Float32Array.from({ length: reduce }, next) : undefined;
    const weight = { data, dtype, out, reduce, order: pick(['or', 'ro'] as const) };
    const scaleType = pick(scaleTypes);
    list.push({ weight, format, symmetric, grain: pick(grains), law, scaleType, layout, ...(importance ? { importance } : {}) });
  }
  return list;
}

test('quantize and dequantize give the same bytes on every engine', async () => {
  for (const r of await requests(250)) {
    const label = JSON.stringify({ ...r, weight: { ...r.weight, data: 0 }, importance: r.importance?.length });
    const results = await Promise.all(all.map(async ([, c]) => c.quantize(r)));
    const { importance: _, zeros: __, ...geometry } = { ...r, ...r.weight };
    const back = await Promise.all(all.map(([, c]) => c.dequantize({ ...geometry, ...results[0]! })));
    const first = results[0]!;
    results.forEach((q, i) => {
      const name = `${all[i]![0]} ${label}`;
      assert.equal(q.codes, first.codes, `codes ${name}`);
      assert.equal(q.scales, first.scales, `scales ${name}`);
      assert.equal(q.zeros, first.zeros, `zeros ${name}`);
      assert.equal([q.error, q.energy, q.globalScale], [first.error, first.energy, first.globalScale], `sums ${name}`);
      assert.equal(bytesOf(back[i]!), bytesOf(back[0]!), `decoded ${name}`);
    });
    // What is decoded is what the quantizer summed: the error is that of the decoded weight.
    const w = new Float32Array((await all[0]![1].cast(r.weight.data, r.weight.dtype, 'float32')).buffer);
    const [out, reduce] = [r.weight.out, r.weight.reduce];
    let error = 0;
    for (let n = 0; n < out; n++) {
      for (let k = 0; k < reduce; k++) {
        const d = Math.fround((r.weight.order === 'or' ? w[n * reduce + k]! : w[k * out + n]!) - back[0]![n * reduce + k]!);
        error += d * d;
      }
    }
    assert.ok(Math.abs(error - first.error) <= 1e-6 * first.energy + 1e-300, `error ${error} ${first.error} ${label}`);
  }
});

test('both orders of a weight give the same codes', async () => {
  const next = random(3);
  const [out, reduce] = [21, 70];
  const or = weights(out * reduce, 1, next);
  const ro = Float32Array.from(or, (_, i) => or[(i % out) * reduce + Math.floor(i / out)]!);
  for (const law of laws) {
    const rest = {
      format: int(4, false),
      symmetric: false,
      grain: { per: 'group', group: 32 },
      law,
      scaleType: 'float32',
      layout: 'plain',
    } as const;
    const c = all[0]![1];
    const a = await c.quantize({ ...rest, weight: { data: bytesOf(or), dtype: 'float32', out, reduce, order: 'or' } });
    const b = await c.quantize({ ...rest, weight: { data: bytesOf(ro), dtype: 'float32', out, reduce, order: 'ro' } });
    assert.equal(a, b, law.name);
  }
});

test('statistics are the same on every engine and in every batching', async () => {
  const next = random(5);
  const [rows, n] = [50, 37];
  const x = weights(rows * n, 1, next);
  const results = await Promise.all(
    all.map(async ([, c], which) => {
      const h = new Float64Array(n * n);
      const acc = Float64Array.from({ length: 5 * n }, (_, i) => (i < n ? Infinity : i < 2 * n ? -Infinity : 0));
      const counts = new Float64Array(128);
      const step = (which + 3) * 7 * n;
      for (let at = 0; at < x.length; at += step) {
        const batch = x.slice(at, at + step);
        await c.gram(h, batch, n);
        await c.moments(acc, batch, n);
        await c.histogram(counts, batch, -0.3, 0.3);
      }
      const clips = await Promise.all(
        laws.flatMap((law) => [true, false].map((symmetric) => c.clip(counts, -0.3, 0.3, int(8, true), symmetric, law))),
      );
      return { h, acc, counts, clips };
    }),
  );
  for (const r of results) assert.equal(r, results[0]);
  const { h, acc, counts } = results[0]!;
  let dot = 0;
  for (let r = 0; r < rows; r++) dot += x[r * n + 3]! * x[r * n + 30]!;
  assert.is(h[3 * n + 30], dot);
  assert.is(h[30 * n + 3], dot);
  assert.is(acc[2], Math.min(...Array.from({ length: rows }, (_, r) => x[r * n + 2]!)));
  assert.is(
    counts.reduce((a, b) => a + b),
    x.length,
  );
});

test.run();
