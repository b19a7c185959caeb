/** Scales fold through every form of producer, reader and operator between them, and the model stays what it is. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { nodeHost } from '../../compiler/node/host.ts';
import type { Builder } from '../roles/build.ts';
import { attention, biased, gated, gemm, layer, linear, rms } from './graphs.ts';
import { apply, built, distance, type Edge, refusal } from './help.ts';

const host = await nodeHost({ threads: 1 });
test.after(() => host.close());
const N = 16;
const input = (b: Builder, ...shape: number[]) => b.input('x', shape.length ? shape : [1, 3, N]);
const edge = (from: string, to: string): Edge => ({ from, to });

/** The paths of the model's edges between two roles. */
const edgesOf = (b: ReturnType<typeof built>, from: string, to: string): Edge[] => {
  const site = new Map(b.sites.sites.map((s) => [s.id, s]));
  return b.sites.edges
    .filter((e) => !e.tied && site.get(e.from)!.role === from && site.get(e.to)!.role === to)
    .map((e) => edge(site.get(e.from)!.path, site.get(e.to)!.path));
};

const forms: Record<string, { make: (b: Builder) => string; from: string }> = {
  'RMSNorm, two readers': {
    from: 'norm',
    make(b) {
      const h = rms(b, input(b), 'ln', N);
      return b.op('Add', [linear(b, h, 'one', N, 8), biased(b, h, 'two', N, 8)]);
    },
  },
  'LayerNorm with a bias, Gemm': { from: 'norm', make: (b) => gemm(b, layer(b, input(b, 4, N), 'ln', N), 'fc', N, 8) },
  'linear with a bias, Relu': { from: 'linear', make: (b) => linear(b, b.op('Relu', [biased(b, input(b), 'a', N, 8)]), 'c', 8, 4) },
  'Gemm, transposed weights': { from: 'linear', make: (b) => gemm(b, gemm(b, input(b, 4, N), 'a', N, 8), 'c', 8, 4) },
  'a product with another value': {
    from: 'linear',
    make(b) {
      const x = input(b);
      const s = b.op('Sigmoid', [linear(b, x, 'g', N, 8)]);
      return linear(b, b.op('Mul', [s, biased(b, x, 'u', N, 8)]), 'c', 8, 4);
    },
  },
};
for (const [name, { make, from }] of Object.entries(forms)) {
  test(`smooth: ${name}`, async () => {
    const b = built((g) => [make(g)]);
    const edges = edgesOf(b, from, 'linear');
    assert.ok(edges.length > 0);
    const after = await apply(host, b, 'smooth', { edges }, { alpha: 0.6 });
    assert.is(after.model.graph.nodes.length, b.model.graph.nodes.length);
    const d = await distance(host, b.model, after.model);
    assert.ok(d < 1e-5, `${d}`);
    assert.is.not(after.applied.length, 0);
    for (const a of after.applied) assert.match(a.detail, /smooth: \d+ scales/);
  });
}

test('smooth: gate and up meet in a product; only up takes the scale', async () => {
  const b = built((g) => [gated(g, rms(g, input(g), 'ln', N), 'mlp', N, 24)]);
  const edges = edgesOf(b, 'linear', 'linear').filter((e) => e.to === 'mlp.down_proj');
  assert.equal(edges.map((e) => e.from).sort(), ['mlp.gate_proj', 'mlp.up_proj']);
  const after = await apply(host, b, 'smooth', { edges }, { alpha: 0.5 });
  assert.ok((await distance(host, b.model, after.model)) < 1e-5);
  assert.match(after.applied[0]!.name, 'mlp.up_proj -> mlp.down_proj');
});

for (const [name, h] of Object.entries({
  'one head for each': { heads: 4, kv: 4, d: 8, t: 3 },
  'grouped heads': { heads: 4, kv: 2, d: 8, t: 3 },
  'grouped heads, rotary halves': { heads: 4, kv: 2, d: 8, t: 3, rope: 'half' as const },
  'rotary pairs': { heads: 2, kv: 2, d: 8, t: 3, rope: 'interleaved' as const },
})) {
  test(`smooth: value and output, ${name}`, async () => {
    const b = built((g) => [attention(g, input(g), 'self_attn', N, h)]);
    const after = await apply(host, b, 'smooth', { edges: [edge('attention.v', 'attention.output')] }, { alpha: 0.5 });
    assert.match(after.applied[0]!.detail, `${h.kv * h.d} scales`);
    assert.ok((await distance(host, b.model, after.model)) < 1e-5);
  });
  test(`scale: q and k, ${name}`, async () => {
    const b = built((g) => [attention(g, input(g), 'self_attn', N, h)]);
    const tied = [edge('attention.q', 'attention.k')];
    const law = { name: 'smooth', args: { alpha: 0.5, beta: 0 } };
    const after = await apply(host, b, 'scale', { tied }, { law });
    const free = h.kv * ('rope' in h && h.rope ? h.d / 2 : h.d);
    assert.match(after.applied[0]!.detail, `${free} scales`);
    assert.ok((await distance(host, b.model, after.model)) < 1e-5);
    const k = b.sites.sites.find((s) => s.members.includes('attention.k'))!.ports['weight']!.value;
    assert.is.not(after.model.graph.initializers.get(k), b.model.graph.initializers.get(k));
  });
}

