/**
 * The built site in headless Chromium, end to end: pages at desktop and phone width without a console error or a dead link, the playground from typing to
 * the saved file. `--shots DIR` keeps pictures. Skipped, with a line, where there is no Chromium (CHROMIUM names one).
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { type Browser, chromium, type Page } from 'playwright-core';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { qc, scratch } from '../../test/cli/qc.ts';
import { serve } from './server.ts';

const { values } = parseArgs({ options: { shots: { type: 'string' } } });
const shots = values.shots;
const binary = [process.env['CHROMIUM'], '/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find(
  (p) => p && existsSync(p),
);
const dist = resolve('site/dist');
if (!binary) {
  console.log('skipped: no Chromium here (CHROMIUM=/path/to/chromium names one)');
  process.exit(0);
}
if (shots) mkdirSync(shots, { recursive: true });

const sizes = { desktop: { width: 1360, height: 860 }, phone: { width: 390, height: 844 } };
const budget = 1_000_000;
const site = await serve(dist);
const browser: Browser = await chromium.launch({ executablePath: binary, args: ['--no-sandbox'] });

async function visit(path: string, size: keyof typeof sizes, look: (page: Page) => Promise<void>): Promise<void> {
  const context = await browser.newContext({
    viewport: sizes[size],
    acceptDownloads: true,
    isMobile: size === 'phone',
    hasTouch: size === 'phone',
  });
  const page = await context.newPage();
  const wrong: string[] = [];
  page.on('console', (m) => {
    if (m.type() === 'error' || m.type() === 'warning') wrong.push(`${m.type()}: ${m.text()}`);
  });
  page.on('pageerror', (e) => wrong.push(e.message));
  page.on('response', (r) => {
    if (r.status() >= 400) wrong.push(`${r.status()} ${r.url()}`);
  });
  try {
    await page.goto(site.url + path, { waitUntil: 'networkidle' });
    await look(page);
    assert.equal(wrong, [], `${path} at ${size} width`);
  } catch (e) {
    if (wrong.length) console.error(wrong.join('\n'));
    throw e;
  } finally {
    await context.close();
  }
}
const shoot = async (page: Page, name: string): Promise<void> => {
  if (shots) await page.screenshot({ path: join(shots, `${name}.png`) });
};
const textOf = (page: Page, name: string): Promise<string> => page.locator(`[data-test=${name}]`).innerText();

test('pages at both widths: no error, nothing wider than the window', async () => {
  const pages = [
    '/',
    '/guide/tutorial',
    '/guide/cookbook',
    '/guide/language',
    '/guide/int8-slower',
    '/reference/names',
    '/reference/laws',
    '/recipes/std',
    '/layouts',
  ];
  for (const size of ['desktop', 'phone'] as const)
    for (const path of pages)
      await visit(`${path}${path.endsWith('/') ? '' : '.html'}`, size, async (page) => {
        const wide = await page.evaluate('document.documentElement.scrollWidth - innerWidth');
        assert.ok(Number(wide) <= 0, `${path} is ${wide} px wider than a ${size}`);
        assert.ok((await page.locator('h1').first().innerText()).length > 1);
        await shoot(page, `${path === '/' ? 'home' : path.slice(1).replaceAll('/', '-')}-${size}`);
      });
});

test('every link leads to a page and, where it names one, to its heading', () => {
  const files = readdirSync(dist, { recursive: true })
    .map((f) => String(f).replaceAll('\\', '/'))
    .filter((f) => f.endsWith('.html'));
  const text = new Map(files.map((f) => [f, readFileSync(join(dist, f), 'utf8')]));
  const dead: string[] = [];
  for (const [file, html] of text)
    for (const [, href] of html.matchAll(/<a [^>]*href="([^"]+)"/g)) {
      if (/^(https?:|mailto:|data:)/.test(href!)) continue;
      const { pathname, hash } = new URL(href!.replaceAll('&amp;', '&'), `http://x/${file}`);
      const at = pathname.endsWith('/') ? `${pathname.slice(1)}index.html` : pathname.slice(1);
      const page = text.get(at) ?? text.get(`${at}.html`);
      const id = decodeURIComponent(hash.slice(1));
      if (page === undefined || (id && !page.includes(`id="${id}"`))) dead.push(`${file}: ${href}`);
    }
  assert.equal([...new Set(dead)].slice(0, 20), []);
});

test('the playground fits the budget', async () => {
  site.taken();
  await visit('/playground.html', 'desktop', async (page) => {
    await page.locator('[data-test=plan-sum]').waitFor();
    const taken = site.taken();
    const total = [...taken.values()].reduce((a, b) => a + b, 0);
    console.log(`playground, opened and planned: ${(total / 1000).toFixed(0)} KB in ${taken.size} files (limit ${budget / 1000} KB)`);
    assert.ok(total <= budget, [...taken].map(([p, n]) => `${n} ${p}`).join('\n'));
    assert.not.ok([...taken.keys()].some((p) => /ort-wasm/.test(p)));
    await shoot(page, 'playground-desktop');
  });
});

const write = async (page: Page, text: string): Promise<void> => {
  const editor = page.locator('.cm-content');
  await editor.click();
  await page.keyboard.press('Control+A');
  await page.keyboard.insertText(text);
};

test('mistakes as they are typed, with their fix; hover; completion', async () => {
  await visit('/playground.html', 'desktop', async (page) => {
    await page.locator('[data-test=plan-sum]').waitFor();
    await write(page, 'recipe r version "1.0.0" {\n  quantize liner as W8A8\n}\n');
    await page.locator('[data-test=problems] a', { hasText: 'unknown-name' }).waitFor();
    assert.match(await textOf(page, 'problems'), /Did you mean `linear`\?/);
    await page.locator('.cm-lintRange-error').hover();
    await page.locator('.cm-diagnosticAction').waitFor();
    await shoot(page, 'playground-diagnostic');
    await page.locator('.cm-diagnosticAction').click();
    await page.locator('[data-test=problems]', { hasText: 'No mistakes.' }).waitFor();
    await page.locator('.cm-content span', { hasText: 'W8A8' }).hover();
    await page.locator('.pg-hover', { hasText: '8-bit weights' }).waitFor();
    await shoot(page, 'playground-hover');
    await page.locator('.cm-line', { hasText: 'quantize' }).click();
    await page.keyboard.press('End');
    await page.keyboard.press('Enter');
    await page.keyboard.insertText('solve g');
    await page.keyboard.press('Control+Space');
    await page.locator('.cm-tooltip-autocomplete', { hasText: 'gptq' }).waitFor();
    await shoot(page, 'playground-completion');
  });
});

const recipe = `use "@qrecipe/std@^0.1" as std

recipe both version "1.0.0" {
  apply std.w8a8()
  quantize weight of block(0) and linear as int4 { group: 32, scale: mse }
  keep path("classifier")
  require size <= 0.35x
}
`;

test('compiles a file of its own to the bytes of the command line', async () => {
  const folder = scratch();
  writeFileSync(join(folder, 'recipe.qrecipe'), recipe);
  const ran = await qc(['compile', 'test/models/vit/model.onnx', join(folder, 'recipe.qrecipe'), '-o', join(folder, 'out.onnx')]);
  assert.is(ran.status, 0, ran.err);
  await visit('/playground.html', 'desktop', async (page) => {
    await page.locator('[data-test=plan-sum]').waitFor();
    await page.locator('[data-test=own]').setInputFiles('test/models/vit/model.onnx');
    await page.locator('[data-test=status]', { hasText: '4.90 MB' }).waitFor();
    await write(page, recipe);
    await page.locator('[data-test=tab-plan]').click();
    await page.locator('.pg-body', { hasText: 'both 1.0.0' }).waitFor();
    await shoot(page, 'playground-plan');
    await page.locator('[data-test=compile]').click();
    await page.locator('[data-test=sum]').waitFor({ timeout: 60_000 });
    const [download] = await Promise.all([page.waitForEvent('download'), page.locator('[data-test=save]').click()]);
    const theirs = readFileSync(await download.path());
    assert.is(Buffer.compare(theirs, readFileSync(join(folder, 'out.onnx'))), 0);
    assert.is(download.suggestedFilename(), 'model.quantized.onnx');
    await shoot(page, 'playground-result');
  });
});

test('calibrates, then runs both models, in the page', async () => {
  await visit('/playground.html', 'desktop', async (page) => {
    await page.locator('[data-test=plan-sum]').waitFor();
    const vision = await page.locator('[data-test=example] option', { hasText: '(vision)' }).getAttribute('value');
    await page.locator('[data-test=example]').selectOption(vision);
    await page.locator('[data-test=plan-sum]', { hasText: 'KB' }).waitFor();
    await page.locator('[data-test=compile]').click();
    await page.locator('[data-test=sum]').waitFor({ timeout: 120_000 });
    await page.locator('[data-test=compare]').click();
    const table = page.locator('[data-test=measured]');
    await table.waitFor({ timeout: 60_000 });
    assert.match(await table.innerText(), /agreement logits\s+1\b/);
    await shoot(page, 'playground-measured');
  });
});

test('says what is wrong with a file that is no model', async () => {
  await visit('/playground.html', 'phone', async (page) => {
    await page.locator('[data-test=plan-sum]').waitFor();
    await shoot(page, 'playground-phone');
    await page.locator('[data-test=own]').setInputFiles({ name: 'x.onnx', mimeType: '', buffer: Buffer.from('hello') });
    await page.locator('[data-test=problems] a', { hasText: 'not-onnx' }).waitFor();
    const wide = await page.evaluate('document.documentElement.scrollWidth - innerWidth');
    assert.ok(Number(wide) <= 0, `${wide} px too wide`);
  });
});

test.after(async () => {
  await browser.close();
  await site.close();
});
test.run();
