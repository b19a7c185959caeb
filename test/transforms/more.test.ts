/** Dilation, token split, low-rank branches: on graphs. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { floats } from '../../compiler/calibrate/values.ts';
import { measure } from '../../compiler/fold/output-space.ts';
import { times } from '../../compiler/fold/product.ts';
import type { Tensor } from '../../compiler/graph/types.ts';
import { nodeHost } from '../../compiler/node/host.ts';
import type { Builder } from '../roles/build.ts';
import { biased, gated, gemm, layer, linear, rms } from './graphs.ts';
import { apply, built, distance, feedsOf, refusal, run } from './help.ts';
import { normal } from './toy.ts';

const host = await nodeHost({ threads: 1 });
test.after(() => host.close());

/** A weight whose input channels have sizes e^±by. */
function uneven(b: Builder, name: string, shape: readonly [number, number], by = 0.8): string {
  b.weight(name, shape);
  const g = normal(shape[0]);
  const w = Float32Array.from({ length: shape[0] * shape[1] }, (_, i) => g() * Math.exp(by * Math.sin(Math.floor(i / shape[1]) * 7.7)));
  b.graph.initializers.set(name, { ...b.graph.initializers.get(name)!, source: { kind: 'bytes', bytes: new Uint8Array(w.buffer) } });
  return name;
}
const numbersOf = async (t: Tensor): Promise<Float32Array> => {
  const ctx = { crunch: host.crunch, bytes: async (x: Tensor) => (x.source as { bytes: Uint8Array }).bytes, mapped: () => undefined };
  const bytes = t.source.kind === 'lazy' ? (await t.source.lazy.evaluate(ctx))['folded']! : (t.source as { bytes: Uint8Array }).bytes;
  return new Float32Array(bytes.slice().buffer);
};

test('dilate: a wide layer with few outputs: activations shrink, weight ranges stay (DilateQuant)', async () => {
  const [n, m] = [1152, 32];
  const b = built((g) => {
    const y = layer(g, g.input('x', [4, n], 'float32'), 'norm', n);
    return [g.op('MatMul', [y, uneven(g, 'fc.weight', [n, m])])];
  });
  const after = await apply(host, b, 'dilate', { edges: [{ from: 'norm', to: 'fc' }] }, {});
  assert.match(after.applied[0]!.detail, /; \d+ of 1152 channels saturated$/);
  assert.ok((await distance(host, b.model, after.model)) < 1e-5);
  const [before, now] = [
    await numbersOf(b.model.graph.initializers.get('fc.weight')!),
    await numbersOf(after.model.graph.initializers.get('fc.weight')!),
  ];
  const range = (w: Float32Array, o: number) => {
    const column = Array.from({ length: n }, (_, k) => w[k * m + o]!);
    return [Math.min(...column), Math.max(...column)];
  };
  for (let o = 0; o < m; o++)
    for (const [i, x] of range(now, o).entries()) assert.ok(Math.abs(x - range(before, o)[i]!) <= 2e-7 * Math.abs(x));
  let mean = 0;
  for (let k = 0; k < n; k++) {
    let ratio = 1;
    for (let o = 0; o < m; o++) if (before[k * m + o] !== 0) ratio = now[k * m + o]! / before[k * m + o]!;
    assert.ok(ratio >= 1 - 1e-6);
    mean += ratio / n;
  }
  const norm = b.sites.sites.find((s) => s.path === 'norm')!.ports['output']!.value;
  const seen = async (model: typeof b.model) => floats((await run(host, model, [norm], feedsOf(b.model)))[norm]!);
  const [was, is] = [await seen(b.model), await seen(after.model)];
  const top = was.reduce((a, x) => Math.max(a, Math.abs(x)), 0) / is.reduce((a, x) => Math.max(a, Math.abs(x)), 0);
  const spread = Math.sqrt(was.reduce((a, x) => a + x * x, 0) / is.reduce((a, x) => a + x * x, 0));
  console.log(
    `dilate 1152 -> 32: ${after.applied[0]!.detail}; mean scale ${mean.toFixed(2)}; rms ${spread.toFixed(2)}, largest value ${top.toFixed(2)} times smaller`,
  );
  assert.ok(mean >= 1.5 && spread >= 1.5);
  // Not 1.5 for the step of minmax: the largest value lies in one channel, and shrinks by that channel's scale alone.
  assert.ok(top >= 1.05);
});
test('dilate: with as many outputs as inputs nearly all channels are saturated', async () => {
  const b = built((g) => [g.op('MatMul', [rms(g, g.input('x', [4, 64], 'float32'), 'norm', 64), uneven(g, 'fc.weight', [64, 64], 0)])]);
  const after = await apply(host, b, 'dilate', { edges: [{ from: 'norm', to: 'fc' }] }, {});
  const saturated = Number(/; (\d+) of 64/.exec(after.applied[0]!.detail)![1]);
  assert.ok(saturated > 32, `${saturated}`);
});

