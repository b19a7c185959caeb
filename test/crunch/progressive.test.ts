/** Codes of codes: QServe's W4 under integer steps. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { Crunch, QuantizeRequest } from '../../compiler/crunch.ts';
import { bytesOf, engines, random } from './engines.ts';

const all = await engines();
const [, first] = all[0]!;

const request = (w: Float32Array, reduce: number, group: number, rest: Partial<QuantizeRequest> = {}): QuantizeRequest => ({
  weight: { data: bytesOf(w), dtype: 'float32', out: w.length / reduce, reduce, order: 'or' },
  format: { kind: 'int', bits: 4, signed: false, lo: 0, hi: 15 },
  symmetric: false,
  grain: { per: 'group', group },
  law: { name: 'minmax' },
  scaleType: 'int8',
  outer: { bound: 119, type: 'float32' },
  layout: 'plain',
  ...rest,
});
async function decoded(crunch: Crunch, r: QuantizeRequest): Promise<Float32Array> {
  const q = await crunch.quantize(r);
  const { out, reduce, order } = r.weight;
  const { format, grain, scaleType, outer, layout } = r;
  return crunch.dequantize({ ...q, out, reduce, order, format, grain, scaleType, layout, ...(outer ? { outer } : {}) });
}

/** Whether (q − z)·s leaves int8 for some integer in [min, max] when nothing holds it back. */
function overflows(min: number, max: number): boolean {
  const [lo, hi] = [Math.min(min, 0), Math.max(max, 0)];
  const s = Math.max(1, Math.round((hi - lo) / 15));
  const z = Math.min(15, Math.max(0, Math.round(-lo / s)));
  const at = (w: number) => (Math.min(15, Math.max(0, Math.round(w / s) + z)) - z) * s;
  return at(min) < -128 || at(max) > 127;
}
const pairs = (bound: number): [number, number][] =>
  Array.from({ length: 2 * bound + 1 }, (_, i) => i - bound).flatMap((min) =>
    Array.from({ length: bound - min + 1 }, (_, k): [number, number] => [min, min + k]),
  );

test('119 is the largest bound that never overflows by itself', () => {
  const count = (bound: number) => pairs(bound).filter(([a, b]) => overflows(a, b)).length;
  assert.is(count(119), 0);
  assert.ok(count(120) > 0 && count(127) > 0, `${count(120)} ${count(127)}`);
});

test('every (min, max) stays in int8, and a wider bound is held there', async () => {
  for (const bound of [119, 127]) {
    const of = pairs(bound);
    // the first group gives the row the step 1
    const w = Float32Array.from(of.flatMap(([min, max]) => [bound, 0, 0, 0, min, max, Math.round((min + max) / 2), 0]));
    const found = await decoded(first, request(w, 8, 4, { outer: { bound, type: 'float32' } }));
    assert.ok(found.every((v) => Number.isInteger(v) && v >= -128 && v <= 127));
  }
});

test('against float steps it loses at most 0.6 dB', async () => {
  const next = random(3);
  const gauss = () => Math.sqrt(-2 * Math.log(1 - next())) * Math.cos(2 * Math.PI * next());
  const w = Float32Array.from({ length: 64 * 1024 }, gauss);
  const db = (x: { error: number; energy: number }) => 10 * Math.log10(x.energy / x.error);
  const { outer: _, ...plain } = request(w, 1024, 128);
  const float = db(await first.quantize({ ...plain, scaleType: 'float32' }));
  const progressive = db(await first.quantize(request(w, 1024, 128)));
  const channel = db(await first.quantize({ ...plain, scaleType: 'float32', grain: { per: 'channel' } }));
  assert.ok(progressive > float - 0.6 && float > 19.5 && progressive > channel + 1.5, `${float} ${progressive} ${channel}`);
});

test('the error that is told is that of the decoded weight', async () => {
  const next = random(4);
  const w = Float32Array.from({ length: 9 * 64 }, () => next() - 0.5);
  const r = request(w, 64, 32);
  const { error, energy } = await first.quantize(r);
  const v = await decoded(first, r);
  const sum = w.reduce((s, x, i) => s + (x - v[i]!) ** 2, 0);
  assert.ok(Math.abs(error / sum - 1) < 1e-4 && Math.abs(energy / w.reduce((s, x) => s + x * x, 0) - 1) < 1e-4, `${error} ${sum}`);
});

test('every engine gives the same bytes, in every type of the rows', async () => {
  const next = random(6);
  const w = Float32Array.from({ length: 21 * 96 }, () => (next() + next() - 1) * (next() < 0.02 ? 30 : 1));
  for (const type of ['float32', 'float16', 'bfloat16'] as const)
    for (const law of [
      { name: 'minmax' },
      { name: 'share', ratio: 0.9 },
      { name: 'mse', steps: 20, shrink: 0.6, p: 2, signed: false },
    ] as const) {
      const r = request(w, 96, 32, { outer: { bound: 119, type }, law, layout: 'source' });
      const results = await Promise.all(all.map(async ([, c]) => [await c.quantize(r), await decoded(c, r)]));
      for (const [k, x] of results.entries()) assert.equal(x, results[0], `${type} ${law.name} ${all[k]![0]}`);
    }
});

test.after(async () => {
  for (const [, c] of all) await c.close();
});
test.run();
