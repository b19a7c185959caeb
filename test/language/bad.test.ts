// Wrong recipes, each with the exact report at its end. UPDATE=1 rewrites the reports.
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { check } from '../../compiler/check/check.ts';
import { codes } from '../../compiler/check/codes.ts';
import { nodeResolver } from '../../compiler/node/resolve.ts';
import { frames } from '../../grammar/frame.ts';

const folder = 'test/language/bad';
const mark = '\n# expect:\n';
const seen = new Set<string>();

for (const name of readdirSync(folder)
  .filter((f) => f.endsWith('.qrecipe'))
  .sort()) {
  test(name, () => {
    const path = `${folder}/${name}`;
    const [text = '', expected = ''] = readFileSync(path, 'utf8').split(mark);
    const checked = check({ path: name, text }, nodeResolver(name, folder), { spellings: true });
    for (const d of checked.diagnostics) seen.add(d.code);
    const report = frames(checked.diagnostics, (f) => checked.sources.get(f))
      .replaceAll(process.cwd(), '')
      .split('\n')
      .map((l) => `# ${l}`.trimEnd())
      .join('\n');
    assert.is.not(checked.diagnostics.length, 0, 'a wrong recipe is reported');
    assert.is(
      checked.program === undefined,
      checked.diagnostics.some((d) => d.severity === 'error'),
    );
    if (process.env['UPDATE']) writeFileSync(path, `${text}${mark}${report}\n`);
    else assert.fixture(report, expected.trimEnd());
  });
}

test('every code of the language has a wrong recipe', () => {
  const missing = codes.filter((c) => c.phase === 'language' && !seen.has(c.code)).map((c) => c.code);
  assert.equal(missing, []);
});

test('every code that is reported has a page', () => {
  const known = new Set(codes.map((c) => c.code));
  assert.equal(
    [...seen].filter((c) => !known.has(c)),
    [],
  );
});

test.run();