/** Two readers of a text whose token 0 is a constant; `token`: where it lies. */
const text =
  (token: number, varies = false) =>
  (g: Builder): string[] => {
    const x = g.input('x', ['b', 5, 8], 'float32');
    const start = g.weight('start', [1, 1, 8]);
    const parts = [0, 1, 2, 3, 4].map((t) => {
      const own = g.op('Slice', [x, g.ints(t), g.ints(t + 1), g.ints(1)]);
      return t === token && !varies ? g.op('Add', [g.op('Mul', [own, g.number(0)]), start]) : own;
    });
    const all = g.op('Concat', parts, { axis: 1 });
    return [linear(g, all, 'to_k', 8, 6), biased(g, all, 'to_v', 8, 6)];
  };
for (const token of [0, 3])
  test(`token_split: token ${token} becomes a constant row, the model stays (MixDQ)`, async () => {
    const b = built(text(token));
    const sites = b.sites.sites.filter((s) => s.role === 'linear').map((s) => s.id);
    const after = await apply(host, b, 'token_split', { sites }, { token });
    assert.is(after.applied.length, 1);
    assert.match(after.applied[0]!.detail, `token ${token} is the same in all data`);
    assert.ok((await distance(host, b.model, after.model)) < 1e-5);
    // its row no longer depends on what is quantized
    const v = after.sites.sites.find((s) => s.path === 'to_v')!;
    const x = (await run(host, after.model, [v.ports['input']!.value], feedsOf(b.model)))[v.ports['input']!.value]!;
    assert.equal(x.shape, [3, 4, 8]);
  });
test('token_split is refused where the token varies', async () => {
  const b = built(text(0, true));
  const sites = b.sites.sites.filter((s) => s.role === 'linear').map((s) => s.id);
  assert.match(await refusal(() => apply(host, b, 'token_split', { sites }, {})), /^not-constant: .*depends on the data/);
  const flat = built((g) => [linear(g, g.input('x', [4, 8], 'float32'), 'fc', 8, 8)]);
  assert.match(
    await refusal(() =>
      apply(host, flat, 'token_split', { sites: flat.sites.sites.filter((s) => s.role === 'linear').map((s) => s.id) }, {}),
    ),
    /^layout-lost/,
  );
});

test('shift: centres move into biases; a norm without one is refused', async () => {
  const make = (norm: typeof rms) => (g: Builder) => {
    const y = norm(g, g.input('x', [7, 16], 'float32'), 'norm', 16);
    return [linear(g, y, 'fc1', 16, 8), biased(g, y, 'fc2', 16, 8), gemm(g, y, 'fc3', 16, 8)];
  };
  const edges = ['fc1', 'fc2', 'fc3'].map((to) => ({ from: 'norm', to }));
  const b = built(make(layer));
  const after = await apply(host, b, 'shift', { edges }, {});
  assert.match(after.applied[0]!.detail, /^centres of 16 channels moved into biases; largest value/);
  assert.ok((await distance(host, b.model, after.model)) < 1e-5);
  const value = b.sites.sites.find((s) => s.path === 'norm')!.ports['output']!.value;
  const x = floats((await run(host, after.model, [value], feedsOf(b.model)))[value]!);
  for (let c = 0; c < 16; c++) {
    const column = Array.from({ length: 7 }, (_, r) => x[r * 16 + c]!);
    assert.ok(Math.abs(Math.max(...column) + Math.min(...column)) < 1e-4);
  }
  assert.match(await refusal(() => apply(host, built(make(rms)), 'shift', { edges }, {})), /^no-bias: .*norm has no bias/);
});

const types = (_: unknown, port: string) =>
  port === 'weight'
    ? ({
        format: { name: 'int', args: {} },
        codes: { kind: 'int', bits: 4, signed: true, lo: -8, hi: 7 },
        bits: 4,
        symmetric: true,
        grain: { per: 'channel' },
        mode: 'static',
        law: { name: 'minmax', args: {} },
        scaleType: 'model',
        text: 'int4',
      } as const)
    : undefined;
