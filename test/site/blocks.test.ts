/** Every code block of the documentation: recipes check, plan or compile; the tutorial's commands run and print what the page says. */
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { check } from '../../compiler/check/check.ts';
import { openModel } from '../../compiler/driver/model.ts';
import { planner } from '../../compiler/driver/planner.ts';
import { readRecipe } from '../../compiler/driver/recipe.ts';
import { checkCovered, chooseTarget } from '../../compiler/driver/target.ts';
import { nodeHost } from '../../compiler/node/host.ts';
import { nodeResolver } from '../../compiler/node/resolve.ts';
import { asFile, type Block, blocks } from '../../site/collect/blocks.ts';
import { qc, scratch } from '../cli/qc.ts';

const markdown = ['docs', 'stdlib', 'recipes', 'site/content', '.'].flatMap((folder) =>
  readdirSync(folder, { recursive: folder !== '.' })
    .map((f) => join(folder, String(f)))
    .filter((f) => f.endsWith('.md') && !f.includes('node_modules')),
);
const all = markdown.flatMap((file) => blocks(file, readFileSync(file, 'utf8')));
const recipes = all.filter((b) => b.language === 'qrecipe');
const at = (b: Block) => `${b.file}:${b.line}`;
const show = (diagnostics: readonly { readonly code: string; readonly message: string; readonly span?: { readonly line: number } }[]) =>
  diagnostics.map((d) => `${d.code} in line ${d.span?.line}: ${d.message}`).join('\n');

test('the language of every block is named, where it is a recipe', () => {
  const unnamed = all.filter((b) => b.language === '' && /^\s*(use ".*" as|recipe \w+ (".*" )?version)/m.test(b.text));
  assert.equal(unnamed.map(at), []);
  assert.ok(recipes.length > 20);
});

test('every recipe checks, or fails as it says', () => {
  for (const b of recipes) {
    const { diagnostics } = check({ path: 'block.qrecipe', text: asFile(b.text) }, nodeResolver('block.qrecipe'));
    const wanted = b.asks['error'];
    if (wanted === undefined) assert.is(diagnostics.filter((d) => d.severity === 'error').length, 0, `${at(b)}\n${show(diagnostics)}`);
    else
      assert.ok(
        diagnostics.some((d) => d.code === wanted),
        `${at(b)} should be ${wanted}\n${show(diagnostics)}`,
      );
  }
});

test('recipes that name a model plan on it, and its target covers them', async () => {
  const host = await nodeHost();
  const planned = recipes.filter((b) => b.asks['plan']);
  try {
    for (const name of new Set(planned.map((b) => b.asks['plan']!))) {
      const model = await openModel(host, `test/models/${name}/model.onnx`);
      for (const b of planned.filter((b) => b.asks['plan'] === name)) {
        const request = { host, model: model.path, recipe: 'block.qrecipe', text: b.text, resolve: nodeResolver('block.qrecipe') };
        try {
          const { recipe } = await readRecipe(request);
          const plan = planner(recipe, model, {})({});
          checkCovered(plan, chooseTarget(plan, undefined).target);
          assert.ok(plan.slots.length > 0, 'it decides nothing');
        } catch (e) {
          assert.unreachable(`${at(b)}\n${(e as Error).message}`);
        }
      }
      await model.close();
    }
  } finally {
    await host.close();
  }
});

/** A line of the page against one that was printed: `…` stands for anything. */
const matches = (wanted: string, printed: string): boolean =>
  new RegExp(
    `^${wanted
      .split('…')
      .map((s) =>
        s
          .trimEnd()
          .replace(/[.*+?^${}()|[\]\\]/g, '\\$&')
          .replace(/ +/g, ' +'),
      )
      .join('.*')} *$`,
    'u',
  ).test(printed);

/** Do the printed lines follow the page's? A line `…` stands for any number of lines. */
function follows(wanted: readonly string[], printed: readonly string[]): boolean {
  const [first, ...rest] = wanted;
  if (first === undefined) return printed.length === 0;
  if (first.trim() === '…') return printed.some((_, i) => follows(rest, printed.slice(i))) || follows(rest, []);
  return printed.length > 0 && matches(first, printed[0]!) && follows(rest, printed.slice(1));
}

const trimmed = (text: string) => text.replace(/\s+$/, '').split('\n');
const words = (command: string) => [...command.matchAll(/'([^']*)'|"([^"]*)"|(\S+)/g)].map((m) => m[1] ?? m[2] ?? m[3]!);

test('the tutorial, step by step', async () => {
  const file = 'docs/guide/tutorial.md';
  const steps = all.filter((b) => b.file === file && (b.asks['file'] || b.language === 'console' || 'run' in b.asks));
  const cwd = scratch();
  symlinkSync(resolve('test'), join(cwd, 'test'));
  symlinkSync(resolve('node_modules'), join(cwd, 'node_modules'));
  for (const b of steps) {
    if (b.asks['file']) writeFileSync(join(cwd, b.asks['file']), b.text);
    else if ('run' in b.asks) execFileSync(process.execPath, ['--input-type=module', '-e', b.text], { cwd, stdio: 'pipe' });
    else
      for (const step of b.text.split(/^\$ /m).slice(1)) {
        const [command = '', ...wanted] = trimmed(step);
        const [npx, tool, ...argv] = words(command);
        assert.equal([npx, tool], ['npx', 'qc'], `${at(b)}: ${command}`);
        const { status, out, err } = await qc(argv, { cwd });
        assert.is(status, 0, `${at(b)}: ${command}\n${err}`);
        assert.ok(follows(wanted, trimmed(out)), `${at(b)}: ${command} printed\n${out}\nand the page says\n${wanted.join('\n')}`);
      }
  }
  assert.ok(steps.length >= 8);
});

test.run();
