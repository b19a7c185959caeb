// Configurations of other tools, each a real public one (repository and path in its first line): the recipe that comes out, to the letter.
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { check } from '../../compiler/check/check.ts';
import { importRecipe } from '../../compiler/import.ts';
import { QcError } from '../../grammar/diagnostics.ts';
import { parse } from '../../grammar/parser.ts';
import { print } from '../../grammar/printer.ts';
import { qc, scratch } from '../cli/qc.ts';

const folder = 'test/import/configs';
const stem = (file: string) => file.replace(/\.\w+$/, '');
const read = (file: string) => importRecipe(readFileSync(`${folder}/${file}`, 'utf8'), { file, name: stem(file) });
const from = (text: string, kind?: string) => importRecipe(text, { file: 'x', name: 'x', ...(kind ? { from: kind } : {}) }).text;
const code = (run: () => unknown): string => {
  try {
    run();
  } catch (e) {
    if (e instanceof QcError) return e.diagnostics[0]?.code ?? '';
    throw e;
  }
  return 'none';
};

for (const file of readdirSync(folder)) {
  test(`${file}: the recipe, canonical, checked`, () => {
    const { text } = read(file);
    const expected = `test/import/expected/${stem(file)}.qrecipe`;
    if (process.env['UPDATE'] || !existsSync(expected)) writeFileSync(expected, text);
    assert.is(text, readFileSync(expected, 'utf8'));
    assert.is(print(parse(text, file).ast), text, 'canonical');
    const errors = check({ path: file, text }).diagnostics.filter((d) => d.severity === 'error' && d.code !== 'planned');
    assert.equal(errors, []);
    assert.match(readFileSync(`${folder}/${file}`, 'utf8').split('\n')[0]!, /^(#|\/\/) [\w.-]+\/[\w.-]+, \S+/, 'says where it is from');
  });
}

test('every planned name is marked at its statement', () => {
  for (const file of readdirSync(folder)) {
    const { text, planned } = read(file);
    const told = check({ path: file, text }).diagnostics.filter((d) => d.code === 'planned');
    assert.is((text.match(/# Planned: /g) ?? []).length > 0, told.length > 0, file);
    for (const name of planned) assert.match(text, `Planned: the language knows \`${name}\``);
  }
});

test('unknown keys and values of the wrong type are told, wherever they stand', () => {
  const text = from('{"quant_method": "gptq", "bits": 4, "group_size": "many", "sym": 1, "surprise": {"a": [1, 2]}, "desc_act": true}');
  assert.match(text, 'group_size = "many"');
  assert.match(text, 'sym = 1');
  assert.match(text, 'surprise = {"a":[1,2]}');
  assert.match(text, 'order: hessian');
  assert.match(text, 'desc_act = true: groups stay contiguous');
  const deep = from(
    's_stage:\n  a_modifiers:\n    QuantizationModifier: {scheme: W8A8, new_key: 3, targets: [Linear, Mystery]}\n    FutureModifier: {x: 1}\n',
  );
  assert.match(deep, 'QuantizationModifier.new_key = 3');
  assert.match(deep, '= "Mystery": no role');
  assert.match(deep, 'FutureModifier: a modifier without an equal');
  assert.match(deep, 'FutureModifier.x = 1');
});

test('a statement that a stranger made impossible becomes a comment', () => {
  const text = from('{"quant_method": "gptq", "bits": 4, "group_size": 128, "damp_percent": 7}');
  assert.not.match(text, /^ {2}solve/m);
  assert.match(text, /# {3}solve gptq on body .*damp: 7/);
});

test('GPTQModel: dynamic rules; fp8 blocks; presets by name', () => {
  const text = from(
    '{"quant_method":"gptq","bits":4,"group_size":128,"dynamic":{"-:.*down_proj":{},"+:.*\\\\.0\\\\..*":{"bits":8,"group_size":64}}}',
  );
  assert.match(text, 'keep path(re: ".*down_proj.*")');
  assert.match(text, 'quantize weight of linear and path(re: ".*\\.0\\..*") as int8 { group: 64 }');
  const fp8 = from(
    '{"quantization_config":{"quant_method":"fp8","activation_scheme":"dynamic","fmt":"e4m3","weight_block_size":[128,128]}}',
  );
  assert.match(fp8, 'quantize weight of linear as fp8 { block: [128, 128] }');
  assert.match(fp8, 'quantize input of linear as fp8 { mode: dynamic, group: 128 }');
  const preset = (scheme: string) => from(`QuantizationModifier: {scheme: ${scheme}, targets: [Linear]}\n`);
  assert.match(preset('FP8_DYNAMIC'), 'quantize linear as FP8_DYNAMIC');
  assert.match(preset('FP8'), 'quantize weight of linear as fp8 { per: tensor }');
  assert.match(preset('NVFP4'), 'quantize linear as NVFP4');
  assert.match(preset('MXFP4A16'), 'quantize linear as MXFP4A16');
  assert.match(preset('W4A8'), 'quantize linear as W4A8(group: 128, scale: minmax)');
});

test('regular expressions of Python: anchored where they are, without the wrapper of the model', () => {
  const at = (re: string) =>
    /path\(re: (.*)\)$/m.exec(
      from(JSON.stringify({ config_groups: { g: { targets: [`re:${re}`], weights: { num_bits: 8, strategy: 'tensor' } } } })),
    )?.[1];
  assert.is(at('.*q_proj$'), '".*q_proj"');
  assert.is(at('.*mlp\\.gate'), '".*mlp\\.gate.*"');
  assert.is(at('^model\\.layers\\.0'), '"(?:model\\.)?layers\\.0.*"');
  assert.is(at('a|b'), '"(?:a|b).*"');
  assert.is(at('x\\-y$'), '"x-y"');
  assert.is(at('(?P<n>q)_proj$'), '"(?<n>q)_proj"');
  assert.is(
    code(() => at('(?i)x')),
    'import-empty',
    'no flags inside',
  );
});

test('kinds: found out, asked for, ambiguous, unknown', () => {
  assert.is(importRecipe('attn_v=q6_k\n', { file: 'x', name: 'x' }).kind, 'llama.cpp');
  assert.is(
    code(() => from('{"a": 1}')),
    'import-unrecognized',
  );
  assert.is(
    code(() => from('{"quantization_config": {"quant_method": "quip"}}')),
    'import-unrecognized',
  );
  assert.is(
    code(() => from('{"bits": 4, "desc_act": false, "config_groups": {}}')),
    'import-ambiguous',
  );
  assert.match(from('{"bits": 4, "desc_act": false, "config_groups": {}}', 'gptq'), 'W4A16');
  assert.is(
    code(() => from('{}', 'nothing')),
    'import-unknown-kind',
  );
  assert.is(
    code(() => from('{"passes": {"a": {"type": "OnnxConversion"}}}')),
    'import-empty',
  );
});

test('hostile texts: refused in words, or tamed', () => {
  assert.is(
    code(() => from('{"a": ')),
    'import-syntax',
  );
  assert.is(
    code(() => from('a: [1\n b')),
    'import-syntax',
  );
  assert.is(
    code(() => from('['.repeat(100_000))),
    'import-too-deep',
  );
  assert.is(
    code(() => from('- '.repeat(5000))),
    'import-too-deep',
  );
  assert.is(
    code(() => from(`{"a": "${'x'.repeat(5 << 20)}"}`)),
    'import-too-large',
  );
  const bomb = [
    'a0: &a0 [x,x,x,x,x,x,x,x,x]',
    ...Array.from({ length: 9 }, (_, i) => `a${i + 1}: &a${i + 1} [${Array(9).fill(`*a${i}`)}]`),
  ];
  assert.is(
    code(() => from(bomb.join('\n'))),
    'import-too-large',
  );
  const proto = from('{"quant_method": "gptq", "bits": 4, "__proto__": {"sym": false, "evil": 1}, "constructor": 1}');
  assert.match(proto, '__proto__ = {"sym":false,"evil":1}');
  assert.match(proto, 'W4A16(');
  assert.is(({} as Record<string, unknown>)['evil'], undefined);
  // A value cannot leave its comment, nor its text.
  const line = from(JSON.stringify({ quant_method: 'gptq', bits: 4, note: 'a\nquantize linear as int2\u2028}' }));
  assert.not.match(line, /^\s*quantize linear as int2/m);
  const quote = from(
    JSON.stringify({ config_groups: { g: { targets: ['x") as int2 # "', 'y\nz'], weights: { num_bits: 8, strategy: 'tensor' } } } }),
  );
  assert.is(check({ path: 'x', text: quote }).diagnostics.length, 0);
  assert.match(quote, 'this is no name of a module');
  assert.is(
    code(() => from('!!js/function "x": 1\nQuantizationModifier: {scheme: W8A8}\n')),
    'none',
  );
});

test('the command: writes once, says what is planned, gives json', async () => {
  const dir = scratch();
  writeFileSync(`${dir}/recipe.yaml`, 'QuantizationModifier: {scheme: W8A8, ignore: [lm_head]}\n');
  const first = await qc(['import', 'recipe.yaml', '-o', 'a.qrecipe', '--json'], { cwd: dir });
  assert.is(first.status, 0);
  assert.equal(JSON.parse(first.out), { ok: true, recipe: 'a.qrecipe', kind: 'llm-compressor', planned: [] });
  const again = await qc(['import', 'recipe.yaml', '-o', 'a.qrecipe'], { cwd: dir });
  assert.is(again.status, 2);
  assert.match(again.err, '--force');
  const out = await qc(['import', '-', '-o', '-', '--from', 'awq'], { stdin: '{"w_bit": 4}' });
  assert.match(out.out, 'recipe imported version');
  const none = await qc(['import', 'missing.json'], { cwd: dir });
  assert.is(none.status, 2);
});

test.run();
