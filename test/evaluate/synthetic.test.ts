/** Embedding and diffusion evaluations on models small enough to be computed here. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { encodeNpz } from '../../compiler/calibrate/npz.ts';
import { ofFloats, valueFrom } from '../../compiler/calibrate/values.ts';
import { evaluateFixture } from '../../compiler/evaluate/index.ts';
import type { Model } from '../../compiler/graph/types.ts';
import { writeModel } from '../../compiler/graph/write.ts';
import type { Value } from '../../compiler/host.ts';
import { nodeHost } from '../../compiler/node/host.ts';
import { floatTensor, folder, graph, info, model, node, numbers } from '../calibrate/_make.ts';

const host = await nodeHost({ threads: 1 });
test.after(() => host.close());
const near = (a: number | undefined, b: number, tolerance = 1e-6) =>
  assert.ok(Math.abs(a! - b) <= tolerance * Math.max(1, Math.abs(b)), `${a} is not ${b}`);

async function fixture(models: Record<string, Model>, evals: Record<string, Record<string, Value>>) {
  const dir = folder(
    Object.fromEntries(Object.entries(evals).map(([name, arrays]) => [`eval/${name}.npz`, encodeNpz(new Map(Object.entries(arrays)))])),
  );
  for (const [name, m] of Object.entries(models)) await writeModel(host, m, `${dir.path}/${name}.onnx`, { dir: '.' });
  return dir;
}
const f64 = (shape: number[], data: ArrayLike<number>) => valueFrom('float64', shape, data);
const i64 = (shape: number[], data: ArrayLike<number>) => valueFrom('int64', shape, data);

test('embeddings: padding is left out, rows find their own', async () => {
  const table = numbers(6 * 3, 1);
  const lookup = model(
    graph(
      [info('input_ids', 'int64', ['b', 'n']), info('attention_mask', 'int64', ['b', 'n'])],
      [node('Gather', ['table', 'input_ids'], ['hidden'])],
      [info('hidden', 'float32', ['b', 'n', 3])],
      { table: floatTensor([6, 3], [...table]) },
    ),
  );
  // query 0 = tokens 1, 2; query 1 = token 3. Body 0 = 1, 2, 1; body 1 = 3, 4. Token 5 is padding and would turn every vector over.
  const pooled = (ids: number[]) => {
    const mean = [0, 1, 2].map((c) => ids.reduce((s, id) => s + table[id * 3 + c]!, 0) / ids.length);
    const norm = Math.hypot(...mean);
    return mean.map((v) => v / norm);
  };
  const [queries, bodies] = [
    [[1, 2], [3]],
    [
      [1, 2, 1],
      [3, 4],
    ],
  ];
  const padded = (lists: number[][], n: number) => ({
    input_ids: i64(
      [2, n],
      lists.flatMap((l) => [...l, ...new Array(n - l.length).fill(5)]),
    ),
    attention_mask: i64(
      [2, n],
      lists.flatMap((l) => [...l.map(() => 1), ...new Array(n - l.length).fill(0)]),
    ),
  });
  const reference = (lists: number[][], flip: number) =>
    ofFloats([2, 3], Float32Array.from(lists.flatMap((l, i) => pooled(l).map((v) => (i === flip ? -v : v)))));
  const dir = await fixture(
    { model: lookup },
    {
      queries: padded(queries!, 4),
      bodies: padded(bodies!, 5),
      reference: { query_emb: reference(queries!, -1), body_emb: reference(bodies!, 1) },
    },
  );
  const s = await evaluateFixture(host, dir.path);
  const dot = (a: number[], b: number[]) => a.reduce((t, v, i) => t + v * b[i]!, 0);
  const hits = queries!.map((q, i) => Number(dot(pooled(q), pooled(bodies![i]!)) > dot(pooled(q), pooled(bodies![1 - i]!))));
  near(s['accuracy_at_1'], (hits[0]! + hits[1]!) / 2);
  // one of the four reference rows is turned over: (1 + 1 + 1 − 1) / 4
  near(s['mean_cosine'], 0.5);
  dir.remove();
});

test('diffusion: eps along the trajectory, the rollout, the judge and Fréchet', async () => {
  const [rows, n] = [6, 4];
  const half = model(
    graph(
      [info('x', 'float32', ['b', n]), info('t', 'int64', ['b']), info('y', 'int64', ['b'])],
      [node('Mul', ['x', 'half'], ['eps'])],
      [info('eps', 'float32', ['b', n])],
      { half: floatTensor([1], [0.5]) },
    ),
  );
  const judge = model(
    graph(
      [info('image', 'float32', ['b', n])],
      [node('Identity', ['image'], ['features']), node('Neg', ['image'], ['logits'])],
      [info('features', 'float32', ['b', n]), info('logits', 'float32', ['b', n])],
    ),
  );
  const kept = [0.9, 0.6, 0.3];
  const start = numbers(rows * n, 7);
  const classes = [0, 1, 2, 3, 0, 1];
  const final = [2, 1, 0].reduce<number[]>(
    (x, t, i) => {
      const [now, next] = [kept[t]!, i < 2 ? kept[t - 1]! : 1];
      return x.map(
        (v) =>
          Math.sqrt(next) * Math.max(-1, Math.min(1, (v - Math.sqrt(1 - now) * 0.5 * v) / Math.sqrt(now))) + Math.sqrt(1 - next) * 0.5 * v,
      );
    },
    [...start],
  );
  const shifted = final.map((v) => v + 0.01);
  const seen = numbers(2 * rows * n, 8);
  // at t = 2 the trajectory's eps is what the model says, at t = 0 twice as much: 10·log10(1 / 0.5²)
  const eps = seen.map((v, i) => (i < rows * n ? 0.5 * v : v));
  const mu = Array.from({ length: n }, (_, c) => final.filter((_, i) => i % n === c).reduce((a, b) => a + b, 0) / rows);
  const covariance = Array.from({ length: n * n }, (_, k) => {
    const [i, j] = [Math.floor(k / n), k % n];
    return (
      Array.from({ length: rows }, (_, r) => (final[r * n + i]! - mu[i]!) * (final[r * n + j]! - mu[j]!)).reduce((a, b) => a + b, 0) /
      (rows - 1)
    );
  });
  const dir = await fixture(
    { model: half, judge },
    {
      schedule: { alphas_cumprod: f64([3], kept), steps: i64([3], [2, 1, 0]) },
      noise: { x: ofFloats([rows, n], start), y: i64([rows], classes) },
      reference: { final: ofFloats([rows, n], Float32Array.from(shifted)) },
      trajectory: { x: ofFloats([2, rows, n], seen), eps: ofFloats([2, rows, n], eps), t: i64([2], [2, 0]), y: i64([rows], classes) },
      // the samples' own covariance, and their mean moved by 0.1 in each of four features
      real_stats: {
        mu: f64(
          [n],
          mu.map((v) => v + 0.1),
        ),
        sigma: f64([n, n], covariance),
      },
    },
  );
  const s = await evaluateFixture(host, dir.path);
  near(s['psnr_db'], 10 * Math.log10(4 / 1e-4), 1e-4);
  near(s['eps_sqnr_db.0'], 20 * Math.log10(2), 1e-4);
  assert.ok(s['eps_sqnr_db.2']! > 100);
  near(s['eps_sqnr_db_mean'], (s['eps_sqnr_db.0']! + s['eps_sqnr_db.2']!) / 2);
  near(s['frechet'], 4 * 0.01, 1e-4);
  const lowest = Array.from({ length: rows }, (_, r) => final.slice(r * n, (r + 1) * n)).map((row) => row.indexOf(Math.min(...row)));
  near(s['judge_accuracy'], lowest.filter((c, i) => c === classes[i]).length / rows);
  dir.remove();
});

test.run();
