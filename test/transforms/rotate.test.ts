/** Rotations of the stream and inside heads; matrices; refusals. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { defect, dense, keepingMean, matrixOf } from '../../compiler/fold/rotation.ts';
import { hadamard, paley } from '../../compiler/matrices/hadamard.ts';
import { orthogonal } from '../../compiler/matrices/orthogonal.ts';
import { nodeHost } from '../../compiler/node/host.ts';
import type { Builder } from '../roles/build.ts';
import { attention, gated, layer, linear, rms } from './graphs.ts';
import { apply, built, distance, refusal } from './help.ts';

const host = await nodeHost({ threads: 1 });
test.after(() => host.close());

/** embedding → (norm → attention → +) → (norm → mlp → +) → norm → head; `tied`: the head reads the embedding's table. */
function model(b: Builder, n: number, o: { tied?: boolean; norm?: typeof rms; tap?: boolean } = {}): string[] {
  const norm = o.norm ?? rms;
  const table = b.weight('embed_tokens.weight', [11, n]);
  const x = b.op('Gather', [table, b.input('ids', [1, 3], 'int64')]);
  const a = attention(b, norm(b, x, 'l1', n), 'self_attn', n, { heads: 4, kv: 2, d: 8, t: 3, rope: 'half' });
  const y = b.op('Add', [x, a]);
  const z = b.op('Add', [y, gated(b, norm(b, y, 'l2', n), 'mlp', n, 24)]);
  const h = norm(b, z, 'l3', n);
  const logits = o.tied ? b.op('MatMul', [h, b.op('Transpose', [table], { perm: [1, 0] })]) : linear(b, h, 'lm_head', n, 11);
  return o.tap ? [logits, y] : [logits];
}
/** A LayerNorm whose gain is zero in one channel. */
const dead: typeof rms = (b, x, name, n) => {
  const y = layer(b, x, name, n);
  const t = b.graph.initializers.get(`${name}.weight`)!;
  if (t.source.kind === 'bytes') new Float32Array(t.source.bytes.buffer)[2] = 0;
  return y;
};
const stream = (b: ReturnType<typeof built>): string[] => b.sites.sites.filter((s) => s.role === 'residual').map((s) => s.id);

test('Hadamard matrices of every kind are orthogonal with entries ±1', () => {
  for (const n of [1, 2, 8, 12, 20, 24, 28, 36, 40, 44, 96, 384]) {
    const h = hadamard(n)!;
    assert.ok(h, `no Hadamard matrix of ${n}`);
    assert.ok(defect(h) < 1e-12, `${n}: ${defect(h)}`);
    const x = new Float64Array(n);
    x[n >> 1] = 1;
    h.apply(x);
    for (const v of x) assert.ok(Math.abs(Math.abs(v) * Math.sqrt(n) - 1) < 1e-12);
  }
  for (const n of [3, 6, 14, 172]) assert.is(hadamard(n), undefined);
  assert.is(paley(16), undefined);
});
test('random orthogonal matrices are orthogonal, by seed', () => {
  const [a, b] = [orthogonal(24, 0), orthogonal(24, 1)];
  assert.ok(defect(dense('', a)) < 1e-12);
  assert.is.not(a[0], b[0]);
  assert.equal(orthogonal(24, 0), a);
});

for (const n of [16, 12])
  for (const matrix of ['hadamard', 'orthogonal'])
    test(`rotate: a stream of ${n}, ${matrix}`, async () => {
      const b = built((g) => model(g, n));
      const after = await apply(host, b, 'rotate', { sites: stream(b) }, { matrix: { name: matrix, args: { seed: 3 } } });
      assert.match(after.applied[0]!.detail, '3 gains moved');
      const d = await distance(host, b.model, after.model);
      assert.ok(d < 1e-5, `${d}`);
    });

test('rotate: a head that shares the table of the embedding gets its own', async () => {
  const b = built((g) => model(g, 16, { tied: true }));
  const shared = b.sites.sites.filter((s) => s.ports['weight']?.value === 'embed_tokens.weight');
  assert.is(shared.length, 2);
  const after = await apply(host, b, 'rotate', { sites: stream(b) }, {});
  assert.ok((await distance(host, b.model, after.model)) < 1e-5);
  const weights = shared.map((s) => after.sites.sites.find((x) => x.id === s.id)!.ports['weight']!.value);
  assert.is.not(weights[0], weights[1]);
});

test('rotate: a stream that LayerNorms read keeps its mean; shifts move', async () => {
  for (const n of [16, 12]) {
    const b = built((g) => model(g, n, { norm: layer }));
    const after = await apply(host, b, 'rotate', { sites: stream(b) }, {});
    assert.match(after.applied[0]!.detail, `Hadamard ${n} that keeps the mean`);
    assert.is(after.model.graph.nodes.length, b.model.graph.nodes.length);
    assert.ok((await distance(host, b.model, after.model)) < 1e-5);
  }
  const kept = keepingMean(hadamard(20)!);
  const ones = new Float64Array(20).fill(1);
  kept.apply(ones);
  for (const v of ones) assert.ok(Math.abs(v - 1) < 1e-12);
  assert.ok(defect(kept) < 1e-12);
});

