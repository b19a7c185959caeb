/** Reparametrisation: exact in float, and one step for the tensor does what a step for each channel did. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { floats } from '../../compiler/calibrate/values.ts';
import { nodeHost } from '../../compiler/node/host.ts';
import { quantParams } from '../../compiler/simulate/params.ts';
import type { Builder } from '../roles/build.ts';
import { qtype } from '../targets/build.ts';
import { biased, gemm, layer, linear, rms } from './graphs.ts';
import { apply, built, distance, type Edge, feedsOf, refusal, run } from './help.ts';

const host = await nodeHost({ threads: 1 });
test.after(() => host.close());
const N = 64;
const uint4 = qtype({ format: 'uint4', grain: { per: 'tensor' }, mode: 'static' });
const int4 = qtype({ format: 'int4', grain: { per: 'tensor' }, mode: 'static' });
const input = (b: Builder) => b.input('x', [1, 40, N]);
const TO: Edge = { from: 'ln', to: 'fc' };

/** Four-bit codes and back, one step for the tensor over its whole range. */
function rounded(x: Float32Array): Float32Array {
  const { scale, zero } = quantParams(Math.min(...x), Math.max(...x), uint4);
  return x.map((v) => (Math.min(15, Math.max(0, Math.round(v / scale) + zero)) - zero) * scale);
}

/** Mean SQNR of the channels of `x`, in dB, where `y` are its rounded values under the affine map of each channel that took x to `mapped`. */
function meanSqnr(x: Float32Array, mapped: Float32Array, y: Float32Array): number {
  const channel = (c: number): number => {
    const rows = Array.from({ length: x.length / N }, (_, r) => r * N + c).sort((i, j) => x[i]! - x[j]!);
    const [i, j] = [rows[0]!, rows.at(-1)!];
    const back = (v: number) => x[i]! + ((v - mapped[i]!) * (x[j]! - x[i]!)) / (mapped[j]! - mapped[i]!);
    const sum = (f: (k: number) => number) => rows.reduce((s, k) => s + f(k) ** 2, 0);
    return 10 * Math.log10(sum((k) => x[k]!) / sum((k) => x[k]! - back(y[k]!)));
  };
  return Array.from({ length: N }, (_, c) => channel(c)).reduce((a, b) => a + b, 0) / N;
}

for (const [name, read] of Object.entries({
  'a reader with a bias': (b: Builder, h: string) => biased(b, h, 'fc', N, 8),
  'a reader without one': (b: Builder, h: string) => linear(b, h, 'fc', N, 8),
  'a Gemm': (b: Builder, h: string) => gemm(b, b.op('Reshape', [h, b.ints(40, N)]), 'fc', N, 8),
}))
  test(`equal in float: ${name}`, async () => {
    const b = built((g) => [read(g, layer(g, input(g), 'ln', N))]);
    const after = await apply(host, b, 'reparam', { edges: [TO] }, {}, () => uint4);
    const d = await distance(host, b.model, after.model);
    assert.ok(d < 1e-5, `${d}`);
    assert.match(after.applied[0]!.detail, 'zero points too');
    const fc = after.sites.sites.find((s) => s.path === 'fc')!;
    assert.ok(fc.bias !== undefined);
    assert.is(fc.nodes.at(-1)!.outputs[0], b.sites.sites.find((s) => s.path === 'fc')!.ports['output']!.value);
  });

test('one step for the tensor gains 8 dB where gains spread', async () => {
  const b = built((g) => [biased(g, layer(g, input(g), 'ln', N), 'fc', N, 8)]);
  const after = await apply(host, b, 'reparam', { edges: [TO] }, { clip: { name: 'dual', args: {} } }, () => uint4);
  const value = b.sites.sites.find((s) => s.path === 'fc')!.ports['input']!.value;
  const feeds = feedsOf(b.model);
  const of = async (model: typeof b.model) => floats((await run(host, model, [value], feeds))[value]!);
  const [before, now] = [await of(b.model), await of(after.model)];
  const [one, each] = [meanSqnr(before, before, rounded(before)), meanSqnr(before, now, rounded(now))];
  assert.ok(each > one + 8, `${one} dB before, ${each} dB after`);
});

test('symmetric codes, and norms without a bias, only scale', async () => {
  const symmetric = built((g) => [biased(g, layer(g, input(g), 'ln', N), 'fc', N, 8)]);
  const a = await apply(host, symmetric, 'reparam', { edges: [TO] }, {}, () => int4);
  assert.not.match(a.applied[0]!.detail, 'zero points');
  assert.ok((await distance(host, symmetric.model, a.model)) < 1e-5);
  const plain = built((g) => [biased(g, rms(g, input(g), 'ln', N), 'fc', N, 8)]);
  const c = await apply(host, plain, 'reparam', { edges: [TO] }, {}, () => uint4);
  assert.not.match(c.applied[0]!.detail, 'zero points');
  assert.ok((await distance(host, plain.model, c.model)) < 1e-5);
});

test('refused: no type, dynamic type, a reader left out', async () => {
  const b = built((g) => [biased(g, layer(g, input(g), 'ln', N), 'fc', N, 8)]);
  const dynamic = qtype({ format: 'uint4', grain: { per: 'token' }, mode: 'dynamic' });
  const why = 'not-quantized: ln -> fc: what is read gets no static integer type, so there is no step to level';
  assert.is(await refusal(() => apply(host, b, 'reparam', { edges: [TO] }, {})), why);
  assert.is(await refusal(() => apply(host, b, 'reparam', { edges: [TO] }, {}, () => dynamic)), why);
  const two = built((g) => {
    const h = layer(g, input(g), 'ln', N);
    return [g.op('Add', [biased(g, h, 'fc', N, 8), biased(g, h, 'other', N, 8)])];
  });
  assert.match(await refusal(() => apply(host, two, 'reparam', { edges: [TO] }, {}, () => uint4)), 'reader-left-out');
});

test.run();
