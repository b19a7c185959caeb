import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { type Builder, ofRole, only, sitesOf } from './build.ts';

const D = 16;
const H = 4;
const HD = D / H;
const x = (b: Builder, name = 'x') => b.input(name, ['n', 's', D]);
const linear = (b: Builder, v: string, name: string, out = D) => b.op('MatMul', [v, b.weight(`${name}.weight`, [D, out])]);
const heads = (b: Builder, v: string, n = H) => b.op('Transpose', [b.op('Reshape', [v, b.ints(0, 0, n, HD)])], { perm: [0, 2, 1, 3] });
const attend = (b: Builder, q: string, k: string, v: string, mask?: string) => {
  const kt = b.op('Transpose', [k], { perm: [0, 1, 3, 2] });
  const scores = b.op('Mul', [b.op('MatMul', [q, kt]), b.number(0.5)]);
  const probs = b.op('Softmax', [mask ? b.op('Add', [scores, mask]) : scores], { axis: -1 });
  const context = b.op('Transpose', [b.op('MatMul', [probs, v])], { perm: [0, 2, 1, 3] });
  return b.op('Reshape', [context, b.ints(0, 0, D)]);
};
const members = (s: ReturnType<typeof sitesOf>) =>
  Object.fromEntries(ofRole(s, 'linear').map((l) => [l.path, l.members.filter((m) => m.startsWith('att')).join(' ')]));

test('projections, heads, scale, mask', () => {
  const s = sitesOf((b) => {
    const v = x(b);
    const [q, k, w] = ['q', 'k', 'v'].map((n) => heads(b, linear(b, v, n))) as [string, string, string];
    return linear(b, attend(b, q, k, w, b.input('mask', ['n', 1, 's', 's'])), 'o');
  });
  const a = only(s, 'attention');
  assert.equal(a.facts, { heads: 4, kv_heads: 4, head_dim: 4, scale: 0.5, cross: false, mask: true });
  assert.equal(Object.keys(a.ports), ['q', 'k', 'v', 'probs', 'output'], 'no cache: no key, no value');
  assert.equal(a.ports['k']!.axes, { head: 1, channel: 2, token: 3 });
  assert.equal(members(s), { q: 'attention.q', k: 'attention.k', v: 'attention.v', o: 'attention.output' });
  assert.is(a.ports['output']!.value, ofRole(s, 'linear')[3]!.ports['input']!.value);
  assert.is(
    new Set(
      ofRole(s, 'linear')
        .slice(0, 3)
        .map((l) => l.tied),
    ).size,
    1,
  );
  assert.is(ofRole(s, 'linear')[0]!.tied, 'linear:{q,k,v}');
  const through = s.edges.find((e) => e.from === 'linear:v' && e.to === 'linear:o')!.through;
  assert.equal(through, ['Reshape', 'Transpose', 'MatMul', 'Transpose', 'Reshape']);
  assert.not(
    s.edges.some((e) => e.from === 'linear:q' && !e.tied),
    'q ends in the scores',
  );
});

test('grouped heads with a cache: key and value are the cache', () => {
  const s = sitesOf((b) => {
    const v = x(b);
    const q = heads(b, linear(b, v, 'q'));
    const [k, w] = ['key', 'value'].map((n) => {
      const past = b.input(`past.${n}`, ['n', 2, 'p', HD]);
      const now = b.op('Concat', [past, heads(b, linear(b, v, n, 2 * HD), 2)], { axis: 2 });
      b.output(now);
      const wide = b.op('Expand', [b.op('Unsqueeze', [now, b.ints(2)]), b.ints(1, 1, 2, 1, 1)]);
      return b.op('Reshape', [wide, b.ints(0, H, -1, HD)]);
    }) as [string, string];
    return linear(b, attend(b, q, k, w), 'o');
  });
  const a = only(s, 'attention');
  assert.is(a.facts['heads'], 4);
  assert.is(a.facts['kv_heads'], 2);
  assert.is(a.facts['repeat'], true);
  assert.is(a.facts['past_key'], 'past.key');
  assert.is(a.facts['past_value'], 'past.value');
  assert.equal(a.ports['key']!.shape!.slice(0, 2), ['n', 2]);
  assert.equal(a.ports['key']!.axes, { head: 1, token: 2, channel: 3 });
  assert.match(a.ports['value']!.value, /^concat/);
});