test('rotate: online, in front of what reads a product, as two small factors', async () => {
  const b = built((g) => model(g, 16));
  const edges = [{ from: 'mlp.up', to: 'mlp.down' }];
  const after = await apply(host, b, 'rotate', { edges }, { online: true });
  assert.match(after.applied[0]!.detail, 'Hadamard 24 at run time');
  assert.ok((await distance(host, b.model, after.model)) < 1e-5);
  const down = after.sites.sites.find((s) => s.members.includes('mlp.down'))!;
  assert.is.not(down.ports['input']!.value, b.sites.sites.find((s) => s.id === down.id)!.ports['input']!.value);
  const constants = [...after.model.graph.initializers].filter(([name]) => name.includes('/rotation')).map(([, t]) => t.shape);
  assert.equal(constants.map((c) => c.join()).sort(), ['12,12', '2,2']);
  for (const [n, shapes] of [
    [16, [4, 4]],
    [40, [2, 20]],
    [512, [16, 32]],
  ] as const)
    assert.equal(
      hadamard(n)!.factors!.map((f) => Math.sqrt(f.length)),
      shapes,
    );
});
test('Kronecker factors are the matrix', () => {
  for (const n of [8, 12, 24, 40, 96, 512]) {
    const h = hadamard(n)!;
    const [a, b] = h.factors!.length === 2 ? h.factors! : [Float64Array.of(1), h.factors![0]!];
    const size = Math.sqrt(b!.length);
    matrixOf(h).forEach((x, k) => {
      const [i, j] = [Math.floor(k / n), k % n];
      const [ai, aj, bi, bj] = [Math.floor(i / size), Math.floor(j / size), i % size, j % size];
      assert.ok(Math.abs(x - a![ai! * Math.sqrt(a!.length) + aj!]! * b![bi * size + bj]!) < 1e-12);
    });
  }
});

test('rotate: inside heads, value and output', async () => {
  const b = built((g) => model(g, 16));
  const edges = [{ from: 'attention.v', to: 'attention.output' }];
  const after = await apply(host, b, 'rotate', { edges }, { per: 'head' });
  assert.match(after.applied[0]!.detail, 'Hadamard 8 in each of 2 blocks');
  assert.ok((await distance(host, b.model, after.model)) < 1e-5);
  assert.match(await refusal(() => apply(host, b, 'rotate', { edges }, { per: 'tensor' })), /^layout-lost: .*whole heads/);
});

test('transforms compose: the stream, then scales, then heads', async () => {
  const b = built((g) => model(g, 16));
  const one = await apply(host, b, 'rotate', { sites: stream(b) }, {});
  const norms = one.sites.edges
    .map((e) => [e.from, e.to].map((id) => one.sites.sites.find((s) => s.id === id)!))
    .filter(([f, t]) => f!.role === 'norm' && t!.role === 'linear')
    .map(([f, t]) => ({ from: f!.path, to: t!.path }));
  const two = await apply(host, one, 'smooth', { edges: [...norms, { from: 'mlp.up', to: 'mlp.down' }] }, {});
  const three = await apply(host, two, 'rotate', { edges: [{ from: 'attention.v', to: 'attention.output' }] }, { per: 'head' });
  assert.ok((await distance(host, b.model, three.model)) < 1e-5);
});

test('rotate is refused, with the reason', async () => {
  const on = (make: (b: Builder) => string[], args = {}) => {
    const b = built(make);
    return refusal(() => apply(host, b, 'rotate', { sites: stream(b) }, args));
  };
  assert.match(await on((g) => model(g, 16, { norm: dead })), /^no-gain: .*zero in some channel/);
  const post = built((g) => {
    const x = linear(g, g.input('x', [2, 16]), 'fc1', 16, 16);
    const y = layer(g, g.op('Add', [x, linear(g, x, 'fc2', 16, 16)]), 'ln1', 16);
    return [layer(g, g.op('Add', [y, linear(g, y, 'fc3', 16, 16)]), 'ln2', 16)];
  });
  assert.match(
    await refusal(() => apply(host, post, 'rotate', { sites: stream(post) }, {})),
    /^(not-a-writer|model-output|mixes-channels): /,
  );
  assert.match(await on((g) => model(g, 16, { tap: true })), /^model-output: /);
  assert.match(await on((g) => model(g, 18)), /^no-matrix: .*18/);
  const up = built((g) => model(g, 16));
  const edges = [{ from: 'mlp.up', to: 'mlp.down' }];
  assert.match(await refusal(() => apply(host, up, 'rotate', { edges }, {})), /^mixes-channels: .*Mul/);
});

test.run();
