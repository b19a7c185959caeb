import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitepress';
import { slug } from '../collect/slug.ts';

const here = (path: string) => fileURLToPath(new URL(path, import.meta.url));
const json = (path: string) => JSON.parse(readFileSync(here(path), 'utf8'));
/** The grammar of the editor extension colours the pages too. */
const grammar = here('../../grammar/vscode/syntaxes/qrecipe.tmLanguage.json');

export default defineConfig({
  title: 'qc',
  titleTemplate: ':title · qc',
  description: 'Quantization recipes for ONNX models: a language, a compiler, a playground.',
  lang: 'en',
  srcDir: 'pages',
  outDir: 'dist',
  cleanUrls: false,
  base: process.env['SITE_BASE'] ?? '/',
  head: [
    ['link', { rel: 'icon', href: "data:image/svg+xml,<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'><path d='M1 15V9h4V5h5V1h5v14z' fill='%230f766e'/></svg>" }],
    ['meta', { name: 'theme-color', content: '#0f766e' }],
  ],
  markdown: {
    anchor: { slugify: slug },
    headers: { slugify: slug },
    theme: { light: 'github-light-high-contrast', dark: 'github-dark' },
    languages: [{ ...(existsSync(grammar) ? json('../../grammar/vscode/syntaxes/qrecipe.tmLanguage.json') : { scopeName: 'source.qrecipe', patterns: [], repository: {} }), name: 'qrecipe' }],
  },
  themeConfig: {
    nav: [
      { text: 'Guide', link: '/guide/tutorial', activeMatch: '^/guide/' },
      { text: 'Recipes', link: '/recipes/', activeMatch: '^/recipes/' },
      { text: 'Reference', link: '/reference/', activeMatch: '^/reference/' },
      { text: 'Playground', link: '/playground' },
    ],
    sidebar: json('../pages/sidebar.json'),
    outline: { level: [2, 3] },
    search: { provider: 'local' },
    docFooter: { prev: false, next: false },
    footer: { message: 'Generated from the definitions of the compiler, its recipes and its documents.' },
  },
  vite: {
    worker: { format: 'es' },
    resolve: {
      alias: [
        // The session code of node runs over ONNX Runtime Web …
        { find: /^onnxruntime-(node|web\/wasm)$/, replacement: here('../node_modules/onnxruntime-web/dist/ort.wasm.bundle.min.mjs') },
        // … and without native kernels: their bodies compute.
        { find: /^.*\/runtime\/index\.ts$/, replacement: here('../playground/no-kernels.ts') },
      ],
    },
    build: { chunkSizeWarningLimit: 1200, assetsInlineLimit: 0 },
    publicDir: here('../pages/public'),
  },
});
