// What `qc diff` says of two recipe files, of two packages, and on a model. UPDATE=1 rewrites the transcript.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { qc, scratch } from '../cli/qc.ts';

const dir = scratch();
const put = (path: string, text: string): void => writeFileSync(join(dir, path), text);
const model = join(process.cwd(), 'test/models/mlp-conv/model.onnx');
const file = new URL('./diff.expected.txt', import.meta.url);

put(
  'a.qrecipe',
  `use "@qrecipe/std@^0.1" as std
let body = linear
recipe small "Small" version "1.0.0" (group = 32 in [32, 64], scale = mse, old = 1) {
  doc "Four bits."
  quantize body as W4A16(group: group, scale: scale)
  quantize conv as W8A16
  keep path("conv2")
  require size <= 0.5x
}
recipe gone version "1.0.0" { quantize linear as W8A16 }
`,
);
put(
  'b.qrecipe',
  `use "@qrecipe/std@^0.1" as std
let body = linear
# Another comment and another order say nothing.
recipe small "Small" version "1.1.0" (group = 64 in [32, 64, 128], scale = mse, extra = yes) {
  doc "Four bits, in larger groups."
  quantize conv as W8A16
  quantize body as W4A16(group: group)
  require size <= 0.4x
  solve gptq on linear
}
recipe fresh version "1.0.0" { quantize linear as W8A16 }
`,
);
put('c.qrecipe', 'recipe c version "1.0.0" {\n  quantize linear as W8A16\n  quantize conv as W8A16\n}\n');
put('d.qrecipe', 'recipe d version "1.0.0" {\n  quantize linear as W4A16(group: 16)\n  quantize conv as W8A16\n}\n');
put('wrong.qrecipe', 'recipe d version "1.0.0" {\n  quantize liner as W8A16\n}\n');
for (const [version, scale] of [
  ['1.0.0', 'minmax'],
  ['1.1.0', 'mse'],
] as const) {
  mkdirSync(join(dir, version));
  put(`${version}/package.json`, JSON.stringify({ name: '@t/base', version, qrecipe: './index.qrecipe' }));
  put(`${version}/part.qrecipe`, `recipe p version "1.0.0" {\n  quantize linear as W8A16 { scale: ${scale} }\n}\n`);
  put(`${version}/index.qrecipe`, 'use "./part.qrecipe" as part\nrecipe w8 version "1.0.0" {\n  doc "w8"\n  apply part.p()\n}\n');
}

const cases: readonly (readonly string[])[] = [
  ['a.qrecipe', 'a.qrecipe'],
  ['a.qrecipe', 'b.qrecipe'],
  ['a.qrecipe#gone', 'b.qrecipe#fresh'],
  ['a.qrecipe', 'b.qrecipe', '--json'],
  ['c.qrecipe', 'd.qrecipe', model],
  ['c.qrecipe', 'd.qrecipe', model, '--json'],
  ['1.0.0', '1.1.0'],
  ['1.0.0', '1.1.0', model],
  ['c.qrecipe', 'wrong.qrecipe'],
  ['c.qrecipe', 'nothing.qrecipe'],
];

test('what changes for whom, in words and as JSON, without and with a model', async () => {
  let transcript = '';
  for (const args of cases) {
    const r = await qc(['diff', ...args], { cwd: dir });
    const shown = args.map((a) => (a === model ? 'model.onnx' : a)).join(' ');
    transcript += `$ qc diff ${shown}\n${r.out}${r.err}${r.status ? `status ${r.status}\n` : ''}\n`.replaceAll(dir, '<dir>');
  }
  if (process.env['UPDATE']) writeFileSync(file, transcript);
  assert.fixture(transcript, readFileSync(file, 'utf8'));
});

test.run();
