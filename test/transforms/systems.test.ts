/** Acceptance checks of systems.md on its toy layer, thresholds measured with our own generator. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { composed, covariance, type Evidence, klt, learn, logQsur, rangeNorm } from '../../compiler/fold/learn.ts';
import { rounded } from '../../compiler/fold/output-error.ts';
import { times } from '../../compiler/fold/product.ts';
import { defect, matrixOf, type Rotation, signs } from '../../compiler/fold/rotation.ts';
import { roundRows } from '../../compiler/fold/round-rows.ts';
import { hadamard } from '../../compiler/matrices/hadamard.ts';
import { nodeHost } from '../../compiler/node/host.ts';
import type { QType } from '../../compiler/plan/types.ts';
import type { Site } from '../../compiler/sites.ts';
import { type Layer, layer, N, outputs, smoothed, sqnr } from './toy.ts';

const host = await nodeHost({ threads: 1 });
test.after(() => host.close());
const { crunch } = host;
const site = { id: 'toy', path: 'toy', members: [], ports: {} } as unknown as Site;
const int4 = (grain: QType['grain'], mode: QType['mode']): QType => ({
  format: { name: 'int', args: { bits: 4 } },
  codes: { kind: 'int', bits: 4, signed: true, lo: -8, hi: 7 },
  bits: 4,
  symmetric: true,
  grain,
  mode,
  law: { name: 'minmax', args: {} },
  scaleType: 'model',
  text: 'int4',
});
const weight = int4({ per: 'channel' }, 'static');
const input = int4({ per: 'token' }, 'dynamic');
const ctx = {
  crunch,
  bytes: async (t: { source: unknown }) => (t.source as { bytes: Uint8Array }).bytes,
  mapped: () => undefined,
} as never;

const codesOf = (w: Float32Array, type = weight) => rounded({ site, type, out: w.length / N, reduce: N }, w, ctx);
/** W4A4 SQNR on rows: weights by output channel, activations by token. */
const w4a4 = async (x: Float32Array, w: Float32Array) => sqnr(outputs(x, w), outputs(roundRows(x, N, input), await codesOf(w)));
const turned = async (l: Layer, r: Rotation): Promise<Layer> => {
  const m = Float32Array.from(matrixOf(r));
  const [x, held, w] = [await times(l.x, m, N, crunch), await times(l.held, m, N, crunch), await times(l.w, m, N, crunch)];
  return { x, held, w, gain: l.gain };
};
const evidence = (l: Layer): Evidence => ({ pairs: [{ x: l.x, w: l.w, site, input, weight }], ctx });

test('eigenvectors: A v = λ v, orthonormal, sorted; leading ones agree', async () => {
  const l = layer(3, 64);
  const a = new Float64Array(N * N);
  for (let r = 0; r < 64; r++) for (let i = 0; i < N; i++) for (let j = 0; j < N; j++) a[i * N + j]! += l.x[r * N + i]! * l.x[r * N + j]!;
  const { values, vectors } = await crunch.eigen(a, N);
  const start = Float32Array.from({ length: 8 * N }, (_, i) => Math.sin(i * i));
  const { basis: top } = await crunch.lowRank({ weight: Float32Array.from(a), n: N, start, rank: 4, steps: 30, half: false });
  for (let k = 0; k < N; k++) {
    if (k > 0) assert.ok(values[k - 1]! >= values[k]!);
    for (let i = 0; i < N; i++) {
      let sum = 0;
      for (let j = 0; j < N; j++) sum += a[i * N + j]! * vectors[k * N + j]!;
      assert.ok(Math.abs(sum - values[k]! * vectors[k * N + i]!) < 1e-9 * values[0]!);
    }
  }
  // the subspace, not each vector, is what a truncation needs
  for (let k = 0; k < 4; k++) {
    let share = 0;
    for (let r = 0; r < 4; r++) {
      let dot = 0;
      for (let j = 0; j < N; j++) dot += top[r * N + j]! * vectors[k * N + j]!;
      share += dot * dot;
    }
    assert.ok(Math.abs(share - 1) < 1e-6, `${k}: ${share}`);
  }
});

test('rotation behind smoothing: smooth + Hadamard beats each alone', async () => {
  const l = layer();
  const s = smoothed(l, 0.5);
  const [raw, smooth] = [await w4a4(l.x, l.w), await w4a4(s.x, s.w)];
  const rotated = await turned(l, hadamard(N)!);
  const both = await turned(s, hadamard(N)!);
  const [alone, together] = [await w4a4(rotated.x, rotated.w), await w4a4(both.x, both.w)];
  console.log(`W4A4 dB: none ${raw.toFixed(1)}, smooth ${smooth.toFixed(1)}, Hadamard ${alone.toFixed(1)}, both ${together.toFixed(1)}`);
  assert.ok(smooth >= raw + 2 && together >= smooth + 2 && together >= alone + 5);
});

