import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ofRole, only, sitesOf } from './build.ts';

test('MatMul: the weight is [reduce, out]', () => {
  const s = sitesOf((b) => b.op('MatMul', [b.input('x', ['n', 's', 8]), b.weight('w', [8, 4])]));
  const l = only(s, 'linear');
  assert.is(l.form, 'MatMul');
  assert.equal(l.ports['weight']!.axes, { out: 1, reduce: 0 });
  assert.equal(l.ports['input']!.axes, { channel: 2 });
  assert.equal(l.facts, { in: 8, out: 4 });
  assert.is(l.size, 32);
  assert.is(l.tied, l.id);
});

test('MatMul + Add in both orders; the last node yields the output', () => {
  for (const first of [true, false]) {
    const s = sitesOf((b) => {
      const y = b.op('MatMul', [b.input('x', ['n', 8]), b.weight('w', [8, 4])]);
      const bias = b.weight('fc.bias', [4]);
      return b.op('Add', first ? [bias, y] : [y, bias]);
    });
    const l = only(s, 'linear');
    assert.is(l.form, 'MatMul+Add');
    assert.is(l.bias, 'fc.bias');
    assert.equal(
      l.nodes.map((n) => n.op),
      ['MatMul', 'Add'],
    );
    assert.is(l.ports['output']!.value, l.nodes[1]!.outputs[0]);
  }
});

test('an Add is no bias where the product has another reader, is an output, or the sizes differ', () => {
  const two = sitesOf((b) => {
    const y = b.op('MatMul', [b.input('x', ['n', 8]), b.weight('w', [8, 4])]);
    return [b.op('Add', [y, b.weight('c', [4])]), b.op('Relu', [y])];
  });
  assert.is(only(two, 'linear').form, 'MatMul');
  const wide = sitesOf((b) => b.op('Add', [b.op('MatMul', [b.input('x', [2, 3, 8]), b.weight('w', [8, 4])]), b.weight('pos', [3, 4])]));
  assert.is(only(wide, 'linear').bias, undefined);
});

test('Gemm: its transposes, alpha and beta', () => {
  const s = sitesOf((b) => {
    const x = b.input('x', ['n', 8]);
    return [
      b.op('Gemm', [x, b.weight('a.weight', [4, 8]), b.weight('a.bias', [4])], { transB: 1, alpha: 2, beta: 0.5 }),
      b.op('Gemm', [b.input('t', [8, 'n']), b.weight('c.weight', [8, 4])], { transA: 1 }),
    ];
  });
  const [a, c] = ofRole(s, 'linear');
  assert.equal(a!.ports['weight']!.axes, { out: 0, reduce: 1 });
  assert.equal(a!.facts, { in: 8, out: 4, transA: false, transB: true, alpha: 2, beta: 0.5 });
  assert.is(a!.bias, 'a.bias');
  assert.equal(c!.ports['weight']!.axes, { out: 1, reduce: 0 });
  assert.equal(c!.ports['input']!.axes, { channel: 0 });
  assert.equal(
    s.sites.map((x) => x.path),
    ['a', 'c'],
  );
});

test('the weight is reached through Identity, Cast and Transpose; the port names the initializer and its own axes', () => {
  const s = sitesOf((b) => {
    const w = b.op('Transpose', [b.op('Cast', [b.op('Identity', [b.half('w', [4, 8])])], { to: 1 })], { perm: [1, 0] });
    return b.op('MatMul', [b.input('x', ['n', 8]), w]);
  });
  const l = only(s, 'linear');
  assert.is(l.ports['weight']!.value, 'w');
  assert.equal(l.ports['weight']!.axes, { out: 0, reduce: 1 });
  assert.equal(
    l.nodes.map((n) => n.op),
    ['Cast', 'Transpose', 'MatMul'],
  );
});

test('float16 weights and 1×1 convolutions are linear', () => {
  const half = sitesOf((b) => b.op('MatMul', [b.input('x', ['n', 8]), b.half('w', [8, 4])]));
  assert.is(only(half, 'linear').ports['weight']!.value, 'w');
  const conv = sitesOf((b) =>
    b.op('Conv', [b.input('x', ['n', 8, 5, 5]), b.weight('w', [4, 8, 1, 1]), b.weight('bias', [4])], { strides: [2, 2] }),
  );
  const l = only(conv, 'linear');
  assert.is(l.form, 'Conv');
  assert.equal(l.ports['weight']!.axes, { out: 0, reduce: 1 });
  assert.equal(l.ports['input']!.axes, { channel: 1 });
  assert.equal(l.facts, { in: 8, out: 4, strides: [2, 2] });
});

