// Builds the site: `node scripts/site.mjs build` → site/dist; `serve` shows it; `test` builds it, checks its types and drives it in Chromium.
// site/ is no workspace: its generator, editor and runtime are installed when the site is first built, not by every `npm ci`.
import { spawnSync } from 'node:child_process';
import { existsSync, statSync } from 'node:fs';

function step(command, ...args) {
  const { status } = spawnSync(command, args, { stdio: 'inherit', shell: process.platform === 'win32' });
  if (status !== 0) process.exit(status ?? 1);
}

const installed = 'site/node_modules/.package-lock.json';
const fresh = () => existsSync(installed) && statSync(installed).mtimeMs >= statSync('site/package-lock.json').mtimeMs;
const vitepress = 'site/node_modules/vitepress/bin/vitepress.js';

if (!fresh()) step('npm', 'ci', '--prefix', 'site', '--ignore-scripts', '--no-audit', '--no-fund');
const [task = 'build', ...rest] = process.argv.slice(2);
if (task === 'build' || task === 'test' || (task === 'serve' && !existsSync('site/dist/index.html'))) {
  step(process.execPath, '--import', 'tsx', 'site/collect/main.ts');
  step(process.execPath, vitepress, 'build', 'site');
  step(process.execPath, 'scripts/site-budget.mjs');
}
if (task === 'test') {
  step(process.execPath, 'site/node_modules/vue-tsc/bin/vue-tsc.js', '--noEmit', '-p', 'site/tsconfig.json');
  step(process.execPath, '--import', 'tsx', 'site/test/chromium.ts', ...rest);
}
if (task === 'serve') step(process.execPath, vitepress, 'preview', 'site', ...rest);
