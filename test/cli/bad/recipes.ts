import { small } from '../small-model.ts';
import { type Bad, recipe, w4 } from './types.ts';

const model = { 'm.onnx': small() };
const compile = ['compile', 'm.onnx', 'r.qrecipe', '-o', 'o.onnx'];
const of = (name: string, text: string, argv: readonly string[] = compile, more: Record<string, string> = {}): Bad => ({
  name,
  argv,
  files: { ...model, 'r.qrecipe': text, ...more },
});

export const recipes: readonly Bad[] = [
  { name: 'recipe missing', argv: compile, files: model },
  { name: 'recipe is a folder', argv: ['compile', 'm.onnx', '.', '-o', 'o.onnx'], files: model },
  of('recipe empty', ''),
  of('a brace is missing', 'recipe r version "1.0.0" {\n  quantize linear as W4A16\n'),
  of(
    'several mistakes in one run',
    'recipe r version "1.0.0" {\n  quantise linear as W4A16\n  keep path("x"\n  quantize linear W4A16\n}\n',
  ),
  of('typo in a role', recipe('quantize liner as W4A16 { group: 32 }')),
  of('typo in a scheme', recipe('quantize linear as W4A61')),
  of('typo in a format', recipe('quantize weight of linear as nit4')),
  of('typo in a key', recipe('quantize weight of linear as int4 { gruop: 32 }')),
  of('unknown port', recipe('quantize wieght of linear as int4 { group: 32 }')),
  of('unknown scale law', recipe('quantize weight of linear as int4 { group: 32, scale: mes }')),
  of('wrong unit', recipe('quantize linear as W4A16 { group: 32 }', 'require size <= 25dB')),
  of('out of range', recipe('quantize weight of linear as int(40)')),
  of('wrong kind of value', recipe('quantize weight of linear as int4 { group: "32" }')),
  of('a name that is planned', recipe('quantize linear as W4A16 { group: 32 }', 'solve reconstruct on linear')),
  of('selection that matches nothing', recipe('quantize weight of path("layers.*.mlp") as int4 { group: 32 }')),
  of('role that the model has not', recipe('quantize conv as W8A8')),
  of('group does not divide', recipe('quantize weight of linear as int4 { group: 48 }')),
  of('per channel on an input', recipe('quantize input of linear as int8 { mode: static, per: channel }')),
  of('no mode on an activation', recipe('quantize input of linear as int8')),
  of('no calibration data named', recipe('quantize linear as W8A8_STATIC')),
  of('unbound variable', recipe('let bits in [4, 8]', 'quantize weight of linear as int(bits) { group: 32 }')),
  of('name declared twice', recipe('let a = linear', 'let a = linear', 'quantize a as W4A16 { group: 32 }')),
  of('file used is missing', `use "./other.qrecipe" as other\n${w4}`),
  of('files use each other', `use "./s.qrecipe" as s\n${w4}`, compile, {
    's.qrecipe': `use "./r.qrecipe" as r\n${w4.replace('recipe r', 'recipe s')}`,
  }),
  of('package in another version', `use "@qrecipe/std@^9" as std\n${w4}`),
  of('package that is not there', `use "@nobody/nothing@^1" as n\n${w4}`),
  of('use that leaves the folder', `use "../../../etc/passwd" as p\n${w4}`),
  of('no recipe of that name', w4, ['compile', 'm.onnx', 'r.qrecipe#q', '-o', 'o.onnx']),
  of('several recipes and none chosen', `${w4}\n${w4.replace('recipe r', 'recipe s')}`),
  of('unknown parameter', w4, [...compile, '--param', 'group=64']),
  of(
    'parameter outside its domain',
    `recipe r version "1.0.0" (group = 32 in [32, 64]) {\n  quantize linear as W4A16 { group: group }\n}\n`,
    [...compile, '--param', 'group=128'],
  ),
  of('data for a name that the recipe has not', w4, [...compile, '--data', 'calib=.']),
  { ...of('contract broken', recipe('quantize linear as W4A16 { group: 32 }', 'require size <= 0.01x')), status: 1 },
];
