import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { type Builder, ofRole, only, sitesOf } from './build.ts';

const D = 8;
const x = (b: Builder) => b.input('x', ['n', 's', D]);
const mean = (b: Builder, v: string) => b.op('ReduceMean', [v, b.ints(-1)], { keepdims: 1 });

// —— norms

/** Every spelling of the square, of the division by the root, and of the order of the gain. */
const squares: Record<string, (b: Builder, v: string) => string> = {
  Pow: (b, v) => b.op('Pow', [v, b.number(2)]),
  'Mul(x, x)': (b, v) => b.op('Mul', [v, v]),
};
const divisions: Record<string, (b: Builder, v: string, variance: string) => string> = {
  'Div by Sqrt': (b, v, s) => b.op('Div', [v, b.op('Sqrt', [s])]),
  'Mul by Reciprocal of Sqrt': (b, v, s) => b.op('Mul', [b.op('Reciprocal', [b.op('Sqrt', [s])]), v]),
  'Mul by 1 / Sqrt': (b, v, s) => b.op('Mul', [v, b.op('Div', [b.number(1), b.op('Sqrt', [s])])]),
  'Pow -0.5': (b, v, s) => b.op('Mul', [v, b.op('Pow', [s, b.number(-0.5)])]),
};
for (const [sq, square] of Object.entries(squares)) {
  for (const [dv, divide] of Object.entries(divisions)) {
    test(`RMS norm with ${sq} and ${dv}`, () => {
      const s = sitesOf((b) => {
        const v = x(b);
        const normed = divide(b, v, b.op('Add', [mean(b, square(b, v)), b.number(1e-6)]));
        return b.op('Mul', [b.weight('norm.weight', [D]), normed]);
      });
      const n = only(s, 'norm');
      assert.is(n.form, 'rms-primitive');
      assert.is(n.facts['kind'], 'rms');
      assert.is(n.facts['gain'], 'norm.weight');
      assert.ok(Math.abs(Number(n.facts['eps']) - 1e-6) < 1e-12);
      assert.is(n.ports['input']!.value, 'x');
      assert.is(n.ports['output']!.value, s.sites[0]!.nodes.at(-1)!.outputs[0]);
      assert.is(n.size, D);
      assert.equal(s.misses, []);
    });

    test(`LayerNorm with ${sq} and ${dv}`, () => {
      const s = sitesOf((b) => {
        const v = x(b);
        const centred = b.op('Sub', [v, mean(b, v)]);
        const normed = divide(b, centred, b.op('Add', [mean(b, square(b, centred)), b.number(1e-12)]));
        return b.op('Add', [b.op('Mul', [normed, b.weight('ln.weight', [D])]), b.weight('ln.bias', [D])]);
      });
      const n = only(s, 'norm');
      assert.is(n.form, 'layernorm-primitive');
      assert.is(n.facts['gain'], 'ln.weight');
      assert.is(n.bias, 'ln.bias');
      assert.is(n.size, 2 * D);
      assert.equal(s.misses, []);
    });
  }
}

test('RMS norm in float32 inside a float16 model, and with a gain of 1 + w', () => {
  const s = sitesOf((b) => {
    const v = b.op('Cast', [x(b)], { to: 1 });
    const root = b.op('Sqrt', [b.op('Add', [mean(b, b.op('Pow', [v, b.number(2)])), b.number(1e-5)])]);
    const normed = b.op('Cast', [b.op('Div', [v, root])], { to: 10 });
    return b.op('Mul', [normed, b.op('Add', [b.half('w', [D]), b.number(1)])]);
  });
  const n = only(s, 'norm');
  assert.is(n.facts['gain'], 'w');
  assert.is(n.facts['gain_offset'], 1);
});

test('norms without gain, as before adaptive modulation', () => {
  const s = sitesOf((b) => {
    const v = x(b);
    const centred = b.op('Sub', [v, mean(b, v)]);
    const root = b.op('Sqrt', [b.op('Add', [mean(b, b.op('Mul', [centred, centred])), b.number(1e-6)])]);
    const normed = b.op('Div', [centred, root]);
    return b.op('Add', [b.op('Mul', [normed, b.input('scale', ['n', 1, D])]), b.input('shift', ['n', 1, D])]);
  });
  const n = only(s, 'norm');
  assert.is(n.facts['kind'], 'layer');
  assert.is(n.facts['gain'], undefined);
  assert.is(n.nodes.at(-1)!.op, 'Div');
});

test('norms as operators', () => {
  const s = sitesOf((b) => {
    const v = x(b);
    const g = b.weight('g', [D]);
    return [
      b.op('LayerNormalization', [v, g, b.weight('b', [D])], { epsilon: 1e-3 }),
      b.op('SimplifiedLayerNormalization', [v, g]),
      b.op('RMSNormalization', [v, g]),
    ];
  }, 23);
  assert.equal(
    ofRole(s, 'norm').map((n) => [n.form, n.facts['kind'], n.bias]),
    [
      ['LayerNormalization', 'layer', 'b'],
      ['SimplifiedLayerNormalization', 'rms', undefined],
      ['RMSNormalization', 'rms', undefined],
    ],
  );
});

test('GroupNorm as Reshape + InstanceNormalization + Reshape + Mul + Add', () => {
  const s = sitesOf((b) => {
    const v = b.input('img', ['n', D, 4, 4]);
    const flat = b.op('Reshape', [v, b.ints(0, 2, -1)]);
    const normed = b.op('InstanceNormalization', [flat, b.filled([2], 1), b.filled([2], 0)], { epsilon: 1e-5 });
    const back = b.op('Reshape', [normed, b.op('Shape', [v])]);
    return b.op('Add', [b.op('Mul', [back, b.weight('gn.weight', [D, 1, 1])]), b.weight('gn.bias', [D, 1, 1])]);
  });
  const n = only(s, 'norm');
  assert.is(n.form, 'groupnorm-instance');
  assert.is(n.facts['groups'], 2);
  assert.is(n.ports['input']!.value, 'img');
  assert.equal(n.ports['output']!.axes, { channel: 1 });
  assert.is(n.facts['gain'], 'gn.weight');
});

