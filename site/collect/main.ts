/** Writes what the static generator reads: site/pages (Markdown), its public files, the sidebar. All of it is generated and git-ignored. */
import { cpSync, mkdirSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { examples } from './examples.ts';
import { bundled } from './packages.ts';
import { sitePages } from './pages.ts';
import { sidebar } from './sidebar.ts';

const out = 'site/pages';
/** Models that the playground brings; the first is opened with the page. */
const models = [
  { name: 'mlp-conv', about: 'ResNet-8 with BatchNorm, digits' },
  { name: 'vit', about: 'small ViT classifier' },
  { name: 'llama', about: 'small Llama with a cache' },
];

rmSync(out, { recursive: true, force: true });
const write = (path: string, text: string) => {
  mkdirSync(dirname(join(out, path)), { recursive: true });
  writeFileSync(join(out, path), text);
};
const pages = await sitePages();
for (const p of pages) write(p.path, p.text);
write('sidebar.json', JSON.stringify(sidebar(pages)));
write('examples.json', JSON.stringify(examples()));
write('packages.json', JSON.stringify([bundled('@qrecipe/std')]));
const listed = models.map(({ name, about }) => {
  const from = join('test/models', name);
  const calib = readdirSync(join(from, 'calib')).filter((f) => f.endsWith('.npz'));
  for (const f of ['model.onnx', ...calib.map((c) => join('calib', c))]) cpSync(join(from, f), join(out, 'public/models', name, f));
  return { name, about, bytes: statSync(join(from, 'model.onnx')).size, calib };
});
write('models.json', JSON.stringify(listed));
console.log(`${pages.length} pages in ${out}`);