test('smooth: a fused q, k, v gives way where only v may', async () => {
  const h = { heads: 4, kv: 2, d: 8, t: 3, fused: true };
  const b = built((g) => [attention(g, input(g), 'self_attn', N, h)]);
  const fused = b.sites.sites.find((s) => s.members.includes('attention.v'))!;
  const out = b.sites.sites.find((s) => s.members.includes('attention.output'))!;
  const after = await apply(host, b, 'smooth', { edges: [edge(fused.path, out.path)] }, { alpha: 0.5 });
  assert.match(after.applied[0]!.detail, '48 channels kept');
  assert.ok((await distance(host, b.model, after.model)) < 1e-5);
});

test('smooth: an explicit multiplication where it is asked for, and only for the readers that take part', async () => {
  const b = built((g) => {
    const h = g.op('Tanh', [linear(g, input(g), 'a', N, 8)]);
    return [linear(g, h, 'c', 8, 4), linear(g, h, 'd', 8, 4)];
  });
  const on = { edges: [edge('a', 'c')] };
  assert.match(await refusal(() => apply(host, b, 'smooth', on, {})), /^mixes-channels: .*Tanh/);
  const after = await apply(host, b, 'smooth', on, { online: true });
  assert.is(after.model.graph.nodes.length, b.model.graph.nodes.length + 1);
  assert.is(after.model.graph.initializers.get('d.weight'), b.model.graph.initializers.get('d.weight'));
  assert.ok((await distance(host, b.model, after.model)) < 1e-5);
});

test('smooth: a gain that two norms share is copied', async () => {
  const b = built((g) => {
    const x = input(g);
    const one = layer(g, x, 'ln', N);
    const two = g.op('LayerNormalization', [g.op('Tanh', [x]), 'ln.weight', 'ln.bias'], { axis: -1 });
    return [linear(g, one, 'c', N, 4), linear(g, two, 'd', N, 4)];
  });
  const first = edgesOf(b, 'norm', 'linear').slice(0, 1);
  const after = await apply(host, b, 'smooth', { edges: first }, {});
  assert.ok((await distance(host, b.model, after.model)) < 1e-5);
  assert.ok(after.model.graph.initializers.has('ln.weight'));
  assert.is(after.model.graph.initializers.size, b.model.graph.initializers.size + 2);
});

const refused: Record<string, { make: (b: Builder) => readonly string[]; edges: (b: ReturnType<typeof built>) => Edge[]; why: RegExp }> = {
  'a reader that does not take part': {
    make(b) {
      const h = rms(b, input(b), 'ln', N);
      return [linear(b, h, 'c', N, 4), linear(b, h, 'd', N, 4)];
    },
    edges: (b) => edgesOf(b, 'norm', 'linear').filter((e) => e.to === 'c'),
    why: /^reader-left-out: .*d reads it too/,
  },
  'an output of the model': {
    make(b) {
      const h = rms(b, input(b), 'ln', N);
      return [h, linear(b, h, 'c', N, 4)];
    },
    edges: (b) => edgesOf(b, 'norm', 'linear'),
    why: /^model-output: /,
  },
  'an activation that is not homogeneous': {
    make: (b) => [linear(b, b.op('Sigmoid', [linear(b, input(b), 'a', N, 8)]), 'c', 8, 4)],
    edges: () => [edge('a', 'c')],
    why: /^mixes-channels: .*Sigmoid/,
  },
  'a sum with another value': {
    make(b) {
      const x = input(b);
      return [linear(b, b.op('Add', [linear(b, x, 'a', N, N), x]), 'c', N, 4)];
    },
    edges: () => [edge('a', 'c')],
    why: /^mixes-channels: .*Add/,
  },
  'a norm without a gain': {
    make(b) {
      const x = input(b);
      const root = b.op('Sqrt', [b.op('Add', [b.op('ReduceMean', [b.op('Mul', [x, x])], { axes: [-1] }), b.number(1e-6)])]);
      return [linear(b, b.op('Div', [x, root]), 'c', N, 4)];
    },
    edges: (b) => edgesOf(b, 'norm', 'linear'),
    why: /^no-gain: /,
  },
  'channels that a Reshape mixes with tokens': {
    make: (b) => [linear(b, b.op('Reshape', [linear(b, input(b, 1, 4, N), 'a', N, 6), b.ints(1, 3, 8)]), 'c', 8, 4)],
    edges: () => [edge('a', 'c')],
    why: /^layout-lost: /,
  },
  'an embedding': {
    make: (b) => [linear(b, b.op('Gather', [b.weight('table', [5, N]), b.input('ids', [1, 3], 'int64')]), 'c', N, 4)],
    edges: (b) => [edge(b.sites.sites.find((s) => s.role === 'embedding')!.path, 'c')],
    why: /^no-producer: .*embedding/,
  },
};
for (const [name, r] of Object.entries(refused)) {
  test(`smooth is refused: ${name}`, async () => {
    const b = built(r.make);
    const edges = r.edges(b);
    assert.ok(edges.length > 0, 'no edge');
    assert.match(await refusal(() => apply(host, b, 'smooth', { edges }, {})), r.why);
  });
}

test.run();
