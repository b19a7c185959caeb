import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { inspect, inspectionText } from '../../compiler/inspect.ts';
import { Builder } from './build.ts';
import { load } from './load.ts';

test('llama as a table: repeated blocks share a row', async () => {
  const text = inspectionText(inspect(await load('llama')));
  const lines = text.split('\n').map((l) => l.replace(/ {2,}/g, ' | '));
  assert.ok(lines[0]!.startsWith('pytorch 2.15.0 · opset 17 · '));
  for (const line of [
    'embedding | embed_tokens | Gather | 2048×256 | float32 | 2.10 MB | residual.writer',
    'linear | layers.{0..5}.self_attn.k_proj | 6 × MatMul | 256×64 | float32 | 393 KB | attention.k residual.reader',
    'norm | layers.{0..5}.input_layernorm | 6 × rms-primitive',
    'linear | lm_head | MatMul | 256×2048 | float32 | 2.10 MB | head residual.reader',
    'weights of MatMul, Gemm and Conv: 100.0 % are sites (3866624 of 3866624)',
    '6 blocks: layers.0 layers.1 layers.2 layers.3 layers.4 layers.5',
    'no misses',
  ]) {
    assert.ok(lines.includes(line), `${line}\nnot in\n${text}`);
  }
});

test('the report is plain data and leaves the model as it was', async () => {
  const model = await load('mamba2');
  const nodes = model.graph.nodes.length;
  const r = inspect(model);
  assert.is(model.graph.nodes.length, nodes);
  assert.equal(JSON.parse(JSON.stringify(r)).sites.length, r.sites.length);
  const head = r.sites.find((s) => s.path === 'lm_head')!;
  assert.equal(head.weight, { name: 'embedding.weight', shape: [2048, 192], dtype: 'float32', bytes: 2048 * 192 * 4 });
  assert.is(r.ops.find((o) => o.op === 'Scan')!.outside, 0);
});

test('weights that no role takes lower the coverage and are listed with the reason', () => {
  const b = new Builder();
  const x = b.input('x', [3, 8, 8]);
  const y = b.op('MatMul', [x, b.weight('w', [8, 8])]);
  b.output(b.op('MatMul', [y, b.weight('batched', [3, 8, 8])], {}, { name: 'three' }));
  const r = inspect(b.model());
  assert.equal(r.totals.weights, { parameters: 256, covered: 64, share: 0.25 });
  assert.match(inspectionText(r), /25\.0 % are sites \(64 of 256\)/);
  assert.match(inspectionText(r), /1 misses \(--misses lists them\)/);
  assert.match(inspectionText(r, { misses: true }), /linear +three +its weight has rank 3, not 2/);
});

test('a model without weights', () => {
  const b = new Builder();
  b.output(b.op('Relu', [b.input('x', [2])]));
  const r = inspect(b.model());
  assert.is(r.model.parameters, 0);
  assert.is(r.totals.weights.share, 1);
  assert.match(inspectionText(r), /tied groups: none/);
});

test.run();
