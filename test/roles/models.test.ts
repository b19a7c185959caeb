/** What is found in the models that this repository carries, to the last path; the larger ones where they are at hand. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { inspect } from '../../compiler/inspect.ts';
import type { Sites } from '../../compiler/sites.ts';
import { fileOf, load, sitesIn } from './load.ts';

/** `role path`, blocks 1… left out, in order; counts of each role over the whole. */
const firstBlock = (s: Sites): string[] => s.sites.filter((x) => x.block === undefined || x.block === 0).map((x) => `${x.role} ${x.path}`);
const counts = (s: Sites): Record<string, number> => {
  const out: Record<string, number> = {};
  for (const x of s.sites) out[x.role] = (out[x.role] ?? 0) + 1;
  return out;
};
const members = (s: Sites, block: number | undefined): Record<string, string> =>
  Object.fromEntries(s.sites.filter((x) => x.block === block && x.members.length > 0).map((x) => [x.path, x.members.join(' ')]));
const facts = (s: Sites, id: string) => s.sites.find((x) => x.id === id)!.facts;
const edges = (s: Sites, from: string): string[] =>
  s.edges.filter((e) => e.from === from).map((e) => `${e.to} ${e.through.join('>')}`.trim());

/** What holds for every model. */
function sound(s: Sites): void {
  const ids = new Set(s.sites.map((x) => x.id));
  assert.is(ids.size, s.sites.length, 'ids are unique');
  for (const x of s.sites) {
    assert.is(x.id, `${x.role}:${x.path}`);
    assert.ok(x.nodes.length > 0, `${x.id} has nodes`);
    for (const p of Object.values(x.ports)) assert.ok(p.kind === 'activation' || p.value !== '', `${x.id}.${p.name}`);
  }
  for (const e of s.edges) assert.ok(ids.has(e.from) && ids.has(e.to), `${e.from} -> ${e.to}`);
  for (const [i, b] of s.blocks.entries()) assert.is(b.index, i);
}

/** A test of a model that may not be at hand. */
const model = (name: string, run: (s: Sites) => void) =>
  test(name, async () => {
    if (!fileOf(name)) return console.log(`skipped: no model ${name}`);
    const loaded = await load(name);
    const s = sitesIn(loaded);
    sound(s);
    run(s);
    const { weights } = inspect(loaded).totals;
    assert.is(weights.covered, weights.parameters, 'every constant matrix and kernel is a site');
    assert.ok(weights.parameters > 0);
  });

const llama = (s: Sites) => {
  assert.equal(counts(s), { embedding: 1, norm: 13, linear: 43, softmax: 6, attention: 6, branch: 12, activation: 6, mlp: 6, residual: 1 });
  assert.equal(firstBlock(s), [
    'embedding embed_tokens',
    'norm layers.0.input_layernorm',
    'linear layers.0.self_attn.q_proj',
    'linear layers.0.self_attn.k_proj',
    'linear layers.0.self_attn.v_proj',
    'softmax layers.0.self_attn',
    'attention layers.0.self_attn',
    'linear layers.0.self_attn.o_proj',
    'branch layers.0.self_attn',
    'norm layers.0.post_attention_layernorm',
    'linear layers.0.mlp.gate_proj',
    'activation layers.0.mlp.act_fn',
    'linear layers.0.mlp.up_proj',
    'linear layers.0.mlp.down_proj',
    'branch layers.0.mlp',
    'mlp layers.0.mlp',
    'residual residual',
    'norm norm',
    'linear lm_head',
  ]);
  assert.equal(members(s, 5), {
    'layers.5.self_attn.q_proj': 'attention.q residual.reader',
    'layers.5.self_attn.k_proj': 'attention.k residual.reader',
    'layers.5.self_attn.v_proj': 'attention.v residual.reader',
    'layers.5.self_attn.o_proj': 'attention.output residual.writer',
    'layers.5.mlp.gate_proj': 'mlp.gate residual.reader',
    'layers.5.mlp.up_proj': 'mlp.up residual.reader',
    'layers.5.mlp.down_proj': 'mlp.down residual.writer',
  });
  const a = facts(s, 'attention:layers.0.self_attn');
  for (const [k, v] of Object.entries({
    heads: 8,
    kv_heads: 2,
    head_dim: 32,
    rope: 'half',
    cross: false,
    mask: true,
    past_key: 'past_key_values.0.key',
  })) {
    assert.is(a[k], v, k);
  }
  const attention = s.sites.find((x) => x.id === 'attention:layers.3.self_attn')!;
  assert.is(attention.ports['key']!.value, 'present.3.key');
  assert.is(attention.ports['value']!.value, 'present.3.value');
  const groups = new Set(s.sites.filter((x) => x.role === 'linear').map((x) => x.tied));
  assert.is(groups.size, 6 * 4 + 1);
  assert.is(s.sites.find((x) => x.path === 'layers.2.mlp.up_proj')!.tied, 'linear:layers.2.mlp.{gate_proj,up_proj}');
  assert.equal(edges(s, 'norm:layers.1.input_layernorm'), [
    'linear:layers.1.self_attn.q_proj',
    'linear:layers.1.self_attn.k_proj',
    'linear:layers.1.self_attn.v_proj',
  ]);
  assert.equal(edges(s, 'linear:layers.1.mlp.up_proj'), ['linear:layers.1.mlp.down_proj Mul']);
  assert.equal(edges(s, 'linear:layers.1.mlp.gate_proj'), ['linear:layers.1.mlp.down_proj SiLU>Mul']);
  assert.is(s.edges.filter((e) => e.to === 'residual:residual').length, 13);
  assert.is(s.edges.filter((e) => e.from === 'residual:residual').length, 13);
  assert.equal(
    s.streams.map((x) => x.length),
    [13],
  );
  assert.is(s.blocks.length, 6);
  assert.equal(s.blocks[1]!.outputs.slice(0, 2), ['present.1.key', 'present.1.value']);
  assert.equal(s.misses, []);
};
model('llama', llama);
model('llama-outlier', llama);

