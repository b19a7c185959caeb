// Packages that are refused, each with its exact message; and two versions that settle on one.
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { qc, scratch } from '../cli/qc.ts';

const top = scratch();
let n = 0;

/** A project: `main.qrecipe` with `use` lines, and packages by folder below node_modules: [version, entry text, more of package.json]. */
function project(uses: string, packages: Record<string, readonly [string, string, object?]>, lock?: object): string {
  const dir = join(top, `p${n++}`);
  const put = (path: string, text: string): void => {
    mkdirSync(dirname(join(dir, path)), { recursive: true });
    writeFileSync(join(dir, path), text);
  };
  put('package.json', '{}');
  put('main.qrecipe', `${uses}\nrecipe main version "1.0.0" {\n  quantize linear as W4A16\n}\n`);
  if (lock) put('qrecipe.lock', JSON.stringify(lock));
  for (const [folder, [version, text, more = {}]] of Object.entries(packages)) {
    const name = folder.replace(/^.*node_modules\//, '');
    put(`node_modules/${folder}/package.json`, JSON.stringify({ name, version, qrecipe: './index.qrecipe', ...more }));
    put(`node_modules/${folder}/index.qrecipe`, text);
  }
  return dir;
}
const recipe = 'recipe r version "1.0.0" {\n  doc "r"\n  quantize linear as W4A16\n}\n';
/** The first line of the report, and its hint. */
async function said(dir: string, ...more: string[]): Promise<string[]> {
  const r = await qc(['check', 'main.qrecipe', ...more], { cwd: dir });
  assert.is(r.status, 2, r.out);
  return r.err
    .split('\n')
    .filter((l) => /^(error|\s+hint)/.test(l))
    .map((l) => l.trim());
}

test('a package that is not installed', async () => {
  assert.equal(await said(project('use "@t/a@^1" as a', {})), [
    'error[use-failed] The package @t/a is not installed',
    'hint: Run `qc add "@t/a@^1"` beside the recipe.',
  ]);
});

test('a version that is not installed', async () => {
  assert.equal(await said(project('use "@t/a@^2" as a', { '@t/a': ['1.0.0', recipe] })), [
    'error[use-failed] @t/a is installed in version 1.0.0, and ^2 is asked for',
    'hint: Ask for "@t/a@^1.0.0", or install another version: `qc add "@t/a@^2"`.',
  ]);
});

test('ranges that no version satisfies', async () => {
  const dir = project('use "@t/a@^1" as a\nuse "@t/b@^1" as b', {
    '@t/a': ['1.4.0', recipe],
    '@t/b': ['1.0.0', `use "@t/a@^2" as a\n${recipe}`],
    '@t/b/node_modules/@t/a': ['2.0.0', recipe],
  });
  assert.equal(await said(dir), [
    'error[version-conflict] @t/a cannot be one version: main.qrecipe asks for ^1, @t/b@1.0.0/index.qrecipe for ^2',
    'hint: Installed is 1.4.0 and 2.0.0. A program has one version of a package: change one of the ranges, or update the package that asks.',
  ]);
});

test('two installed versions settle on the one that fits both', async () => {
  const dir = project('use "@t/a@^1" as a\nuse "@t/b@^1" as b', {
    '@t/a': ['1.4.0', recipe],
    '@t/b': ['1.0.0', `use "@t/a@~1.5" as a\n${recipe}`],
    '@t/b/node_modules/@t/a': ['1.5.1', recipe],
  });
  assert.is((await qc(['check', 'main.qrecipe'], { cwd: dir })).status, 0);
  const why = await qc(['why', '@t/a', 'main.qrecipe'], { cwd: dir });
  assert.is(
    why.out,
    '@t/a@1.5.1\n  main.qrecipe uses "@t/a@^1"\n@t/a@1.5.1\n  main.qrecipe uses "@t/b@^1"\n    @t/b@1.0.0/index.qrecipe uses "@t/a@~1.5"\n',
  );
});

test('packages that use each other', async () => {
  const dir = project('use "@t/a@^1" as a', {
    '@t/a': ['1.0.0', `use "@t/b@^1" as b\n${recipe}`],
    '@t/b': ['1.0.0', `use "@t/a@^1" as a\n${recipe}`],
  });
  assert.equal(await said(dir), [
    'error[import-cycle] Files use each other in a circle: @t/a@1.0.0/index.qrecipe → @t/b@1.0.0/index.qrecipe → @t/a@1.0.0/index.qrecipe',
  ]);
});

test('a path that leaves the package', async () => {
  const beside = 'hint: Files that are used lie beside the recipe or below it.';
  const dir = project('use "@t/a@^1" as a', { '@t/a': ['1.0.0', `use "../../../main.qrecipe" as m\n${recipe}`] });
  assert.equal(await said(dir), ['error[path-escape] "../../../main.qrecipe" leaves the folder of the package @t/a', beside]);
  const entry = project('use "@t/a@^1" as a', { '@t/a': ['1.0.0', recipe, { qrecipe: '../../../main.qrecipe' }] });
  assert.equal(await said(entry), ['error[path-escape] "./../../../main.qrecipe" leaves the folder of the package @t/a', beside]);
});

test('a link in a package', async () => {
  const dir = project('use "@t/a@^1" as a', { '@t/a': ['1.0.0', recipe] });
  symlinkSync('/etc/hostname', join(dir, 'node_modules/@t/a/host.txt'));
  assert.equal(await said(dir), [
    'error[path-escape] The package @t/a@1.0.0 holds a link, host.txt',
    'hint: Links could lead out of the package.',
  ]);
});

test('code in a package', async () => {
  const hint = 'hint: A recipe package carries recipes, texts and data: nothing of it may run.';
  for (const key of ['scripts', 'bin', 'main', 'exports', 'gypfile']) {
    const dir = project('use "@t/a@^1" as a', { '@t/a': ['1.0.0', recipe, { [key]: {} }] });
    assert.equal(await said(dir), [`error[package-code] The package.json of @t/a has "${key}"`, hint]);
  }
  for (const file of ['index.js', 'deep/x.wasm', '.npmrc', 'binding.gyp', 'readme.html']) {
    const dir = project('use "@t/a@^1" as a', { '@t/a': ['1.0.0', recipe] });
    const path = join(dir, 'node_modules/@t/a', file);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, '');
    assert.equal(await said(dir), [`error[package-code] The package @t/a@1.0.0 holds ${file}`, hint]);
  }
});