test('misses say why', () => {
  const s = sitesOf((b) => {
    const x = b.input('x', [3, 8, 8]);
    return [
      b.op('MatMul', [b.weight('left', [8, 8]), x], {}, { name: 'from the left' }),
      b.op('MatMul', [x, b.weight('batched', [3, 8, 8])], {}, { name: 'three matrices' }),
      b.op('Gemm', [b.input('y', [2, 8]), b.weight('w', [8, 4]), b.input('c', [2, 4])], {}, { name: 'no bias' }),
      b.op('Einsum', [x, b.weight('e', [8, 4])], { equation: 'bsd,de->bse' }, { name: 'einsum' }),
    ];
  });
  assert.equal(
    s.misses.map((m) => `${m.role} ${m.node}: ${m.why}`),
    [
      'linear from the left: its constant is the left operand',
      'linear three matrices: its weight has rank 3, not 2',
      'linear no bias: its third operand is not a constant bias vector',
      'linear einsum: it is an Einsum; export it as a MatMul',
    ],
  );
  assert.is(s.sites.length, 0);
});

test('a product of two activations is no linear and no miss', () => {
  const s = sitesOf((b) => b.op('MatMul', [b.input('x', [2, 3]), b.input('y', [3, 4])]));
  assert.is(s.sites.length + s.misses.length, 0);
});

test('convolutions: grouped, transposed, with BatchNormalization folded', () => {
  const s = sitesOf((b) => {
    const x = b.input('x', ['n', 8, 9, 9]);
    const depth = b.op('Conv', [x, b.weight('dw', [8, 1, 3, 3])], { group: 8, kernel_shape: [3, 3], pads: [1, 1, 1, 1] });
    const up = b.op('ConvTranspose', [x, b.weight('up', [8, 4, 2, 2])], { strides: [2, 2], kernel_shape: [2, 2] });
    const plain = b.op('Conv', [x, b.weight('c', [4, 8, 3, 3])], { kernel_shape: [3, 3] });
    const bn = b.op('BatchNormalization', [plain, b.filled([4], 2), b.weight('beta', [4]), b.weight('mean', [4]), b.filled([4], 1)], {
      epsilon: 1e-5,
    });
    return [depth, up, bn];
  });
  const [depth, up, folded] = ofRole(s, 'conv');
  assert.is(depth!.facts['depthwise'], true);
  assert.is(depth!.facts['groups'], 8);
  assert.equal(up!.ports['weight']!.axes, { out: 1, reduce: 0 });
  assert.is(up!.facts['out'], 4);
  assert.ok(folded!.bias !== undefined, 'the folded shift is a bias');
  assert.is(ofRole(s, 'norm').length, 0);
});

test('weights in the body of an If are sites of that graph, also those of the outer one', () => {
  const s = sitesOf((b) => {
    const x = b.input('x', [2, 8]);
    b.weight('outer', [8, 4]);
    const branch = (w: (b: import('./build.ts').Builder) => string) => {
      const inner = new (b.constructor as new () => import('./build.ts').Builder)();
      inner.output(inner.op('MatMul', [x, w(inner)], {}, { name: 'product' }));
      return inner.graph;
    };
    const yes = branch(() => 'outer');
    const no = branch((i) => i.weight('inner', [8, 4]));
    return b.op(
      'If',
      [b.op('Cast', [b.op('ReduceMax', [x], { keepdims: 0 })], { to: 9 })],
      { then_branch: yes, else_branch: no },
      { name: 'choose' },
    );
  });
  assert.equal(
    ofRole(s, 'linear').map((l) => [l.graph, l.ports['weight']!.value]),
    [
      ['/choose.then_branch', 'outer'],
      ['/choose.else_branch', 'inner'],
    ],
  );
});

test('embeddings, tied heads, and rotary tables that are none', () => {
  const s = sitesOf((b) => {
    const ids = b.input('ids', ['n', 's'], 'int64');
    const h = b.op('Gather', [b.weight('wte.weight', [32, 8]), ids]);
    const [cos, sin] = ['cos', 'sin'].map((t) => b.op('Gather', [b.weight(t, [64, 8]), ids], {}, { name: t })) as [string, string];
    const turned = b.op('Add', [b.op('Mul', [h, cos]), b.op('Mul', [b.op('Neg', [h]), sin])]);
    const head = b.op('MatMul', [turned, b.op('Transpose', ['wte.weight'], { perm: [1, 0] })]);
    return head;
  });
  const e = only(s, 'embedding');
  assert.is(e.path, 'wte');
  assert.equal(e.ports['weight']!.axes, { out: 0, reduce: 1 });
  const head = only(s, 'linear');
  assert.is(head.path, 'lm_head');
  assert.is(head.facts['tied_weight'], e.id);
  assert.is(e.facts['tied_weight'], head.id);
  const why = 'its rows only scale other values (a rotary table)';
  assert.equal(s.misses, [
    { role: 'embedding', node: 'cos', why },
    { role: 'embedding', node: 'sin', why },
  ]);
});

test.run();
