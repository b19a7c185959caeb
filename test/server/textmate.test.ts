/** The TextMate grammar as vscode-textmate runs it, over every recipe that is shipped. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { Lexer } from 'chevrotain';
import { test } from 'uvu';
import oniguruma from 'vscode-oniguruma';
import vsctm from 'vscode-textmate';
import { textmate } from '../../grammar/textmate.ts';
import * as T from '../../grammar/tokens.ts';

const file = 'grammar/vscode/syntaxes/qrecipe.tmLanguage.json';
const wasm = readFileSync(createRequire(import.meta.url).resolve('vscode-oniguruma/release/onig.wasm'));
await oniguruma.loadWASM(wasm.buffer.slice(wasm.byteOffset, wasm.byteOffset + wasm.byteLength));
const registry = new vsctm.Registry({
  onigLib: Promise.resolve({
    createOnigScanner: (p) => new oniguruma.OnigScanner(p),
    createOnigString: (s) => new oniguruma.OnigString(s),
  }),
  loadGrammar: async () => vsctm.parseRawGrammar(readFileSync(file, 'utf8'), file),
});
const grammar = await registry.loadGrammar('source.qrecipe');
assert(grammar);

/** Each coloured word of a line with the last scope. */
function scopes(line: string): string[] {
  return grammar!
    .tokenizeLine(line, null)
    .tokens.map((t) => [line.slice(t.startIndex, t.endIndex).trim(), t.scopes.at(-1) ?? ''] as const)
    .filter(([text]) => text !== '')
    .map(([text, scope]) => `${text} ${scope.replace('.qrecipe', '')}`);
}

test('the file is what the token list makes', () => {
  assert.deepEqual(JSON.parse(readFileSync(file, 'utf8')), JSON.parse(JSON.stringify(textmate)));
});

test('places are coloured, not names', () => {
  assert.deepEqual(scopes('  quantize weight of linear and not path("lm_head") as int4 { group: 32, as: yes } # why'), [
    'quantize keyword.control',
    'weight variable.other',
    'of keyword.other',
    'linear variable.other',
    'and keyword.operator.word',
    'not keyword.operator.word',
    'path entity.name.function.call',
    '( source',
    '" string.quoted.double',
    'lm_head string.quoted.double',
    '" string.quoted.double',
    ') source',
    'as keyword.other',
    'int4 support.type',
    '{ source',
    'group variable.parameter',
    ': punctuation.separator.key-value',
    '32 constant.numeric',
    ', source',
    'as variable.parameter',
    ': punctuation.separator.key-value',
    'yes constant.language',
    '} source',
    '# why comment.line.number-sign',
  ]);
  assert.deepEqual(scopes('require size <= 0.30x'), [
    'require keyword.control',
    'size variable.other',
    '<= keyword.operator',
    '0.30 constant.numeric',
    'x keyword.other.unit',
  ]);
  assert.deepEqual(scopes('use "@qrecipe/std@^0.1" as std').slice(-2), ['as keyword.other', 'std entity.name.namespace']);
  assert.deepEqual(scopes('use "./weights/w4a16.qrecipe" as *').slice(-2), ['as keyword.other', '* entity.name.namespace']);
});

test('every word of the language is coloured as one, in every place where it is one', () => {
  const verb = new Lexer(T.tokens, { positionTracking: 'onlyOffset' });
  for (const path of ['stdlib/index.qrecipe', 'stdlib/ssm/quamba2.qrecipe', 'test/fixtures/systems.qrecipe'])
    for (const line of readFileSync(path, 'utf8').split('\n')) {
      const painted = grammar!.tokenizeLine(line, null).tokens;
      for (const t of verb.tokenize(line).tokens) {
        const scope = painted.find((p) => p.startIndex <= t.startOffset && t.startOffset < p.endIndex)?.scopes.at(-1) ?? '';
        const next = line.slice(t.startOffset + t.image.length);
        if (!T.reserved.has(t.image) || /^\s*:/.test(next) || line[t.startOffset - 1] === '.') continue;
        assert.match(scope, /^keyword\./, `${t.image} in: ${line}`);
      }
    }
});

test.run();
