import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { qc, scratch } from './qc.ts';

const ugly = 'recipe   a version "1.0.0" { # why\n quantize linear  as W4A16 {group:32}}\n';
const dir = scratch();
const file = (name: string, text: string): string => {
  writeFileSync(join(dir, name), text);
  return join(dir, name);
};

test('formats in place, keeps comments, and is quiet about what was formatted already', async () => {
  const path = file('a.qrecipe', ugly);
  const first = await qc(['fmt', path]);
  assert.is(first.status, 0);
  assert.is(first.err, `formatted: ${path}\n`);
  const text = readFileSync(path, 'utf8');
  assert.match(text, '# why');
  assert.match(text, 'quantize linear as W4A16 { group: 32 }');
  assert.equal(await qc(['fmt', path]), { status: 0, out: '', err: '' });
});

test('--check changes nothing and fails', async () => {
  const path = file('b.qrecipe', ugly);
  const r = await qc(['fmt', '--check', path]);
  assert.is(r.status, 1);
  assert.is(r.err, `not formatted: ${path}\n`);
  assert.is(readFileSync(path, 'utf8'), ugly);
});

test('- goes from stdin to stdout', async () => {
  const r = await qc(['fmt', '-'], { stdin: ugly });
  assert.is(r.status, 0);
  assert.match(r.out, 'quantize linear as W4A16 { group: 32 }');
  assert.is((await qc(['fmt', '-'], { stdin: r.out })).out, r.out);
});

test('a broken recipe is not touched', async () => {
  const path = file('c.qrecipe', 'recipe a version {');
  const r = await qc(['fmt', path]);
  assert.is(r.status, 2);
  assert.is(readFileSync(path, 'utf8'), 'recipe a version {');
  assert.match(r.err, `${path}:1:18`);
});

test.run();
