/**
 * Wrong input, as the command line answers it. Each case is a line of `bad/*.ts`; its exact answer is in `bad.expected.txt` (UPDATE=1 rewrites it, to be reviewed like code).
 * For every case: status 2 (1 for a broken contract), no stack trace, nothing left behind.
 */
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { data } from './bad/data.ts';
import { disk } from './bad/disk.ts';
import { models } from './bad/models.ts';
import { recipes } from './bad/recipes.ts';
import type { Bad } from './bad/types.ts';
import { usage } from './bad/usage.ts';
import { qc, scratch } from './qc.ts';

const file = new URL('./bad.expected.txt', import.meta.url);
const mark = '──── ';
const expected = new Map(
  existsSync(file)
    ? readFileSync(file, 'utf8')
        .split(mark)
        .slice(1)
        .map((part) => [part.slice(0, part.indexOf('\n')), part.slice(part.indexOf('\n') + 1)] as const)
    : [],
);
const actual = new Map<string, string>();

for (const bad of [...usage, ...recipes, ...models, ...data, ...disk] satisfies Bad[]) {
  test(bad.name, async () => {
    const dir = scratch();
    for (const [name, content] of Object.entries(bad.files ?? {})) writeFileSync(join(dir, name), content);
    const skip = bad.prepare?.(dir);
    if (typeof skip === 'string') {
      console.log(`skipped: ${bad.name}: ${skip}`);
      const before = expected.get(bad.name);
      if (before !== undefined) actual.set(bad.name, before);
      return;
    }
    const before = readdirSync(dir).sort();
    try {
      const argv = bad.argv.map((a) => a.replaceAll('<dir>', dir));
      const r = await qc(argv, { cwd: dir });
      // How long the metadata is depends on versions.
      const said = r.err.replace(/^done {2}.*\n/gm, '').replace(/size = \d+ B \([\d.]+x\)/, 'size = … B (…x)');
      const text = `$ qc ${bad.argv.join(' ')}\n${r.out}${said}status ${r.status}\n\n`.replaceAll(dir, '<dir>');
      actual.set(bad.name, text);
      assert.is(r.status, bad.status ?? 2, text);
      assert.not.match(text, /^\s+at /m, 'a stack trace');
      assert.not.match(text, /\bundefined\b(?!-value)|\[object/, 'a message that leaks internals');
      assert.equal(readdirSync(dir).sort(), before, 'something was left behind');
      for (const [name, content] of Object.entries(bad.files ?? {}))
        assert.ok(readFileSync(join(dir, name)).equals(Buffer.from(content)), `${name} was changed`);
      if (!process.env['UPDATE']) assert.is(text, expected.get(bad.name), bad.name);
    } finally {
      bad.cleanup?.(dir);
    }
  });
}

test('every expectation has its case', () => {
  if (process.env['UPDATE']) writeFileSync(file, [...actual].map(([name, text]) => `${mark}${name}\n${text}`).join(''));
  else assert.equal([...expected.keys()].sort(), [...actual.keys()].sort());
});

test.run();
