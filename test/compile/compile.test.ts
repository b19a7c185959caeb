/** From model and recipe to a file that stock ONNX Runtime runs. */
import { readFileSync } from 'node:fs';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { bindingOf, keys } from '../../compiler/driver/metadata.ts';
import { compareModels } from '../../compiler/evaluate/index.ts';
import { loadModel } from '../../compiler/graph/load.ts';
import { QcError } from '../../grammar/diagnostics.ts';
import { workplace } from './help.ts';

const w = await workplace();
test.after(() => w.close());

const codeOf = async (work: () => Promise<unknown>): Promise<string> => {
  try {
    await work();
  } catch (e) {
    if (e instanceof QcError) return e.diagnostics[0]!.code;
    throw e;
  }
  return 'nothing';
};
const metric = async (model: string, output: string, name: string): Promise<number> => {
  const found = await compareModels(w.host, `test/models/${model}/model.onnx`, output, `test/models/${model}/calib`, { samples: 8 });
  return found.find((m) => m.name.startsWith(`${name} `))!.value;
};

for (const target of ['portable', 'ort']) {
  test(`llama in four bits for ${target}`, async () => {
    const { result, output } = await w.compiled('llama', 'quantize linear as W4A16 { group: 32 }', { target });
    assert.ok(result.ok);
    assert.is(result.coverage, 1);
    assert.ok(result.bytes.after < 0.28 * result.bytes.before, `${result.bytes.after}`);
    const ops = result.report.ports.find((p) => p.path === 'lm_head' && p.port === 'weight')!.ops!;
    assert.ok(ops.includes(target === 'ort' ? 'MatMulNBits' : 'DequantizeLinear'), ops.join());
    assert.ok((await metric('llama', output, 'kl')) < 0.02);
  });
  test(`vit in eight bits, static, for ${target}`, async () => {
    const text = 'calibrate data("calib") { samples: 16 }\nquantize linear or conv as W8A8_STATIC\nrequire sqnr(output("logits")) >= 25dB';
    const { result, output } = await w.compiled('vit', text, { target, data: { calib: 'test/models/vit/calib' } });
    assert.ok(result.ok);
    assert.match(result.requires[0]!.measured, /^sqnr = [\d.]+dB$/);
    assert.is(result.files.length, 2);
    assert.match(result.report.ledger.find((l) => l.what === 'proof')!.detail, 'equal');
    assert.ok((await metric('vit', output, 'sqnr')) > 25);
  });
}

test('a convolutional model with folded BatchNormalization', async () => {
  const { result, output } = await w.compiled('mlp-conv', 'quantize linear or conv as W8A8', { target: 'ort' });
  assert.is(result.coverage, 1);
  assert.ok((await metric('mlp-conv', output, 'sqnr')) > 20);
});

test('the computed sizes are what is written', async () => {
  const { result } = await w.compiled('llama', 'quantize linear or embedding as W4A16 { group: 32 }\nrequire size <= 0.5x', {
    target: 'ort',
  });
  const claimed = Number(/size = (\d+) B/.exec(result.requires[0]!.measured)![1]);
  assert.ok(Math.abs(claimed / result.bytes.after - 1) < 0.005, `${claimed} ${result.bytes.after}`);
  const weights = result.report.ports.filter((p) => p.kind === 'weight');
  const saved = weights.reduce((n, p) => n + p.bytesBefore! - p.bytesAfter!, 0);
  // The graph itself gets smaller too: constants are merged, shape arithmetic goes.
  assert.ok(Math.abs((result.bytes.before - saved) / result.bytes.after - 1) < 0.03, `${saved}`);
  assert.ok(weights.every((p) => p.weightSqnr! > 15));
});

test('origin travels in the metadata', async () => {
  const { result, output } = await w.compiled('mlp-conv', 'quantize weight of conv as int8');
  const { model } = await loadModel(w.host, output);
  assert.match(model.metadata.get(keys.recipe)!, 'quantize weight of conv as int8');
  assert.match(model.metadata.get(keys.model)!, /^[0-9a-f]{64}$/);
  assert.is(model.metadata.get(keys.target), 'portable');
  assert.equal(bindingOf(model), {});
  assert.ok(result.ok);
});

test('a broken contract is a result, and nothing is written', async () => {
  const before = w.files();
  const { result } = await w.compiled('mlp-conv', 'quantize weight of conv as int8\nrequire size <= 0.1x');
  assert.not(result.ok);
  assert.not(result.requires[0]!.passed);
  assert.equal(w.files(), before);
});

test('nothing is written when something is wrong', async () => {
  const before = w.files();
  const data = { data: { calib: 'test/models/llama/calib' } };
  assert.is(await codeOf(() => w.compiled('vit', 'calibrate data("calib")\nquantize linear as W8A8_STATIC')), 'data-unbound');
  assert.is(await codeOf(() => w.compiled('vit', 'calibrate data("calib")\nquantize linear as W8A8_STATIC', data)), 'data-missing-input');
  assert.is(await codeOf(() => w.compiled('vit', 'quantize linear as W8A8_STATIC')), 'calibration-missing');
  assert.is(await codeOf(() => w.compiled('vit', 'quantize linear as W8A8\nrequire sqnr >= 10dB')), 'data-unbound');
  assert.is(await codeOf(() => w.compiled('vit', 'quantize weight of path("nowhere") as int8')), 'dead-selection');
  assert.is(await codeOf(() => w.compiled('vit', 'quantize linear as W8A8', { target: 'moon' })), 'unknown-target');
  assert.equal(w.files(), before);
});

test('an existing output is refused before any work', async () => {
  const { output } = await w.compiled('mlp-conv', 'quantize weight of conv as int8');
  const bytes = readFileSync(output);
  assert.not((await codeOf(() => w.compiled('mlp-conv', 'quantize weight of conv as int8', { output }))) === 'nothing');
  assert.equal(readFileSync(output), bytes);
  const { result } = await w.compiled('mlp-conv', 'quantize weight of conv as int4', { output, force: true });
  assert.is(result.files[0]!.bytes, readFileSync(output).length);
});

test('a run can be cancelled', async () => {
  const stop = new AbortController();
  const before = w.files();
  const run = w.compiled('llama', 'quantize linear as W4A16 { group: 32 }', {
    signal: stop.signal,
    onEvent: (e) => {
      if (e.phase === 'write') stop.abort();
    },
  });
  let name = '';
  await run.catch((e: Error) => {
    name = e.name;
  });
  assert.is(name, 'AbortError');
  assert.equal(w.files(), before);
});

test('evaluate measures without judging', async () => {
  const { result } = await w.compiled('mlp-conv', 'quantize linear or conv as W8A8\nevaluate sqnr(output("logits"))', {
    data: { eval: 'test/models/mlp-conv/calib' },
  });
  assert.is(result.metrics.length, 1);
  assert.is(result.metrics[0]!.name, 'sqnr(output("logits"))');
  assert.ok(result.metrics[0]!.value > 20);
});

test.run();