/** x·cos + rotate(x)·sin in the spellings that exporters give. */
const ropes: Record<string, readonly [pairing: string, make: (b: Builder, v: string, cos: string, sin: string) => string]> = {
  'rotate_half with Slice, Neg, Concat': [
    'half',
    (b, v, cos, sin) => {
      const low = b.op('Slice', [v, b.ints(0), b.ints(2), b.ints(3), b.ints(1)]);
      const high = b.op('Slice', [v, b.ints(2), b.ints(9), b.ints(3), b.ints(1)]);
      const turned = b.op('Concat', [b.op('Neg', [high]), low], { axis: -1 });
      return b.op('Add', [b.op('Mul', [v, cos]), b.op('Mul', [turned, sin])]);
    },
  ],
  'rotate_half with Split': [
    'half',
    (b, v, cos, sin) => {
      const [low, high] = b.ops('Split', [v, b.ints(2, 2)], { axis: 3 }, { outputs: 2 }) as [string, string];
      const turned = b.op('Concat', [b.op('Neg', [high]), low], { axis: -1 });
      return b.op('Add', [b.op('Mul', [v, cos]), b.op('Mul', [turned, sin])]);
    },
  ],
  'rotate_every_two with strided Slices': [
    'interleaved',
    (b, v, cos, sin) => {
      const part = (i: number) => b.op('Slice', [v, b.ints(i), b.ints(1 << 30), b.ints(3), b.ints(2)]);
      const pair = [b.op('Neg', [part(1)]), part(0)].map((p) => b.op('Unsqueeze', [p, b.ints(4)]));
      const turned = b.op('Reshape', [b.op('Concat', pair, { axis: 4 }), b.ints(0, 0, 0, HD)]);
      return b.op('Add', [b.op('Mul', [v, cos]), b.op('Mul', [turned, sin])]);
    },
  ],
  'complex product over [d/2, 2]': [
    'interleaved',
    (b, v, cos, sin) => {
      const pairs = b.op('Reshape', [v, b.ints(0, 0, 0, HD / 2, 2)]);
      const [re, im] = [0, 1].map((i) => b.op('Gather', [pairs, b.ints(i)], { axis: 4 })) as [string, string];
      const real = b.op('Sub', [b.op('Mul', [re, cos]), b.op('Mul', [im, sin])]);
      const imaginary = b.op('Add', [b.op('Mul', [re, sin]), b.op('Mul', [im, cos])]);
      return b.op('Reshape', [b.op('Concat', [real, imaginary], { axis: 4 }), b.ints(0, 0, 0, HD)]);
    },
  ],
  'the operator RotaryEmbedding': ['interleaved', (b, v, cos, sin) => b.op('RotaryEmbedding', [v, cos, sin], { interleaved: 1 })],
};
for (const [name, [pairing, rope]] of Object.entries(ropes)) {
  test(`rope: ${name} is ${pairing}`, () => {
    const s = sitesOf((b) => {
      const v = x(b);
      const [cos, sin] = ['cos', 'sin'].map((n) => b.input(n, ['n', 1, 's', name.startsWith('complex') ? 1 : HD])) as [string, string];
      const [q, k] = ['q', 'k'].map((n) => rope(b, heads(b, linear(b, v, n)), cos, sin)) as [string, string];
      return linear(b, attend(b, q, k, heads(b, linear(b, v, 'v'))), 'o');
    }, 23);
    const a = only(s, 'attention');
    assert.is(a.facts['rope'], pairing);
    assert.equal(members(s), { q: 'attention.q', k: 'attention.k', v: 'attention.v', o: 'attention.output' });
  });
}

test('fused qkv: one linear is q, k and v', () => {
  const s = sitesOf((b) => {
    const all = b.op('Reshape', [linear(b, x(b), 'qkv', 3 * D), b.ints(0, 0, 3, H, HD)]);
    const parts = b.ops('Split', [b.op('Transpose', [all], { perm: [2, 0, 3, 1, 4] }), b.ints(1, 1, 1)], { axis: 0 }, { outputs: 3 });
    const [q, k, v] = parts.map((p) => b.op('Squeeze', [p, b.ints(0)])) as [string, string, string];
    return linear(b, attend(b, q, k, v), 'proj');
  });
  assert.equal(members(s), { qkv: 'attention.q attention.k attention.v', proj: 'attention.output' });
  assert.is(only(s, 'attention').facts['heads'], 4);
});

test('q and k normalised for each head', () => {
  const s = sitesOf((b) => {
    const v = x(b);
    const norm = (n: string, w: string) => b.op('SimplifiedLayerNormalization', [n, b.weight(w, [HD])]);
    const [q, k] = ['q', 'k'].map((n) => norm(heads(b, linear(b, v, n)), `${n}_norm.weight`)) as [string, string];
    return linear(b, attend(b, q, k, heads(b, linear(b, v, 'v'))), 'o');
  });
  assert.equal(members(s), { q: 'attention.q', k: 'attention.k', v: 'attention.v', o: 'attention.output' });
});

