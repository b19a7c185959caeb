// A compiled model tells from what it was made, and is made again with the same bytes.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { qc, scratch } from '../cli/qc.ts';

const dir = scratch();
const model = join(process.cwd(), 'test/models/mlp-conv/model.onnx');
mkdirSync(join(dir, 'parts'));
writeFileSync(join(dir, 'parts/p.qrecipe'), 'recipe p version "1.0.0" (group = 64) {\n quantize   linear as W4A16(group_size: group)\n}\n');
writeFileSync(
  join(dir, 'r.qrecipe'),
  'use "./parts/p.qrecipe" as p\nuse "@qrecipe/std@^0.1" as std # unformatted on purpose\nrecipe r version "1.0.0" (g = 32) {\n\n\n  apply std.w8a16()\n    apply p.p(group: g)\n}\n',
);

test('reproduce: the same bytes from the metadata alone; another model and a changed file are told', async () => {
  const made = await qc(['compile', model, 'r.qrecipe', '-o', 'small.onnx', '--param', 'g=16'], { cwd: dir });
  assert.is(made.status, 0, made.err);
  const again = await qc(['reproduce', 'small.onnx', '--model', model], { cwd: dir });
  assert.is(again.status, 0, again.err);
  assert.match(again.out, /^same bytes {2}small\.onnx {2}\d+ B\n$/);

  const bytes = readFileSync(join(dir, 'small.onnx'));
  bytes[bytes.indexOf('"g":16') + 4] = '3'.charCodeAt(0);
  bytes[bytes.indexOf('"g":36') + 5] = '2'.charCodeAt(0);
  writeFileSync(join(dir, 'forged.onnx'), bytes);
  const forged = await qc(['reproduce', 'forged.onnx', '--model', model], { cwd: dir });
  assert.is(forged.status, 1, forged.err);
  assert.match(forged.err, 'differs  forged.onnx has other bytes');

  const other = await qc(['reproduce', 'small.onnx', '--model', 'small.onnx'], { cwd: dir });
  assert.is(other.status, 2);
  assert.match(other.err, 'error[made-otherwise] ');
  const stranger = await qc(['reproduce', model, '--model', model], { cwd: dir });
  assert.match(stranger.err, 'error[not-made-here] ');
});

test('a recipe of a package that uses a file above its own folder: its own recipe needs no name, and is made again', async () => {
  const recipe = join(process.cwd(), 'stdlib/presets/cpu_prefill.qrecipe');
  const made = await qc(['compile', model, recipe, '-o', 'preset.onnx'], { cwd: dir });
  assert.is(made.status, 0, made.err);
  const again = await qc(['reproduce', 'preset.onnx', '--model', model], { cwd: dir });
  assert.is(again.status, 0, again.err);
});

test('inspect reads it all back', async () => {
  const { out } = await qc(['inspect', 'small.onnx', '--json'], { cwd: dir });
  const { origin } = JSON.parse(out) as {
    origin: { sources: Record<string, string>; packages: { name: string }[]; params: object; root: string };
  };
  assert.equal(
    Object.keys(origin.sources).map((k) => k.replace(/@\d[^/]*/, '@…')),
    ['@qrecipe/std@…/index.qrecipe', '@qrecipe/std@…/weights/w8a16.qrecipe', 'parts/p.qrecipe', 'r.qrecipe'],
  );
  assert.equal([origin.root, origin.params, origin.packages.map((p) => p.name)], ['r.qrecipe', { g: 16 }, ['@qrecipe/std']]);
  assert.match(
    (await qc(['inspect', 'small.onnx'], { cwd: dir })).out,
    /made by {5}qc .*target portable\nrecipe {6}r 1\.0\.0 \(r\.qrecipe\)\n/,
  );
});

test.run();
