import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { type Builder, ofRole, only, sitesOf } from './build.ts';

const D = 8;
let made = 0;
const norm = (b: Builder, x: string, name = `norm_${made++}`) =>
  b.op('LayerNormalization', [x, b.weight(`${name}.weight`, [D]), b.weight(`${name}.bias`, [D])]);
const linear = (b: Builder, x: string, name: string, out = D) =>
  b.op('MatMul', [x, b.weight(`${name}.weight`, [b.graph.initializers.has(x) ? 1 : D, out])]);
const mlp = (b: Builder, x: string, name: string) => linear(b, b.op('Relu', [linear(b, x, `${name}.up`)]), `${name}.down`);
const tagged = (s: ReturnType<typeof sitesOf>, member: string) => s.sites.filter((x) => x.members.includes(member)).map((x) => x.path);

test('a pre-norm stream: what reads it through norms, what writes it', () => {
  const s = sitesOf((b) => {
    let x = b.op('Gather', [b.weight('embed.weight', [32, D]), b.input('ids', ['n', 's'], 'int64')]);
    for (const i of [0, 1]) x = b.op('Add', [x, mlp(b, norm(b, x), `layers.${i}.mlp`)]);
    return linear(b, norm(b, x), 'head', 3);
  });
  const stream = only(s, 'residual');
  assert.is(stream.facts['sums'], 2);
  assert.equal(s.streams[0]!.length, 3);
  assert.equal(tagged(s, 'residual.reader'), ['layers.0.mlp.up', 'layers.1.mlp.up', 'head']);
  assert.equal(tagged(s, 'residual.writer'), ['embed', 'layers.0.mlp.down', 'layers.1.mlp.down']);
  assert.equal(
    s.edges.filter((e) => e.from === stream.id || e.to === stream.id).map((e) => (e.to === stream.id ? `<- ${e.from}` : `-> ${e.to}`)),
    ['<- embedding:embed', '<- linear:layers.0.mlp.down', '<- linear:layers.1.mlp.down', ...ofRole(s, 'norm').map((n) => `-> ${n.id}`)],
  );
  assert.equal(
    ofRole(s, 'branch').map((x) => x.path),
    ['layers.0.mlp', 'layers.1.mlp'],
  );
});

test('a norm after the sum ends the stream; without names the blocks are the branches', () => {
  const s = sitesOf((b) => {
    let x = b.input('x', ['n', 's', D]);
    for (let i = 0; i < 3; i++) {
      const branch = b.op('MatMul', [b.op('Relu', [b.op('MatMul', [x, b.weight(`val_${i}`, [D, D])])]), b.weight(`val_${i + 9}`, [D, D])]);
      x = b.op('LayerNormalization', [b.op('Add', [x, branch]), b.weight(`val_${i + 20}`, [D]), b.weight(`val_${i + 30}`, [D])]);
    }
    return x;
  });
  assert.is(ofRole(s, 'residual').length, 3);
  assert.equal(
    s.sites.filter((x) => x.role === 'linear' || x.role === 'norm').map((x) => `${x.path} ${x.block}`),
    [0, 1, 2].flatMap((i) => [`layers.${i}.mlp.up_proj ${i}`, `layers.${i}.mlp.down_proj ${i}`, `layers.${i}.norm ${i}`]),
  );
  assert.equal(
    s.blocks.map((x) => [x.path, x.inputs.length, x.outputs.length]),
    [0, 1, 2].map((i) => [`layers.${i}.mlp`, 1, 1]),
  );
});

for (const order of ['(x + a) + m', 'x + (a + m)'] as const) {
  test(`parallel branches: ${order}`, () => {
    const s = sitesOf((b) => {
      let x = b.input('x', ['n', 's', D]);
      for (const i of [0, 1]) {
        const n = norm(b, x);
        const [a, m] = [linear(b, n, `h.${i}.attn.out`), mlp(b, n, `h.${i}.mlp`)];
        x = order === '(x + a) + m' ? b.op('Add', [b.op('Add', [x, a]), m]) : b.op('Add', [x, b.op('Add', [a, m])]);
      }
      return x;
    });
    assert.is(only(s, 'residual').facts['sums'], order === '(x + a) + m' ? 4 : 2);
    assert.equal(tagged(s, 'residual.writer'), ['h.0.attn.out', 'h.0.mlp.down', 'h.1.attn.out', 'h.1.mlp.down']);
    assert.equal(tagged(s, 'residual.reader'), ['h.0.attn.out', 'h.0.mlp.up', 'h.1.attn.out', 'h.1.mlp.up']);
  });
}

test('a projection shortcut begins a stream', () => {
  const s = sitesOf((b) => {
    const conv = (x: string, name: string, k: number) =>
      b.op('Conv', [x, b.weight(`${name}.weight`, [D, D, k, k])], { kernel_shape: [k, k], pads: k === 3 ? [1, 1, 1, 1] : [0, 0, 0, 0] });
    const x = b.input('x', ['n', D, 8, 8]);
    return b.op('Add', [conv(b.op('Relu', [conv(x, 'l.conv1', 3)]), 'l.conv2', 3), conv(x, 'l.down', 1)]);
  });
  const stream = only(s, 'residual');
  assert.is(stream.ports['input']!.value, s.sites.find((x) => x.path === 'down')!.ports['output']!.value);
  assert.equal(tagged(s, 'residual.writer'), ['conv2', 'down']);
});

test('a sum of two inputs, of an input and a constant, and of masks is no residual', () => {
  const s = sitesOf((b) => {
    const [x, y] = [b.input('x', ['n', D]), b.input('y', ['n', D])];
    return [b.op('Add', [x, y]), b.op('Add', [linear(b, x, 'fc'), b.weight('pos', [3, 1, D])]), b.op('Add', [x, b.op('Relu', [x])])];
  });
  assert.is(ofRole(s, 'residual').length, 0);
});

test('what depends on the step alone, and on the step and the class', () => {
  const s = sitesOf((b) => {
    const t = b.op('Mul', [
      b.op('Unsqueeze', [b.op('Cast', [b.input('t', ['n'], 'int64')], { to: 1 }), b.ints(1)]),
      b.weight('freqs', [1, D / 2]),
    ]);
    const wave = b.op('Concat', [b.op('Cos', [t]), b.op('Sin', [t])], { axis: 1 });
    const step = linear(b, wave, 't_embed');
    const label = b.op('Gather', [b.weight('y_embed.weight', [10, D]), b.input('y', ['n'], 'int64')]);
    const shift = linear(b, b.op('Add', [step, label]), 'mod');
    return b.op('Add', [linear(b, b.input('x', ['n', D]), 'in'), shift]);
  });
  assert.equal(tagged(s, 'temporal'), ['t_embed']);
  assert.equal(tagged(s, 'conditioning'), ['mod']);
  const region = only(s, 'temporal');
  assert.is(region.facts['step'], 't');
  assert.is(region.ports['output']!.value, s.sites.find((x) => x.path === 't_embed')!.ports['output']!.value);
  assert.equal(
    region.nodes.map((n) => n.op),
    ['Cast', 'Unsqueeze', 'Mul', 'Cos', 'Sin', 'Concat', 'MatMul'],
  );
});

test.run();
