/** The extension as it is packaged: what is in the .vsix, and that its manifest names only what is there. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { unzipSync } from 'fflate';
import { test } from 'uvu';

const file = 'grammar/vscode/dist/qrecipe.vsix';
execFileSync('npm', ['run', '--silent', 'vsix'], { stdio: ['ignore', 'ignore', 'pipe'], shell: process.platform === 'win32' });
const parts = unzipSync(readFileSync(file));
const text = (name: string): string => new TextDecoder().decode(parts[name]);
interface Manifest {
  readonly main: string;
  readonly contributes: {
    readonly languages: readonly { readonly id: string; readonly extensions: readonly string[]; readonly configuration: string }[];
    readonly grammars: readonly { readonly scopeName: string; readonly path: string }[];
    readonly snippets: readonly { readonly path: string }[];
    readonly configuration: { readonly properties: Readonly<Record<string, { readonly scope: string }>> };
  };
}
const manifest = JSON.parse(text('extension/package.json')) as Manifest;

test('the package holds the bundle, the grammar, the snippets, and no source', () => {
  assert.deepEqual(Object.keys(parts).sort(), [
    '[Content_Types].xml',
    'extension.vsixmanifest',
    'extension/LICENSE.txt',
    'extension/dist/extension.js',
    'extension/language-configuration.json',
    'extension/package.json',
    'extension/readme.md',
    'extension/snippets/qrecipe.json',
    'extension/syntaxes/qrecipe.tmLanguage.json',
  ]);
  assert.match(text('extension.vsixmanifest'), /Id="qrecipe-vscode"/);
});

test('everything that the manifest names is there', () => {
  const { contributes } = manifest;
  const named = [manifest.main, contributes.languages[0]!.configuration, contributes.grammars[0]!.path, contributes.snippets[0]!.path];
  for (const path of named) assert(`extension/${path.replace('./', '')}` in parts || existsSync(path), path);
  assert.deepEqual(contributes.languages[0]!.extensions, ['.qrecipe']);
  assert.equal(
    contributes.grammars[0]!.scopeName,
    (JSON.parse(text('extension/syntaxes/qrecipe.tmLanguage.json')) as { scopeName: string }).scopeName,
  );
  assert(text('extension/dist/extension.js').includes('"lsp"'));
});

test('a workspace cannot name the program that is started', () => {
  assert.equal(manifest.contributes.configuration.properties['qrecipe.command']!.scope, 'machine');
});

test('snippets are recipes that check', async () => {
  const { check } = await import('../../compiler/check/check.ts');
  const { nodeResolver } = await import('../../compiler/node/resolve.ts');
  const snippets = JSON.parse(text('extension/snippets/qrecipe.json')) as Record<string, { body: string | string[] }>;
  for (const [name, { body }] of Object.entries(snippets)) {
    const filled = [body]
      .flat()
      .join('\n')
      .replace(/\$\{\d+\|([^,|]*(?:\([^)]*\)[^,|]*)?)[^|]*\|\}/g, '$1')
      .replace(/\$\{\d+:([^}]*)\}/g, '$1')
      .replace(/\$\d/g, '');
    const whole = /^(recipe|use|#)/.test(filled) ? filled : `recipe r version "1.0.0" {\n${filled}\n}`;
    const { diagnostics } = check({ path: 'r.qrecipe', text: whole }, nodeResolver('r.qrecipe'));
    assert.deepEqual(
      diagnostics.filter((d) => d.severity === 'error').map((d) => d.message),
      [],
      `${name}: ${whole}`,
    );
  }
});

test.run();
