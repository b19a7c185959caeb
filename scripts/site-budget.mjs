// What a page of the built site makes a browser load, gzipped: fails above 1 MB. ONNX Runtime's wasm and models chosen later are loaded on demand and are not counted.
import { existsSync, readFileSync } from 'node:fs';
import { dirname, posix } from 'node:path';
import { gzipSync } from 'node:zlib';

const dist = 'site/dist';
const limit = 1_000_000;
const pages = ['index.html', 'guide/tutorial.html', 'reference/names.html', 'playground.html'];
/** Loaded only when a user asks for it: ONNX Runtime with its session code, tokenizers of texts (the browser's own count is in site/test/chromium.ts). */
const later = /ort[.-]|session-|tokenizers-|search|@localSearchIndex|\.lean\./i;

/** Files that a page leads to: in its HTML, then what modules import; `deep`: also what they import later, and the workers and files that they name. */
function reached(page, deep) {
  const found = new Set();
  const visit = (path) => {
    const clean = path.replace(/[?#].*$/, '').replace(/^\//, '');
    if (found.has(clean) || later.test(clean) || !existsSync(`${dist}/${clean}`)) return;
    found.add(clean);
    if (!clean.endsWith('.js')) return;
    const text = readFileSync(`${dist}/${clean}`, 'utf8');
    const names = deep ? /["'`]((?:\.{0,2}\/)?[\w@./-]+\.(?:js|css|wasm))["'`]/g : /(?:import|from) ?["']([^"']+\.js)["']/g;
    for (const [, name] of text.matchAll(names))
      for (const at of [posix.join(dirname(clean), name), name.replace(/^\//, ''), `assets/${posix.basename(name)}`]) visit(at);
  };
  found.add(page);
  const html = readFileSync(`${dist}/${page}`, 'utf8');
  for (const [, path] of html.matchAll(/(?:src|href)="([^"]+\.(?:js|css|woff2|svg|png))"/g)) visit(path);
  return found;
}

const size = (path) => gzipSync(readFileSync(`${dist}/${path}`), { level: 9 }).length;
let failed = false;
for (const page of pages) {
  const playground = page === 'playground.html';
  const files = [...reached(page, playground)];
  // The playground opens its first model with the page.
  if (playground) files.push('models/mlp-conv/model.onnx');
  const sizes = files.map((f) => [f, size(f)]).sort((a, b) => b[1] - a[1]);
  const total = sizes.reduce((n, [, s]) => n + s, 0);
  console.log(`${total <= limit ? 'ok  ' : 'OVER'} ${page}: ${(total / 1000).toFixed(0)} KB gzip in ${files.length} files (limit ${limit / 1000} KB)`);
  if (process.argv.includes('--files')) for (const [f, s] of sizes) console.log(`       ${(s / 1000).toFixed(1).padStart(7)} KB  ${f}`);
  failed ||= total > limit;
}
process.exitCode = failed ? 1 : 0;