test('lowrank: branch and residual are the layer, in float16 and float32, for every spelling', async () => {
  const make = (g: Builder): string[] => {
    const y = rms(g, g.input('x', [7, 16], 'float32'), 'norm', 16);
    return [gated(g, y, 'mlp', 16, 24), gemm(g, y, 'fc', 16, 12)];
  };
  for (const factors of ['float16', 'float32']) {
    const b = built(make);
    const sites = b.sites.sites.filter((s) => s.role === 'linear').map((s) => s.id);
    const after = await apply(host, b, 'lowrank', { sites }, { rank: 4, factors, share: ['gate', 'up'] }, types as never);
    assert.is(after.applied.length, 3);
    assert.match(after.applied.map((a) => a.detail).join('\n'), 'one down factor');
    assert.ok((await distance(host, b.model, after.model)) < 1e-5);
    assert.is(after.sites.sites.filter((s) => s.role === 'lowrank').length, 3);
    for (const error of ['diagonal', 'covariance']) {
      const how = { rank: 4, factors, error, start: 'codes', iterations: 3 };
      const other = await apply(host, b, 'lowrank', { sites }, how, types as never);
      assert.ok((await distance(host, b.model, other.model)) < 1e-5, error);
    }
    // a scale that enters behind the branch goes into its factor too
    if (factors === 'float16') continue;
    const names = ['mlp.gate_proj', 'mlp.up_proj', 'fc'];
    const scaled = await apply(host, after, 'smooth', { edges: names.map((to) => ({ from: 'norm', to })) }, {});
    assert.ok((await distance(host, b.model, scaled.model)) < 1e-5);
  }
});

test('lowrank: the alternation ends by itself, keeps the best round, and no bit depends on how many were allowed', async () => {
  const b = built((g) => {
    const y = linear(g, rms(g, g.input('x', [7, 64], 'float32'), 'norm', 64), 'fc', 64, 96);
    const next = normal(3);
    const bytes = new Uint8Array(Float32Array.from({ length: 64 * 96 }, next).buffer);
    g.graph.initializers.set('fc.weight', { dtype: 'float32', shape: [64, 96], source: { kind: 'bytes', bytes } });
    return [y];
  });
  const sites = b.sites.sites.filter((s) => s.role === 'linear').map((s) => s.id);
  const at = async (iterations: number) =>
    (await apply(host, b, 'lowrank', { sites }, { rank: 8, iterations }, types as never)).applied[0]!;
  const found = /, (\d+) alternations, output error (\S+) of the first/.exec((await at(100)).detail)!;
  const [rounds, ratio] = [Number(found[1]), Number(found[2])];
  assert.ok(rounds > 1 && rounds < 60 && ratio < 0.98, found[0]);
  assert.is((await at(rounds)).detail, (await at(100)).detail);
  assert.match((await at(1)).detail, '1 alternations, output error 1.00');
});

test('low rank by the output: what is left is what the spectrum says, and less than by the weight', async () => {
  const { crunch } = host;
  const [n, out, rows, rank] = [24, 40, 300, 5];
  const g = normal(9);
  // correlated channels of uneven sizes
  const mix = Float32Array.from({ length: n * n }, (_, i) => g() + (i % (n + 1) === 0 ? 3 : 0));
  const raw = Float32Array.from({ length: rows * n }, () => g());
  const x = (await times(raw, mix, n, crunch)).map((v, i) => v * Math.exp(1.5 * Math.sin(i % n)));
  const e = Float32Array.from({ length: out * n }, () => g());
  const left: Record<string, number> = {};
  for (const error of ['weight', 'diagonal', 'covariance'] as const) {
    const space = await measure(error, x, n, crunch);
    const start = Float32Array.from({ length: 16 * n }, () => g());
    const { rest } = await crunch.lowRank({ weight: e, n, start, rank, steps: 60, half: false, ...(space ? { space } : {}) });
    const root = (await measure('covariance', x, n, crunch))!.root;
    left[error] = (await times(rest, root, n, crunch)).reduce((s, w) => s + w * w, 0);
    if (error !== 'covariance') continue;
    const gram = new Float64Array(n * n);
    await crunch.gram(gram, await times(e, root, n, crunch), n);
    const spectrum = (await crunch.eigen(gram, n)).values.slice(rank).reduce((s, w) => s + w, 0);
    assert.ok(Math.abs(left[error]! / spectrum - 1) < 1e-4, `${left[error]} ${spectrum}`);
  }
  assert.ok(left['covariance']! < 0.9 * left['diagonal']! && left['diagonal']! < 0.9 * left['weight']!, JSON.stringify(left));
});

test.run();