test('a package for another compiler', async () => {
  const dir = project('use "@t/a@^1" as a', { '@t/a': ['1.0.0', recipe, { engines: { qrecipe: '^9' } }] });
  assert.match((await said(dir))[0]!, /^error\[use-failed\] @t\/a@1\.0\.0 needs qc \^9; this is qc \d/);
});

test('a lock: other contents are refused always, other versions with --locked, a broken one always', async () => {
  const uses = 'use "@t/a@^1" as a';
  const packages = { '@t/a': ['1.0.0', recipe] as const };
  const lock = (version: string, qc = '*') => ({
    lockfileVersion: 1,
    qc,
    packages: { '@t/a': { version, integrity: 'sha512-0' } },
  });
  const tampered = project(uses, packages, lock('1.0.0'));
  const message = 'error[lock-tampered] qrecipe.lock: the files of @t/a@1.0.0 are not those that were locked';
  assert.is((await said(tampered))[0], message);
  assert.is((await said(tampered, '--locked'))[0], message);
  const older = project(uses, packages, lock('1.1.0'));
  assert.is((await qc(['check', 'main.qrecipe'], { cwd: older })).status, 0);
  assert.is((await said(older, '--locked'))[0], 'error[lock-differs] qrecipe.lock: @t/a is locked at 1.1.0; 1.0.0 is installed');
  const compiler = project(uses, packages, { lockfileVersion: 1, qc: '^9', packages: {} });
  assert.match(
    (await said(compiler, '--locked')).join('\n'),
    /it is for qc \^9; this is qc .*\n.*\n.*@t\/a is not in it; 1\.0\.0 is installed/,
  );
  assert.match((await said(project(uses, packages), '--locked'))[0]!, 'error[lock-missing] --locked: there is no qrecipe.lock in ');
  assert.is(
    (await said(project(uses, packages, { lockfileVersion: 7 })))[0],
    'error[lock-malformed] qrecipe.lock is no lock: lockfileVersion is 7; this qc reads 1',
  );
});

test.run();
