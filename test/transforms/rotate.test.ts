/** Rotations of the stream and inside heads; matrices; refusals. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { defect, dense } from '../../compiler/fold/rotation.ts';
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
  assert.match(await on((g) => model(g, 16, { norm: layer })), /^centred-norm: .*subtracts a mean/);
  assert.match(await on((g) => model(g, 16, { tap: true })), /^model-output: /);
  assert.match(await on((g) => model(g, 18)), /^no-matrix: .*18/);
  const up = built((g) => model(g, 16));
  const edges = [{ from: 'mlp.up', to: 'mlp.down' }];
  assert.match(await refusal(() => apply(host, up, 'rotate', { edges }, {})), /^mixes-channels: .*Mul/);
});

test.run();
