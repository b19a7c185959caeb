/** MambaQuant's smooth-fused rotation: scales through SiLU and into depthwise convolutions, a rotation of the part that is read. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { Model } from '../../compiler/graph/types.ts';
import { float32s, node } from '../../compiler/lower/make.ts';
import { fuse } from '../../compiler/lower/native/fuse.ts';
import { nodeHost } from '../../compiler/node/host.ts';
import type { Builder } from '../roles/build.ts';
import { modelOf } from '../targets/build.ts';
import { gated, linear, rms } from './graphs.ts';
import { apply, built, distance, type Edge, refusal } from './help.ts';

const host = await nodeHost({ threads: 1 });
test.after(() => host.close());
const [N, M] = [16, 24];
const TO: Edge = { from: 'mlp.gate_proj', to: 'mlp.down_proj' };
const ops = (m: Model) => m.graph.nodes.map((n) => n.op);

test('a gate takes the scale: SiLU becomes x·σ(s·x), equal in float; one operator on target native', async () => {
  const b = built((g) => [gated(g, rms(g, g.input('x', [1, 5, N]), 'ln', N), 'mlp', N, M)]);
  assert.match(await refusal(() => apply(host, b, 'smooth', { edges: [TO] }, { alpha: 0.5 })), 'mixes-channels: mlp.gate_proj');
  const a = await apply(host, b, 'smooth', { edges: [TO] }, { alpha: 0.5, gates: true });
  assert.match(a.applied[0]!.detail, /smooth: 24 scales .* folded into mlp\.gate_proj; .* is x·σ\(s·x\)/);
  assert.is(a.model.graph.nodes.length, b.model.graph.nodes.length + 1);
  assert.ok((await distance(host, b.model, a.model)) < 1e-5);
  const native = fuse(a.model);
  assert.ok(ops(native).includes('SiLUScaled') && !ops(native).includes('Sigmoid') && !ops(native).includes('SiluMul'));
  // By its body: ONNX Runtime without kernels.
  assert.ok((await distance(host, b.model, native)) < 1e-5);
});

test('SiLUScaled is exact: x·σ(s·x) of x / s, times s, is SiLU bit by bit where s is a power of two', async () => {
  const x = Float32Array.from({ length: 64 }, (_, i) => Math.sin(i * 1.7) * 9);
  const s = Float32Array.from(x, (_, i) => 2 ** ((i % 9) - 4));
  const nodes = [
    node('Div', ['x', 's'], ['small']),
    node('Mul', ['small', 's'], ['inner']),
    node('Sigmoid', ['inner'], ['gate']),
    node('Mul', ['small', 'gate'], ['scaled']),
    node('Mul', ['scaled', 's'], ['y']),
  ];
  const source = modelOf({ nodes, input: [1, 64], initializers: { s: float32s(s, [64]) } });
  const plain = modelOf({ nodes: [node('Sigmoid', ['x'], ['gate']), node('Mul', ['x', 'gate'], ['y'])], input: [1, 64], initializers: {} });
  const feeds = { x: { dtype: 'float32' as const, shape: [1, 64], bytes: new Uint8Array(x.buffer) } };
  const run = async (m: Model) => {
    const session = await host.session(m, '.');
    try {
      return (await session.run(feeds))['y']!.bytes;
    } finally {
      await session.close();
    }
  };
  assert.equal([...(await run(source))], [...(await run(plain))]);
});

/** up → [history | new] → depthwise filters over time, with the history handed on. */
const filtered = (b: Builder): string[] => {
  const up = linear(b, b.input('x', [1, 5, N]), 'up', N, M);
  const joined = b.op('Concat', [b.input('past_conv', [1, M, 3]), b.op('Transpose', [up], { perm: [0, 2, 1] })], { axis: 2 });
  const conv = b.op('Conv', [joined, b.weight('conv.weight', [M, 1, 4])], { group: M });
  b.op('Slice', [joined, b.ints(-3), b.ints(2 ** 31 - 1), b.ints(2)]);
  b.graph.nodes.at(-1)!.outputs[0] = 'present_conv';
  return [b.op('Transpose', [conv], { perm: [0, 2, 1] }), 'present_conv'];
};

