/** New orders of channels: exact in float, folded into weights and constants, refused where something in between keeps the old order. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import sortCluster, { ward } from '../../compiler/orders/sort_cluster.ts';
import { workplace } from '../compile/help.ts';
import type { Builder } from '../roles/build.ts';
import { attention, gated, linear, rms } from './graphs.ts';
import { apply, built, distance, refusal } from './help.ts';
import { normal } from './toy.ts';

const w = await workplace();
test.after(() => w.close());
const { host } = w;
const [N, M] = [16, 24];
const input = (b: Builder) => b.input('x', [1, 5, N]);

test('the channels between up and down, without a node more', async () => {
  const b = built((g) => [gated(g, input(g), 'mlp', N, M)]);
  const a = await apply(host, b, 'permute', { edges: [{ from: 'mlp.up', to: 'mlp.down' }] }, {});
  assert.is(a.model.graph.nodes.length, b.model.graph.nodes.length);
  assert.match(a.applied[0]!.detail, /folded into 4 tensors/);
  assert.ok((await distance(host, b.model, a.model)) < 1e-6);
});

for (const kv of [2, 4])
  test(`values inside their heads, ${kv} of 4 heads with keys`, async () => {
    const heads = { heads: 4, kv, d: 4, t: 5, rope: 'half' } as const;
    const b = built((g) => [attention(g, rms(g, input(g), 'ln', N), 'attn', N, heads)]);
    const a = await apply(host, b, 'permute', { edges: [{ from: 'attn.v_proj', to: 'attn.o_proj' }] }, { law: { name: 'sort', args: {} } });
    assert.is(a.model.graph.nodes.length, b.model.graph.nodes.length);
    assert.ok((await distance(host, b.model, a.model)) < 1e-6);
    const moved = a.applied[0]!.mapped!.size;
    assert.ok(moved > 4, `${moved} values`);
  });

test('refused where an operator keeps the old order, or the value leaves the model', async () => {
  const turned = built((g) => {
    const up = linear(g, input(g), 'up', N, M);
    return [linear(g, g.op('CumSum', [up, g.ints(2)]), 'down', M, N)];
  });
  const on = { edges: [{ from: 'up', to: 'down' }] };
  assert.match(await refusal(() => apply(host, turned, 'permute', on, {})), /^mixes-channels: CumSum/);
  const leaves = built((g) => {
    const up = linear(g, input(g), 'up', N, M);
    return [up, linear(g, up, 'down', M, N)];
  });
  assert.match(await refusal(() => apply(host, leaves, 'permute', on, {})), /^model-output/);
  const added = built((g) => [linear(g, g.op('Add', [linear(g, input(g), 'up', N, N), 'x']), 'down', N, N)]);
  assert.match(await refusal(() => apply(host, added, 'permute', on, {})), /^model-output: "x" is an input/);
});

test('Ward joins what is alike; channels ascend inside heads, heads stay in their group', () => {
  const profiles = [
    [1, 0, 0],
    [0, 1, 0],
    [0.9, 0.1, 0],
    [0, 0, 1],
  ].map((p) => Float64Array.from(p));
  assert.equal(
    ward(profiles, 3).map((p) => p.join()),
    ['0,2', '1', '3'],
  );
  const absmax = Float64Array.from({ length: 4 * 8 }, (_, i) => ((i * 13) % 32) + 1);
  const { from, clusters } = sortCluster.order({ heads: 4, size: 8, groups: 2, absmax }, { heads: 2, channels: 4 } as never);
  assert.equal(
    [...from].sort((a, b) => a - b),
    [...Array(32).keys()],
  );
  for (let i = 0; i < 32; i++) {
    assert.is(Math.floor(from[i]! / 16), Math.floor(i / 16), 'a head left its group');
    if (i % 8) assert.ok(absmax[from[i]!]! >= absmax[from[i - 1]!]! && clusters![i]! >= clusters![i - 1]!);
  }
  assert.ok(Math.max(...clusters!) < 16);
});

test('Quamba2: the permuted Mamba-2 computes the same within 1e-6, and nothing is gathered', async () => {
  const { result } = await w.compiled(
    'mamba2',
    `calibrate data("calib") { samples: 1 }
transform permute on ssm.x { law: sort_cluster(heads: 4, channels: 4) }
quantize x of ssm as int8 { mode: static, per: cluster }`,
    { data: { calib: 'test/models/mamba2/calib' } },
  );
  const detail = (what: string) => result.report.ledger.find((l) => l.what === what)!.detail;
  assert.match(detail('transform permute'), /384 channels, 24 clusters; folded into \d+ tensors, nothing is gathered/);
  const off = Number(/within (\S+)/.exec(detail('proof of transforms'))![1]);
  assert.ok(off <= 1e-6, `${off}`);
});

test('Quamba2: 4×4 clusters hold int8 x at least 10 dB better than one scale (mean SQNR of channels)', () => {
  const [heads, size, rows] = [16, 32, 200];
  const n = heads * size;
  const g = normal(7);
  const spread = Float64Array.from({ length: n }, (_, c) => Math.exp(1.2 * g()) * (Math.floor(c / size) % 4 === 1 ? 8 : 1));
  const x = Float64Array.from({ length: rows * n }, (_, i) => g() * spread[i % n]!);
  const absmax = Float64Array.from({ length: n }, (_, c) => Math.max(...Array.from({ length: rows }, (_, r) => Math.abs(x[r * n + c]!))));
  const { from, clusters } = sortCluster.order({ heads, size, groups: 1, absmax }, { heads: 4, channels: 4 } as never);
  assert.ok(Math.max(...clusters!) < 16);
  const quality = (label: ArrayLike<number>): number => {
    const most = new Map<number, number>();
    for (const [place, c] of from.entries()) most.set(label[place]!, Math.max(most.get(label[place]!) ?? 0, absmax[c]!));
    const each = Array.from(from, (c, place) => {
      const step = most.get(label[place]!)! / 127;
      let [signal, error] = [0, 0];
      for (let r = 0; r < rows; r++) {
        const v = x[r * n + c]!;
        signal += v * v;
        error += (v - step * Math.round(v / step)) ** 2;
      }
      return 10 * Math.log10(signal / error);
    });
    return each.reduce((a, b) => a + b, 0) / n;
  };
  const [tensor, cluster] = [quality(new Int32Array(n)), quality(clusters!)];
  console.log(`mean SQNR of channels: one scale ${tensor.toFixed(1)} dB, 4×4 clusters ${cluster.toFixed(1)} dB`);
  assert.ok(cluster >= tensor + 10, `${tensor} ${cluster}`);
});

test.run();
