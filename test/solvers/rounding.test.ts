/** AdaRound, least squares and bias correction: on the toy layer of systems.md, and through the compiler. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { Crunch } from '../../compiler/crunch.ts';
import { workplace } from '../compile/help.ts';
import { layer, N, outputs, smoothed, sqnr } from '../transforms/toy.ts';

const w = await workplace();
test.after(() => w.close());
const crunch: Crunch = w.host.crunch;
const bytes = (x: Float32Array) => new Uint8Array(x.buffer, x.byteOffset, x.byteLength);
const matrix = (x: Float32Array) => ({ data: bytes(x), dtype: 'float32', out: x.length / N, reduce: N, order: 'or' }) as const;
const int4 = { kind: 'int', bits: 4, signed: true, lo: -8, hi: 7 } as const;
const common = { format: int4, symmetric: true, grain: { per: 'channel' }, law: { name: 'minmax' }, scaleType: 'float32' } as const;

async function decoded(r: { codes: Uint8Array; scales: Uint8Array }, out: number): Promise<Float32Array> {
  return crunch.dequantize({
    ...r,
    out,
    reduce: N,
    order: 'or',
    format: { ...int4 },
    grain: { per: 'channel' },
    scaleType: 'float32',
    layout: 'plain',
  });
}

test('AdaRound on the layer: better than rounding to nearest on the sample and on held-out rows', async () => {
  const toy = smoothed(layer(1, 256), 0.5);
  const hessian = new Float64Array(N * N);
  await crunch.gram(hessian, toy.x, N);
  const r = await crunch.adaround({ ...common, weight: matrix(toy.w), hessian, damp: 0.01, iterations: 300, rate: 0.02, regular: 0.1 });
  assert.ok(r.loss <= r.nearest);
  const near = await crunch.quantize({ ...common, weight: matrix(toy.w), layout: 'plain' });
  const of = async (c: { codes: Uint8Array; scales: Uint8Array }, x: Float32Array) => {
    const v = await decoded(c, toy.w.length / N);
    return sqnr(outputs(x, toy.w), outputs(x, v));
  };
  const [sample, held] = [(await of(r, toy.x)) - (await of(near, toy.x)), (await of(r, toy.held)) - (await of(near, toy.held))];
  console.log(`AdaRound: +${sample.toFixed(1)} dB on the sample, +${held.toFixed(1)} dB on held-out rows`);
  assert.ok(sample >= 1 && held >= 0.4, `${sample} ${held}`);
});

test('least squares under a mask: better than leaving weights out, on held-out rows too', async () => {
  const toy = layer(1, 512);
  const hessian = new Float64Array(N * N);
  await crunch.gram(hessian, toy.x, N);
  const order = [...toy.w].map(Math.abs).sort((a, b) => a - b);
  const mask = Uint8Array.from(toy.w, (v) => Number(Math.abs(v) > order[order.length / 2]!));
  const r = await crunch.leastSquares({ weight: matrix(toy.w), hessian, damp: 0.01, mask });
  assert.ok(r.after < r.before);
  assert.ok(r.weight.every((v, i) => mask[i] === 1 || v === 0));
  const cut = toy.w.map((v, i) => v * mask[i]!);
  const gain = sqnr(outputs(toy.held, toy.w), outputs(toy.held, r.weight)) - sqnr(outputs(toy.held, toy.w), outputs(toy.held, cut));
  console.log(`least squares at half the weights: +${gain.toFixed(1)} dB on held-out rows`);
  assert.ok(gain >= 0.8, `${gain}`);
});

const data = { calib: 'test/models/mlp-conv/calib' };
const types =
  'calibrate data("calib")\nquantize weight of linear as int3 { per: channel }\nquantize input of linear as uint4 { mode: static }';
const evaluate = 'evaluate sqnr(output("logits"))';

test('through the compiler: weight, codes and correction of one layer, each by its own solver', async () => {
  const value = async (solvers: string): Promise<number> => {
    const { result } = await w.compiled('mlp-conv', `${types}\n${solvers}\n${evaluate}`, { data });
    assert.ok(result.ok);
    const done = result.report.ledger.filter((l) => l.what.startsWith('solve ')).length;
    assert.is(done % 3 === 0 || solvers === '', true);
    return result.metrics[0]!.value as number;
  };
  const none = await value('');
  const all = await value('solve least_squares on linear\nsolve adaround on linear { iterations: 200 }\nsolve bias_correct on linear');
  console.log(`mlp-conv: nearest ${none.toFixed(1)} dB, least squares, AdaRound and biases ${all.toFixed(1)} dB`);
  assert.ok(all >= none + 1, `${none} ${all}`);
});

test.run();