test('cross attention: k and v come from elsewhere', () => {
  const s = sitesOf((b) => {
    const [v, text] = [x(b), x(b, 'text')];
    const [k, w] = ['k', 'v'].map((n) => heads(b, linear(b, text, n))) as [string, string];
    return linear(b, attend(b, heads(b, linear(b, v, 'q')), k, w), 'o');
  });
  assert.is(only(s, 'attention').facts['cross'], true);
  assert.equal(members(s)['k'], 'attention.k attention.cross');
});

test('low-rank q and kv of one input are not cross attention', () => {
  const s = sitesOf((b) => {
    const v = x(b);
    const deep = (n: string) => linear(b, linear(b, v, `${n}_a`), `${n}_b`);
    const [q, k, w] = ['q', 'k', 'v'].map((n) => heads(b, deep(n))) as [string, string, string];
    return linear(b, attend(b, q, k, w), 'o');
  });
  assert.is(only(s, 'attention').facts['cross'], false);
  assert.is(members(s)['q_b'], 'attention.q');
  assert.is(members(s)['q_a'], '');
});

test('attention as operators', () => {
  const s = sitesOf((b) => {
    const v = x(b);
    const [q, k, w] = ['q', 'k', 'v'].map((n) => linear(b, v, n)) as [string, string, string];
    const past = ['key', 'value'].map((n) => b.input(`past.${n}`, ['n', H, 'p', HD]));
    const [out, key, value] = b.ops(
      'GroupQueryAttention',
      [q, k, w, ...past],
      { num_heads: H, kv_num_heads: H, do_rotary: 1 },
      { outputs: 3, domain: 'com.microsoft' },
    );
    return [linear(b, out!, 'o'), key!, value!];
  });
  const a = only(s, 'attention');
  assert.is(a.form, 'GroupQueryAttention');
  assert.equal(Object.keys(a.ports), ['q', 'k', 'v', 'key', 'value', 'output']);
  assert.is(a.facts['rope'], 'half');
  assert.is(a.facts['past_value'], 'past.value');
  assert.equal(members(s), { q: 'attention.q', k: 'attention.k', v: 'attention.v', o: 'attention.output' });
});

test("a classifier's softmax is no attention and no miss; one that weighs values without q and k is a miss", () => {
  const s = sitesOf((b) => {
    const v = x(b);
    const pooled = b.op('MatMul', [b.op('Transpose', [b.op('Softmax', [linear(b, v, 'score', 1)], { axis: 1 })], { perm: [0, 2, 1] }), v]);
    return [pooled, b.op('Softmax', [linear(b, v, 'classes')], { axis: -1 })];
  });
  assert.is(ofRole(s, 'attention').length, 0);
  assert.equal(
    s.misses.map((m) => [m.role, m.why]),
    [['attention', 'its scores are not a product of q and k']],
  );
});

test('mlp: gated, fused and plain', () => {
  const s = sitesOf((b) => {
    const v = x(b);
    const silu = (n: string) => b.op('Mul', [n, b.op('Sigmoid', [n])]);
    const gated = linear(b, b.op('Mul', [silu(linear(b, v, 'a.gate')), linear(b, v, 'a.up')]), 'a.down');
    const [g, u] = b.ops('Split', [linear(b, v, 'b.gate_up', 2 * D), b.ints(D, D)], { axis: -1 }, { outputs: 2 }) as [string, string];
    const fused = linear(b, b.op('Mul', [u, silu(g)]), 'b.down');
    const plain = linear(b, b.op('Relu', [linear(b, v, 'c.fc1')]), 'c.fc2');
    return [gated, fused, plain];
  });
  assert.equal(
    ofRole(s, 'mlp').map((m) => [m.path, m.form, m.facts['activation'], m.facts['gated']]),
    [
      ['a', 'gate+up+down', 'silu', true],
      ['b', 'gate_up+down', 'silu', true],
      ['c', 'up+down', 'relu', false],
    ],
  );
  assert.equal(
    ofRole(s, 'linear').map((l) => `${l.path}: ${l.members.join(' ')}`),
    [
      'a.gate: mlp.gate',
      'a.up: mlp.up',
      'a.down: mlp.down',
      'b.gate_up: mlp.gate mlp.up',
      'b.down: mlp.down',
      'c.fc1: mlp.up',
      'c.fc2: mlp.down',
    ],
  );
  const edge = (from: string, to: string) => s.edges.find((e) => e.from === `linear:${from}` && e.to === `linear:${to}`)?.through;
  assert.equal(edge('a.up', 'a.down'), ['Mul']);
  assert.equal(edge('a.gate', 'a.down'), ['SiLU', 'Mul']);
  assert.equal(edge('c.fc1', 'c.fc2'), ['Relu']);
});

test.run();
