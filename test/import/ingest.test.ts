// The law of ingest: float model + recipe → quantized model → recipe', and recipe' gives the float model the same numbers at every port.
import { spawnSync } from 'node:child_process';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { keyOf, numbersOf } from '../../compiler/ingest/describe.ts';
import { ingest } from '../../compiler/ingest.ts';
import type { QcError } from '../../grammar/diagnostics.ts';
import { workplace } from '../compile/help.ts';
import { planned } from '../plan/help.ts';

const place = await workplace();

/** Numbers of every port that a recipe gives to one of the committed models. */
async function numbers(model: string, text: string): Promise<Record<string, string>> {
  const p = await planned(model, text);
  const own = p.slots.filter((s) => s.what === 'type' && s.type);
  return Object.fromEntries(
    own.map((s) => [`${s.site.id}.${s.port}`, keyOf(numbersOf(s.type!, s.site.ports[s.port]?.kind ?? 'activation'))]).sort(),
  );
}

/** Compiles, reads back, and plans what was read. */
async function law(model: string, text: string, target: string): Promise<string> {
  const { output } = await place.compiled(model, text, { target, data: { calib: `test/models/${model}/calib` } });
  const read = await ingest(place.host, output, { name: 'r', of: 'r.onnx' });
  assert.equal(read.notes, [], `${model} ${target}: ${text}`);
  assert.equal(await numbers(model, read.text), await numbers(model, text), `${model} ${target}: ${text}\n${read.text}`);
  return read.text;
}

const cases: [scheme: string, ...on: [model: string, of: string][]][] = [
  ['W8A8', ['vit', 'linear'], ['mlp-conv', 'linear or conv'], ['mamba2', 'linear and not path("lm_head")']],
  ['W4A16(group: 32)', ['llama', 'linear and not path("*.down_proj")'], ['vit', 'linear']],
  ['W4A16_ASYM(group: 32)', ['mamba2', 'linear'], ['vit', 'linear and block(1..-1)']],
  ['FP8', ['vit', 'linear'], ['mlp-conv', 'linear or conv']],
  ['W8A8_STATIC', ['vit', 'linear'], ['mlp-conv', 'linear or conv']],
];
for (const target of ['portable', 'ort'])
  for (const [scheme, ...on] of cases)
    test(`${scheme}, ${target}: the same numbers everywhere`, async () => {
      const data = scheme === 'FP8' || scheme === 'W8A8_STATIC' ? 'calibrate data("calib") { samples: 2 }\n' : '';
      for (const [model, of] of on) await law(model, `${data}quantize ${of} as ${scheme}`, target);
    });

test('native weights, tables, block formats, members that differ: short recipes', async () => {
  assert.match(await law('vit', 'quantize linear as W4A8(group: 32)', 'native'), 'quantize linear as W4A8(group: 32)');
  const tables = await law('mamba2', 'quantize weight of embedding as int8 { per: channel }', 'portable');
  assert.match(tables, 'quantize weight of embedding as int8 { per: channel }');
  assert.match(tables, '# Stays in float: linear: all');
  assert.match(await law('vit', 'quantize linear as MXFP4', 'portable'), 'quantize linear as MXFP4');
  const mixed = 'quantize linear as W8A16\nquantize weight of linear and path("*.fc1") as int4 { group: 32 }\nkeep path("classifier")';
  const names = await law('vit', mixed, 'portable');
  assert.match(names, 'quantize linear and path("*.fc1") as W4A16(group: 32)');
  assert.match(names, 'not path("classifier")');
});

test('a float model, and what is no model, are refused', async () => {
  const code = (path: string) =>
    ingest(place.host, path, { name: 'r', of: path }).then(
      () => '',
      (e) => (e as QcError).diagnostics[0]?.code,
    );
  assert.is(await code('test/models/vit/model.onnx'), 'nothing-quantized');
  assert.is(await code('package.json'), 'not-onnx');
});

const python = (kind: string, model: string): string | undefined => {
  const out = `${place.folder}/${model}-${kind}.onnx`;
  const r = spawnSync('python3', ['test/import/quantize.py', `test/models/${model}/model.onnx`, kind, out, `test/models/${model}/calib`], {
    encoding: 'utf8',
  });
  return r.status === 0
    ? out
    : void console.log(`skipped: ${kind}: ${(r.stdout || String(r.error ?? r.stderr)).trim().split('\n').at(-1)}`);
};
const made: [kind: string, ...lines: string[]][] = [
  [
    'dynamic',
    'quantize weight of linear or conv as int8 { per: tensor }',
    'quantize input of linear or conv as uint8 { mode: dynamic, per: tensor }',
  ],
  ['qdq', 'quantize linear or conv as W8A8_STATIC', 'calibrate data("calib")'],
  ['qoperator', 'quantize weight of linear or conv as int8 { per: tensor }', 'as uint8 { mode: static, per: tensor }'],
  ['nbits', 'quantize linear and not path("classifier") as W4A16_ASYM(group: 32)'],
  ['nbits-sym', 'quantize linear and not path("classifier") as W4A16(group: 32)'],
  ['nbits-qdq', 'quantize linear and not path("classifier") as W4A16_ASYM(group: 32)'],
];
for (const [kind, ...lines] of made)
  test(`onnxruntime.quantization, ${kind}`, async () => {
    const path = python(kind, 'vit');
    if (!path) return;
    const { text } = await ingest(place.host, path, { name: 'r', of: 'r.onnx' });
    for (const l of lines) assert.ok(text.includes(l), `${l}\n${text}`);
    assert.not.match(text, 'not understood');
  });

test.after(() => place.close());
test.run();
