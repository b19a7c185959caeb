// From a new package to a compiled model in another folder, on a real registry. UPDATE=1 rewrites the transcript.
import { appendFileSync, cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { qc, scratch } from '../cli/qc.ts';
import { registry } from './registry.ts';

const top = scratch();
const [maker, user] = [join(top, 'maker'), join(top, 'user')];
const model = join(process.cwd(), 'test/models/mlp-conv/model.onnx');

test('a package is made, published, used, locked, updated; and what must be refused is', async () => {
  const npm = await registry().catch((e: unknown) => String(e).split('\n')[0] ?? '');
  if (typeof npm === 'string') return void console.log(`skipped: verdaccio does not start: ${npm}`);
  let transcript = '';
  const clean = (t: string): string =>
    t
      .replaceAll(npm.folder, 'REGISTRY')
      .replaceAll(top, 'TOP')
      .replaceAll(process.cwd(), 'QC')
      .replace(/127\.0\.0\.1:\d+/g, 'REGISTRY')
      .replace(/sha512-[\w+/=]+/g, 'sha512-…')
      .replace(/ in \d[\d.]* (s|ms)/g, '')
      .replace(/^in \d.*\n/gm, '')
      .replace(/ +\d[\d.]* (B|KB) {2}/g, '  ');
  const say = async (cwd: string, ...argv: string[]): Promise<string> => {
    const r = await qc(argv, { cwd, env: npm.env });
    const shown = clean(`${cwd.slice(top.length + 1)}$ qc ${argv.join(' ')}\n${r.out}${r.err}${r.status ? `status ${r.status}\n` : ''}\n`);
    transcript += shown;
    return shown;
  };
  const edit = (path: string, from: string | RegExp, to: string): void => {
    const text = readFileSync(path, 'utf8');
    const next = text.replace(from, to);
    assert.is.not(next, text, `${from} is in ${path}`);
    writeFileSync(path, next);
  };
  try {
    for (const d of [maker, user]) mkdirSync(d);
    cpSync('stdlib', join(top, 'std'), { recursive: true });
    writeFileSync(join(user, 'package.json'), '{ "name": "user", "version": "1.0.0", "private": true }\n');
    await say(join(top, 'std'), 'publish', '--quiet');
    await say(maker, 'init', '--package', '@t/base');
    await say(maker, 'publish', '--dry-run');
    await say(maker, 'publish', '--quiet');

    await say(user, 'add', '@t/base@^0.1.0');
    writeFileSync(
      join(user, 'main.qrecipe'),
      'use "@t/base@^0.1.0" as base\n\nrecipe main version "1.0.0" {\n  apply base.w4(group: 32)\n}\n',
    );
    await say(user, 'check', 'main.qrecipe', '--locked');
    await say(user, 'compile', model, 'main.qrecipe', '-o', 'small.onnx', '--locked', '--quiet');
    transcript += `${readFileSync(join(user, 'qrecipe.lock'), 'utf8')}\n`.replace(/sha512-[\w+/=]+/g, 'sha512-…');
    await say(user, 'why', '@qrecipe/std', 'main.qrecipe');

    // The next version: too small a step, then a right one.
    edit(join(maker, 'index.qrecipe'), 'group = 64 in [32, 64, 128]', 'group = 128 in [64, 128]');
    edit(join(maker, 'package.json'), '"version": "0.1.0"', '"version": "0.1.1"');
    await say(maker, 'publish', '--dry-run');
    edit(join(maker, 'index.qrecipe'), 'group = 128 in [64, 128]', 'group = 64 in [32, 64, 128]');
    appendFileSync(join(maker, 'index.qrecipe'), '\nrecipe w8 version "0.1.1" {\n  doc "Eight-bit weights."\n  apply std.w8a16()\n}\n');
    await say(maker, 'publish');
    await say(user, 'outdated');
    await say(user, 'update');

    // Refused: tampered, missing, no recipes, conflicting.
    const installed = join(user, 'node_modules/@t/base/index.qrecipe');
    const honest = readFileSync(installed, 'utf8');
    writeFileSync(installed, honest.replace('group = 64', 'group = 32'));
    await say(user, 'compile', model, 'main.qrecipe', '-o', 'other.onnx');
    writeFileSync(installed, honest);
    await say(user, 'add', '@t/base@^3.0.0');
    await say(user, 'add', '@t/nothing');
    await say(user, 'add', '../maker');
    edit(join(user, 'main.qrecipe'), '@t/base@^0.1.0', '@t/base@^2.0.0');
    await say(user, 'check', 'main.qrecipe');
  } finally {
    await npm.close();
  }
  const file = new URL('./registry.expected.txt', import.meta.url);
  if (process.env['UPDATE']) writeFileSync(file, transcript);
  assert.is(transcript, readFileSync(file, 'utf8'));
});

test.run();
