import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { unpadded } from '../../compiler/calibrate/padding.ts';
import { valueFrom } from '../../compiler/calibrate/values.ts';
import type { Metric } from '../../compiler/define.ts';
import { frechet, moments } from '../../compiler/evaluate/frechet.ts';
import { metrics } from '../../compiler/metrics/index.ts';
import { numbers } from '../calibrate/_make.ts';

/** A metric over batches of rows of `last`. */
function measure(name: string, batches: readonly (readonly [Float32Array, Float32Array])[], last: number): number {
  const metric: Metric = metrics.find((m) => m.name === name)!;
  const acc = metric.start();
  for (const [a, b] of batches) metric.fold(acc, a, b, last);
  return metric.finish(acc);
}
const near = (a: number, b: number, tolerance = 1e-9) =>
  assert.ok(Math.abs(a - b) <= tolerance * Math.max(1, Math.abs(b)), `${a} is not ${b}`);

const last = 4;
const x = [numbers(12, 1), numbers(20, 2)];
const y = [numbers(12, 3), numbers(20, 4)].map((noise, i) => x[i]!.map((v, k) => v + 0.3 * noise[k]!));
const batches = x.map((a, i) => [a, y[i]!] as const);
const [a, b] = [x, y].map((list) => list.flatMap((part) => [...part])) as [number[], number[]];
const rows = (flat: readonly number[]) => Array.from({ length: flat.length / last }, (_, r) => flat.slice(r * last, (r + 1) * last));
const total = (list: readonly number[]) => list.reduce((s, v) => s + v, 0);
const average = (list: readonly number[]) => total(list) / list.length;
const squares = total(a.map((v, i) => (v - b[i]!) ** 2));

test('element-wise metrics over several batches are those of the whole', () => {
  near(measure('sqnr', batches, last), 10 * Math.log10(total(a.map((v) => v * v)) / squares));
  near(measure('mse', batches, last), squares / a.length);
  near(measure('max_error', batches, last), Math.max(...a.map((v, i) => Math.abs(v - b[i]!))));
  near(measure('psnr', batches, last), 10 * Math.log10((Math.max(...a) - Math.min(...a)) ** 2 / (squares / a.length)));
});

test('row metrics over several batches are those of the whole', () => {
  const pairs = rows(a).map((r, i) => [r, rows(b)[i]!] as const);
  const softmax = (r: readonly number[]) => r.map((v) => Math.exp(v) / total(r.map(Math.exp)));
  near(measure('kl', batches, last), average(pairs.map(([p, q]) => total(softmax(p).map((v, i) => v * Math.log(v / softmax(q)[i]!))))));
  const norm = (r: readonly number[]) => Math.sqrt(total(r.map((v) => v * v)));
  near(measure('cosine', batches, last), average(pairs.map(([p, q]) => total(p.map((v, i) => v * q[i]!)) / (norm(p) * norm(q)))));
  const top = (r: readonly number[]) => r.indexOf(Math.max(...r));
  near(measure('agreement', batches, last), average(pairs.map(([p, q]) => Number(top(p) === top(q)))));
});

test('the same values: no noise', () => {
  const same = x.map((v) => [v, v] as const);
  const values = ['mse', 'max_error', 'kl', 'cosine', 'agreement'].map((name) => measure(name, same, last));
  for (const [i, v] of values.entries()) near(v, [0, 0, 0, 1, 1][i]!, 1e-12);
  assert.ok(measure('sqnr', same, last) > 300);
});

test('kl of large logits does not overflow', () => {
  near(measure('kl', [[Float32Array.of(1000, 0), Float32Array.of(0, 1000)]], 2), 1000);
});

test('a NaN is never hidden', () => {
  const broken = [[Float32Array.of(1, 2), Float32Array.of(1, Number.NaN)]] as const;
  for (const name of ['sqnr', 'mse', 'psnr', 'kl', 'cosine', 'max_error']) assert.ok(Number.isNaN(measure(name, broken, 2)), name);
});

test('Fréchet: commuting covariances have a closed form', () => {
  // tr(Σ₁ + Σ₂ − 2√(Σ₁Σ₂)) = Σ (√λ₁ − √λ₂)², in a rotated basis
  const [c, s] = [Math.cos(0.7), Math.sin(0.7)];
  const rotate = (p: number, q: number) => Float64Array.of(c * c * p + s * s * q, c * s * (p - q), c * s * (p - q), s * s * p + c * c * q);
  near(frechet(Float64Array.of(1, 2), rotate(4, 9), Float64Array.of(0, 4), rotate(1, 16)), 1 + 4 + 1 + 1);
  near(frechet(Float64Array.of(1, 2), rotate(4, 0), Float64Array.of(1, 2), rotate(4, 0)), 0);
});

test('Fréchet: covariances that do not commute, against the roots of a 2×2 product', () => {
  // tr√M of a 2×2 M with positive eigenvalues is √(tr M + 2√det M)
  const [p, q] = [Float64Array.of(2, 0.5, 0.5, 1), Float64Array.of(1, -0.3, -0.3, 3)];
  const product = [0, 1].flatMap((i) => [0, 1].map((j) => p[2 * i]! * q[j]! + p[2 * i + 1]! * q[2 + j]!));
  const root = Math.sqrt(product[0]! + product[3]! + 2 * Math.sqrt(product[0]! * product[3]! - product[1]! * product[2]!));
  near(frechet(new Float64Array(2), p, new Float64Array(2), q), 3 + 4 - 2 * root);
});

test('moments of rows', () => {
  const { mean, covariance } = moments(Float32Array.of(1, 2, 3, 6, 5, 4), 3);
  assert.equal(
    [[...mean], [...covariance]],
    [
      [3, 4],
      [4, 2, 2, 4],
    ],
  );
});

test('padding is no output: tokens whose attention_mask is 0 are not compared', () => {
  const mask = valueFrom('int64', [2, 2], [1, 0, 1, 1]);
  const x = Float32Array.of(1, 2, 3, 4, 5, 6, 7, 8);
  assert.equal([...unpadded(x, [2, 2, 2], mask)], [1, 2, 5, 6, 7, 8]);
  assert.is(unpadded(x, [2, 2, 2], undefined), x);
  // pooled outputs have no tokens; other shapes are no mask of these rows
  assert.is(unpadded(x, [2, 4], mask), x);
  assert.is(unpadded(x, [4, 1, 2], mask), x);
});

test.run();