test('KLT · Hadamard makes all channel variances equal (MambaQuant)', async () => {
  const l = layer();
  const spread = async (r: Rotation) => {
    const c = await covariance({ pairs: [{ x: (await turned(l, r)).x, w: l.w, site }], ctx }, 'inputs', N);
    const rms = Array.from({ length: N }, (_, i) => Math.sqrt(c[i * N + i]!));
    return Math.max(...rms) / Math.min(...rms);
  };
  const k = await klt({ pairs: [{ x: l.x, w: l.w, site }], ctx }, 'inputs', N);
  assert.ok(defect(k) < 1e-10);
  const h = hadamard(N)!;
  const [plain, equal] = [await spread(h), await spread(composed(k, h))];
  console.log(`RMS max/min: Hadamard ${plain.toFixed(3)}, KLT · Hadamard ${equal.toFixed(4)}`);
  assert.ok(equal <= 1.02 && equal - 1 <= (plain - 1) / 5);
});

test('learnt rotations (OSTQuant): J never rises, R stays orthogonal, held-out error falls', async () => {
  const s = smoothed(layer(), 0.5);
  const start = hadamard(N)!;
  const learnt = await learn(evidence(s), start, { steps: 80, p: 10, holdout: 0.25 });
  for (let i = 1; i < learnt.history.length; i++) assert.ok(learnt.history[i]! <= learnt.history[i - 1]!);
  assert.ok(defect(learnt.rotation) < 1e-6);
  const [before, after] = [await turned(s, start), await turned(s, learnt.rotation)];
  const dB = [
    await w4a4(before.x, before.w),
    await w4a4(after.x, after.w),
    await w4a4(before.held, before.w),
    await w4a4(after.held, after.w),
  ];
  const q = [await logQsur(evidence(s), start, N), await logQsur(evidence(s), learnt.rotation, N)];
  console.log(
    `learnt: ${dB.map((x) => x.toFixed(2)).join(' → ')} dB (calibration, held out); log QSUR ${q.map((x) => x.toFixed(3)).join(' → ')}; ${learnt.note}`,
  );
  assert.ok(dB[3]! >= dB[2]! + 1.0, 'held out at least 1 dB');
});

test('learning never ends below its start, on held-out rows: white data', async () => {
  const l = layer(7);
  const white = { ...l, x: l.x.map((_, i) => l.x[(i * 7919) % l.x.length]! / l.gain[((i * 7919) % l.x.length) % N]!) };
  const e = evidence(white);
  const start = hadamard(N)!;
  const learnt = await learn(e, start, { steps: 8, p: 10, holdout: 0.5 });
  const error = Number(/held-out error (\S+) of the start/.exec(learnt.note)![1]);
  assert.ok(error <= 1, learnt.note);
  assert.ok(defect(learnt.rotation) < 1e-6);
});

test('restarts: signs before the matrix, orthogonal, each its own; range norm and QSUR tell them apart', async () => {
  const s = smoothed(layer(), 0.5);
  const h = hadamard(N)!;
  const found = [h, composed(signs(N, 1), h), composed(signs(N, 2), h)];
  for (const r of found) assert.ok(defect(r) < 1e-12);
  const norms = await Promise.all(found.map((r) => rangeNorm(evidence(s), r, N, 10)));
  const filled = await Promise.all(found.map((r) => logQsur(evidence(s), r, N)));
  assert.is(new Set(norms.map((x) => x.toFixed(6))).size, 3);
  assert.is(new Set(filled.map((x) => x.toFixed(6))).size, 3);
});

test('low-rank branches (SVDQuant): more rank, less error; full rank is exact', async () => {
  const s = smoothed(layer(), 0.5);
  const y = outputs(s.x, s.w);
  const at = async (rank: number) => {
    const start = Float32Array.from({ length: Math.min(N, rank + 8) * N }, (_, i) => Math.sin(i * i));
    const { rest } = await crunch.lowRank({ weight: s.w, n: N, start, rank, steps: 4, half: false });
    const branch = outputs(
      s.x,
      s.w.map((w, i) => w - rest[i]!),
    );
    const codes = outputs(roundRows(s.x, N, input), await codesOf(rest));
    return sqnr(
      y,
      codes.map((x, i) => x + branch[i]!),
    );
  };
  const none = await w4a4(s.x, s.w);
  const ranks = [await at(8), await at(16), await at(32), await at(N)];
  console.log(`smooth ${none.toFixed(1)} dB, rank 8/16/32/${N}: ${ranks.map((x) => x.toFixed(1)).join(' / ')}`);
  assert.ok(ranks[1]! >= none + 6 && ranks[0]! < ranks[1]! && ranks[1]! < ranks[2]! && ranks[3]! > 90);
});

test.run();
