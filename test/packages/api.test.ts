// `qc api`: what a package promises; the standard library's is committed.
import { cpSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { qc, scratch } from '../cli/qc.ts';

const dir = scratch();
cpSync('stdlib', join(dir, 'std'), { recursive: true });

test('the committed report of the standard library is the present one', async () => {
  const r = await qc(['api', 'stdlib', '-o', 'docs/reference/std.md', '--check']);
  assert.is(r.status, 0, `${r.err}npm run generate`);
});

test('names, parameters, defaults: as text, as JSON, and in a file that grows stale', async () => {
  const { out } = await qc(['api', 'std'], { cwd: dir });
  assert.match(out, /^# @qrecipe\/std \d+\.\d+\.\d+\n\n## w4a16\n\nFour-bit weights\. Version/);
  assert.match(out, '| `group` | `128` |  |\n| `scale` | `mse` |  |');
  const json = JSON.parse((await qc(['api', 'std', '--json'], { cwd: dir })).out) as {
    name: string;
    recipes: { name: string; params: { name: string; default: string; kind: string }[] }[];
  };
  assert.is(json.name, '@qrecipe/std');
  assert.equal(json.recipes.find((r) => r.name === 'w4a16')?.params[0], { name: 'group', default: '128', kind: 'number' });

  assert.is((await qc(['api', 'std', '-o', 'api.md', '--check'], { cwd: dir })).status, 1, 'there is none yet');
  assert.is((await qc(['api', 'std', '-o', 'api.md'], { cwd: dir })).status, 0);
  assert.is(readFileSync(join(dir, 'api.md'), 'utf8'), out);
  assert.is((await qc(['api', 'std', '-o', 'api.md', '--check'], { cwd: dir })).status, 0);
  const entry = join(dir, 'std/weights/w4a16.qrecipe');
  writeFileSync(entry, readFileSync(entry, 'utf8').replace('group = 128', 'group = 64'));
  const stale = await qc(['api', 'std', '-o', 'api.md', '--check'], { cwd: dir });
  assert.equal([stale.status, stale.err], [1, 'api.md is stale: qc api std -o api.md\n']);
});

test('a folder that is no package is refused', async () => {
  const r = await qc(['api', '.'], { cwd: dir });
  assert.is(r.status, 2);
  assert.match(r.err, 'error[package-unfit] ');
});

test.run();
