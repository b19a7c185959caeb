import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { owner, repeated, unwrap } from '../../compiler/match/names.ts';
import { ofRole, sitesOf } from './build.ts';
import { anonymize, load, sitesIn } from './load.ts';

test('who owns a parameter', () => {
  assert.is(owner('model.layers.0.mlp.up_proj.weight', 'MatMul'), 'model.layers.0.mlp.up_proj');
  assert.is(owner('model.layers.0.attn.q_proj.MatMul.weight', 'MatMul'), 'model.layers.0.attn.q_proj');
  assert.is(owner('bert/encoder/layer_0/query/kernel:0', 'MatMul'), 'bert.encoder.layer_0.query');
  assert.is(owner('resnetv17_dense0_weight', 'Gemm'), 'resnetv17_dense0');
  for (const made of ['onnx::MatMul_1883', 'val_12', '42', 'unsqueeze_1', 'cls_token']) assert.is(owner(made, 'MatMul'), undefined, made);
});

const stripped = (...paths: string[]) => paths.map(unwrap(paths));
test('wrappers are dropped, containers and siblings are not', () => {
  assert.equal(stripped('m.model.embed_tokens', 'm.model.layers.0.mlp.up', 'm.model.layers.1.mlp.up', 'm.model.norm', 'm.lm_head'), [
    'embed_tokens',
    'layers.0.mlp.up',
    'layers.1.mlp.up',
    'norm',
    'lm_head',
  ]);
  const bert = ['embeddings.word', 'encoder.layer.0.attention.q', 'encoder.layer.1.attention.q'];
  assert.equal(stripped(...bert), bert);
  const both = [
    'encoder.layers.0.a.b',
    'encoder.layers.1.a.b',
    'encoder.norm',
    'decoder.layers.0.a.b',
    'decoder.layers.1.a.b',
    'decoder.norm',
  ];
  assert.equal(stripped(...both), both);
  const flat = ['layers.0.fc', 'layers.1.fc'];
  assert.equal(stripped(...flat), flat);
  assert.equal(stripped('fc'), ['fc']);
});

test('containers that repeat', () => {
  assert.equal(repeated(['h.0.attn.q', 'h.1.attn.q', 'h.1.mlp.up', 'head.0', 'head.2']), ['h']);
  assert.equal(repeated(['stages.0.stem.conv', 'stages.1.block.conv']), [], 'children that have nothing in common');
});

/** One two-layer network in the naming of each exporter. */
const network = (
  name: (module: string, op: string, scope: string) => { name?: string; scopes?: string[] },
  weights: (module: string) => string,
) =>
  sitesOf((b) => {
    const first = 'model.embed';
    let x = b.op('MatMul', [b.input('x', ['n', 8]), b.weight(weights(first), [8, 8])], {}, name(first, 'MatMul', 'linear'));
    for (const i of [0, 1]) {
      for (const [part, act] of [
        ['mlp.up', 'Relu'],
        ['mlp.down', undefined],
      ] as const) {
        const module = `model.layers.${i}.${part}`;
        x = b.op('MatMul', [x, b.weight(weights(module), [8, 8])], {}, name(module, 'MatMul', 'linear'));
        if (act) x = b.op(act, [x], {}, name(`model.layers.${i}.mlp.act`, act, 'relu'));
      }
    }
    return b.op('MatMul', [x, b.weight(weights('head'), [8, 3])], {}, name('head', 'MatMul', 'linear'));
  });

const expected = ['embed', 'layers.0.mlp.up', 'layers.0.mlp.down', 'layers.1.mlp.up', 'layers.1.mlp.down', 'head'];
let weight = 0;
for (const [exporter, named] of Object.entries({
  legacy: () =>
    network(
      (m, op) => ({
        name: `/${m
          .replace(/^model\./, 'model/')
          .replace('mlp.', 'mlp/')
          .replace('.mlp', '/mlp')}/${op}`,
      }),
      () => `onnx::MatMul_${weight++}`,
    ),
  dynamo: () =>
    network(
      (m, op, call) => ({ name: `node_${op}_${weight++}`, scopes: ['', m.split('.').slice(0, 3).join('.'), m, call] }),
      () => `val_${weight++}`,
    ),
  'names of parameters': () =>
    network(
      () => ({}),
      (m) => `${m}.weight`,
    ),
})) {
  test(`the same paths from ${exporter} naming`, () => {
    const s = named();
    assert.equal(
      ofRole(s, 'linear').map((l) => l.path),
      expected,
    );
    assert.equal(
      ofRole(s, 'linear').map((l) => l.block),
      [undefined, 0, 0, 1, 1, undefined],
    );
    assert.equal(
      ofRole(s, 'mlp').map((l) => l.path),
      ['layers.0.mlp', 'layers.1.mlp'],
    );
  });
}

test('a Sequential repeats its name in legacy scopes', () => {
  const s = sitesOf((b) => {
    const x = b.op('MatMul', [b.input('x', ['n', 8]), b.weight('onnx::MatMul_1', [8, 8])], {}, { name: '/net/net.0/MatMul' });
    return b.op(
      'MatMul',
      [b.op('Relu', [x], {}, { name: '/net/net.1/Relu' }), b.weight('onnx::MatMul_2', [8, 8])],
      {},
      { name: '/out/out.2/MatMul' },
    );
  });
  assert.equal(s.sites.map((x) => x.path).slice(0, 2), ['net.0', 'net.1']);
});

test('calls in one module that have no name of their own are told apart', () => {
  const s = sitesOf((b) => {
    const x = b.input('x', ['n', 8]);
    const call = (i: number) => b.op('MatMul', [x, b.weight(`val_${i}`, [8, 8])], {}, { scopes: ['', 'block', 'linear'] });
    return [call(0), call(1)];
  });
  assert.equal(
    s.sites.map((x) => x.path),
    ['block.0', 'block.1'],
  );
});

test('llama without any name: the paths come from the structure', async () => {
  const named = sitesIn(await load('llama'));
  const bare = sitesIn(anonymize(await load('llama')));
  const linears = (s: typeof named) => s.sites.filter((x) => x.role === 'linear').map((x) => [x.path, x.block, x.members, x.tied]);
  assert.equal(linears(bare), linears(named));
  assert.is(bare.blocks.length, 6);
  assert.equal(
    bare.blocks.map((b) => b.outputs.length),
    named.blocks.map((b) => b.outputs.length),
  );
});

test('mamba2 without any name', async () => {
  const s = sitesIn(anonymize(await load('mamba2')));
  assert.equal(
    s.sites.filter((x) => x.block === 2 && x.ports['weight']).map((x) => `${x.role} ${x.path}`),
    ['linear layers.2.mixer.in_proj', 'conv layers.2.mixer.conv1d', 'linear layers.2.mixer.out_proj'],
  );
});

test.run();