model('vit', (s) => {
  assert.equal(counts(s), { conv: 1, norm: 13, linear: 37, softmax: 6, attention: 6, branch: 12, activation: 6, mlp: 6, residual: 1 });
  assert.equal(
    firstBlock(s).filter((x) => /^(linear|conv|norm|mlp|attention)/.test(x)),
    [
      'conv embeddings.patch_embeddings.projection',
      'norm layers.0.layernorm_before',
      'linear layers.0.attention.q_proj',
      'linear layers.0.attention.k_proj',
      'linear layers.0.attention.v_proj',
      'attention layers.0.attention',
      'linear layers.0.attention.o_proj',
      'norm layers.0.layernorm_after',
      'linear layers.0.mlp.fc1',
      'linear layers.0.mlp.fc2',
      'mlp layers.0.mlp',
      'norm layernorm',
      'linear classifier',
    ],
  );
  assert.is(facts(s, 'attention:layers.0.attention')['heads'], 4);
  assert.is(facts(s, 'activation:layers.0.mlp.activation_fn')['kind'], 'gelu');
  assert.equal(s.sites.find((x) => x.role === 'conv')!.members, ['residual.writer']);
  assert.is(s.blocks.length, 6);
});

model('mlp-conv', (s) => {
  assert.equal(counts(s), { conv: 7, activation: 7, branch: 3, residual: 3, linear: 3 });
  assert.equal(
    s.sites
      .filter((x) => x.role === 'conv' || x.role === 'linear')
      .map((x) => `${x.path} ${x.form} ${x.block ?? '-'}${x.bias === undefined ? '' : ' bias'}`),
    [
      'conv1 Conv - bias',
      'l1.conv1 Conv 0 bias',
      'l1.conv2 Conv 0 bias',
      'l2.down.0 Conv 1 bias',
      'l2.conv1 Conv 1 bias',
      'l2.conv2 Conv 1 bias',
      'l3.down.0 Conv 2 bias',
      'l3.conv1 Conv 2 bias',
      'l3.conv2 Conv 2 bias',
      'fc Gemm - bias',
    ],
  );
  assert.equal(edges(s, 'conv:l2.conv1'), ['conv:l2.conv2 Relu']);
  assert.equal(
    s.blocks.map((b) => b.path),
    ['l1', 'l2', 'l3'],
  );
  assert.equal(s.blocks[1]!.inputs, ['/l1/relu_1/Relu_output_0']);
  assert.equal(s.blocks[1]!.outputs, ['/l2/relu_1/Relu_output_0']);
});