test('a mean that is no norm is a miss with its reason', () => {
  const s = sitesOf((b) => {
    const v = x(b);
    const other = b.input('y', ['n', 's', D]);
    const root = b.op('Sqrt', [
      b.op('Add', [b.op('ReduceMean', [b.op('Pow', [v, b.number(2)]), b.ints(-1)], {}, { name: 'power' }), b.number(1e-6)]),
    ]);
    return b.op('Mul', [b.op('Div', [other, root]), b.weight('w', [D])]);
  });
  assert.is(ofRole(s, 'norm').length, 0);
  assert.equal(
    s.misses.map((m) => [m.role, m.node]),
    [['norm', 'power']],
  );
  assert.match(s.misses[0]!.why, /x is "(x|y)" in one place and "(x|y)" in another/);
});

// —— activations

const erf = (b: Builder, v: string) => b.op('Erf', [b.op('Div', [v, b.number(Math.SQRT2)])]);
const plusOne = (b: Builder, v: string) => b.op('Add', [v, b.number(1)]);
const cube = (b: Builder, v: string, how: 'Pow' | 'Mul') =>
  how === 'Pow' ? b.op('Pow', [v, b.number(3)]) : b.op('Mul', [v, b.op('Mul', [v, v])]);
const tanh = (b: Builder, v: string, how: 'Pow' | 'Mul') =>
  b.op('Tanh', [b.op('Mul', [b.op('Add', [v, b.op('Mul', [cube(b, v, how), b.number(0.044715)])]), b.number(Math.sqrt(2 / Math.PI))])]);

const activations: Record<string, readonly [form: string, kind: string, make: (b: Builder, v: string) => string]> = {
  'SiLU, x first': ['SiLU', 'silu', (b, v) => b.op('Mul', [v, b.op('Sigmoid', [v])])],
  'SiLU, sigmoid first': ['SiLU', 'silu', (b, v) => b.op('Mul', [b.op('Sigmoid', [v]), v])],
  'GELU (x · (1 + erf)) · 0.5': ['GELU-erf', 'gelu', (b, v) => b.op('Mul', [b.op('Mul', [v, plusOne(b, erf(b, v))]), b.number(0.5)])],
  'GELU (0.5 · x) · (1 + erf)': ['GELU-erf', 'gelu', (b, v) => b.op('Mul', [b.op('Mul', [b.number(0.5), v]), plusOne(b, erf(b, v))])],
  'GELU x · (0.5 · (1 + erf(x · 1/√2)))': [
    'GELU-erf',
    'gelu',
    (b, v) => b.op('Mul', [v, b.op('Mul', [b.number(0.5), plusOne(b, b.op('Erf', [b.op('Mul', [v, b.number(Math.SQRT1_2)])]))])]),
  ],
  'GELU by tanh with Pow': ['GELU-tanh', 'gelu', (b, v) => b.op('Mul', [b.op('Mul', [v, plusOne(b, tanh(b, v, 'Pow'))]), b.number(0.5)])],
  'GELU by tanh with x·x·x': ['GELU-tanh', 'gelu', (b, v) => b.op('Mul', [b.op('Mul', [b.number(0.5), v]), plusOne(b, tanh(b, v, 'Mul'))])],
  'GELU by sigmoid': ['GELU-sigmoid', 'gelu', (b, v) => b.op('Mul', [v, b.op('Sigmoid', [b.op('Mul', [b.number(1.702), v])])])],
  'the operator Gelu': ['Gelu', 'gelu', (b, v) => b.op('Gelu', [v])],
  Relu: ['Relu', 'relu', (b, v) => b.op('Relu', [v])],
};
for (const [name, [form, kind, make]] of Object.entries(activations)) {
  test(name, () => {
    const s = sitesOf((b) => make(b, x(b)), 20);
    const a = only(s, 'activation');
    assert.is(a.form, form);
    assert.is(a.facts['kind'], kind);
    assert.is(a.ports['input']!.value, 'x');
    assert.equal(s.misses, []);
  });
}

test('an Erf with the wrong constant is a miss', () => {
  const s = sitesOf((b) => {
    const v = x(b);
    const e = b.op('Erf', [b.op('Div', [v, b.number(2)])], {}, { name: 'odd' });
    return b.op('Mul', [b.op('Mul', [v, plusOne(b, e)]), b.number(0.5)]);
  });
  assert.is(ofRole(s, 'activation').length, 0);
  assert.is(s.misses[0]!.node, 'odd');
  assert.match(s.misses[0]!.why, /is 2, not 1\.414/);
});

test('softmax as an operator and written out', () => {
  const s = sitesOf((b) => {
    const v = x(b);
    const e = b.op('Exp', [b.op('Sub', [v, b.op('ReduceMax', [v, b.ints(-1)], { keepdims: 1 })])]);
    return [b.op('Softmax', [v], { axis: 1 }), b.op('Div', [e, b.op('ReduceSum', [e, b.ints(-1)], { keepdims: 1 })])];
  });
  assert.equal(
    ofRole(s, 'softmax').map((m) => [m.form, m.facts['axis'], m.ports['input']!.value]),
    [
      ['Softmax', 1, 'x'],
      ['softmax-primitive', -1, 'x'],
    ],
  );
});

test.run();