test('filters of a depthwise convolution take the scale, and its state holds it', async () => {
  const b = built(filtered);
  const on: Edge = { from: 'up', to: 'conv' };
  const a = await apply(host, b, 'smooth', { edges: [on] }, { alpha: 0.5 });
  assert.is(a.model.graph.nodes.length, b.model.graph.nodes.length);
  assert.equal([...a.applied[0]!.caches!.keys()], ['past_conv']);
  assert.match(await refusal(() => apply(host, b, 'dilate', { edges: [on] }, {})), 'takes scales of `smooth` alone');
  // With a history of zeros the scaled state starts alike: the first output is what it was.
  const zeros = { dtype: 'float32' as const, shape: [1, M, 3], bytes: new Uint8Array(4 * M * 3) };
  const x = Float32Array.from({ length: 5 * N }, (_, i) => Math.cos(i * 0.7) * (i % 5 ? 1 : 12));
  const feeds = { x: { dtype: 'float32' as const, shape: [1, 5, N], bytes: new Uint8Array(x.buffer) }, past_conv: zeros };
  const results = await Promise.all(
    [b.model, a.model].map(async (m) => {
      const session = await host.session(m, '.');
      const out = await session.run(feeds);
      await session.close();
      return Object.fromEntries(session.outputs.map((o) => [o, new Float32Array(out[o]!.bytes.slice().buffer)]));
    }),
  );
  const [was, is] = results as [(typeof results)[0], (typeof results)[0]];
  const y = b.model.graph.outputs[0]!.name;
  const off = (p: Float32Array, q: Float32Array) => Math.hypot(...p.map((v, i) => v - q[i]!)) / Math.hypot(...p);
  assert.ok(off(was[y]!, is[y]!) < 1e-5, `${off(was[y]!, is[y]!)}`);
  assert.ok(off(was['present_conv']!, is['present_conv']!) > 0.1, 'the state is scaled');
});

test('the part of a projection that one linear reads turns alone', async () => {
  const b = built((g) => {
    const both = linear(g, g.input('x', [1, 40, N]), 'x_proj', N, 20);
    const part = (from: number, to: number) => g.op('Slice', [both, g.ints(from), g.ints(to), g.ints(2)]);
    return [linear(g, part(0, 12), 'dt_proj', 12, N), g.op('Sigmoid', [part(12, 20)])];
  });
  for (const matrix of [
    { name: 'hadamard', args: {} },
    { name: 'product', args: { left: { name: 'klt', args: {} }, right: { name: 'hadamard', args: {} } } },
  ]) {
    const a = await apply(host, b, 'rotate', { edges: [{ from: 'x_proj', to: 'dt_proj' }] }, { matrix });
    assert.match(a.applied[0]!.detail, 'in 12 of 20 channels');
    assert.is(a.model.graph.nodes.length, b.model.graph.nodes.length);
    assert.ok((await distance(host, b.model, a.model)) < 1e-5);
  }
  const overlapping = built((g) => {
    const both = linear(g, g.input('x', [1, 4, N]), 'x_proj', N, 20);
    const part = (from: number, to: number) => g.op('Slice', [both, g.ints(from), g.ints(to), g.ints(2)]);
    return [linear(g, part(0, 12), 'dt_proj', 12, N), g.op('Sigmoid', [part(8, 20)])];
  });
  assert.match(
    await refusal(() => apply(host, overlapping, 'rotate', { edges: [{ from: 'x_proj', to: 'dt_proj' }] }, {})),
    'mixes-channels: x_proj -> dt_proj',
  );
});

test.run();