model('mamba2', (s) => {
  assert.equal(counts(s), { embedding: 1, norm: 7, linear: 7, conv: 3, activation: 6, ssm: 3, branch: 3, residual: 1 });
  assert.equal(members(s, 1), {
    'layers.1.in_proj': 'ssm.input ssm.gate ssm.B ssm.C ssm.dt residual.reader',
    'layers.1.conv1d': 'ssm.conv',
    'layers.1.out_proj': 'ssm.output residual.writer',
  });
  const ssm = s.sites.find((x) => x.id === 'ssm:layers.0.ssm')!;
  assert.equal(ssm.facts, { next: 'add_scan_combine_graph_0', past_state: 'past_ssm.0', state: 32, heads: 6 });
  assert.equal(Object.fromEntries(Object.values(ssm.ports).map((p) => [p.name, p.shape!.slice(-2).join()])), {
    x: '6,64',
    B: '2,32',
    C: '2,32',
    dt: 'sequence,6',
    z: 'sequence,384',
    state: '64,32',
    output: 'sequence,384',
  });
  assert.is(ssm.ports['state']!.value, 'present_ssm.0');
  assert.is(facts(s, 'linear:lm_head')['tied_weight'], 'embedding:embedding');
  assert.equal(s.sites.find((x) => x.path === 'lm_head')!.ports['weight']!.axes, { out: 0, reduce: 1 });
  assert.is(facts(s, 'conv:layers.0.conv1d')['depthwise'], true);
});

model('mamba', (s) => {
  assert.equal(members(s, 3), {
    'layers.3.in_proj': 'ssm.input ssm.gate residual.reader',
    'layers.3.conv1d': 'ssm.conv',
    'layers.3.x_proj': 'ssm.B ssm.C',
    'layers.3.dt_proj': 'ssm.dt',
    'layers.3.out_proj': 'ssm.output residual.writer',
  });
  const ssm = s.sites.find((x) => x.id === 'ssm:layers.0.ssm')!;
  assert.equal(
    ['x', 'B', 'dt', 'z'].map((p) => ssm.ports[p]!.shape!.at(-1)),
    [384, 16, 384, 384],
  );
});

model('minilm', (s) => {
  assert.equal(counts(s), {
    embedding: 3,
    norm: 13,
    linear: 36,
    softmax: 6,
    attention: 6,
    branch: 12,
    activation: 6,
    mlp: 6,
    residual: 12,
  });
  assert.equal(members(s, 0), {
    'encoder.layer.0.attention.self.query': 'attention.q residual.reader',
    'encoder.layer.0.attention.self.key': 'attention.k residual.reader',
    'encoder.layer.0.attention.self.value': 'attention.v residual.reader',
    'encoder.layer.0.attention.output.dense': 'attention.output residual.writer',
    'encoder.layer.0.attention.output.LayerNorm': 'residual.writer',
    'encoder.layer.0.intermediate.dense': 'mlp.up residual.reader',
    'encoder.layer.0.output.dense': 'mlp.down residual.writer',
    'encoder.layer.0.output.LayerNorm': 'residual.writer',
  });
  assert.is(facts(s, 'activation:encoder.layer.0.intermediate.intermediate_act_fn')['kind'], 'gelu');
});

model('dit', (s) => {
  const tagged = (m: string) => s.sites.filter((x) => x.role === 'linear' && x.members.includes(m)).map((x) => x.path);
  assert.equal(tagged('temporal'), ['t_embed.0', 't_embed.2']);
  assert.equal(tagged('conditioning'), [...[0, 1, 2, 3, 4, 5].map((i) => `blocks.${i}.adaLN_modulation.1`), 'ada.1']);
  assert.equal(members(s, 2), {
    'blocks.2.adaLN_modulation.1': 'conditioning',
    'blocks.2.attn.qkv': 'attention.q attention.k attention.v residual.reader',
    'blocks.2.attn.proj': 'attention.output residual.writer',
    'blocks.2.mlp.0': 'mlp.up residual.reader',
    'blocks.2.mlp.2': 'mlp.down residual.writer',
  });
  const t = s.sites.find((x) => x.role === 'temporal')!;
  assert.is(t.facts['step'], 't');
  assert.equal(t.ports['output']!.shape, ['batch', 128]);
  assert.equal(edges(s, 'norm:blocks.1.norm1'), ['linear:blocks.1.attn.qkv Mul>Add']);
  assert.equal(
    s.streams.map((x) => x.length),
    [13],
  );
});

model('unet', (s) => {
  assert.is(counts(s)['conv'], 22);
  assert.is(counts(s)['norm'], 18);
  assert.ok(s.sites.filter((x) => x.role === 'norm').every((x) => x.facts['kind'] === 'group' && x.facts['groups'] === 8));
  assert.is(facts(s, 'attention:attn')['heads'], 4);
  assert.equal(
    s.blocks.map((b) => b.path),
    ['d0', 'd1', 'attn', 'd2', 'mid', 'u2', 'u1', 'u0', 'u00'],
  );
  assert.is(s.sites.find((x) => x.path === 'attn.to_k')!.tied, 'linear:attn.{to_q,to_k,to_v}');
});

test.run();
