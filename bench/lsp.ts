// How long `qc lsp` takes to answer on a 2,000-line recipe with a bound model: median and worst of 30 requests each, over stdio, after an edit before each.
import { copyFileSync, mkdtempSync, readdirSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import * as P from 'vscode-languageserver-protocol/node';
import { Client } from '../test/server/client.ts';

const rounds = 30;
const limit = 50;
const root = realpathSync(mkdtempSync(join(tmpdir(), 'qc-lsp-bench-')));
copyFileSync('test/models/llama/model.onnx', join(root, 'model.onnx'));
const body = (readdirSync('stdlib', { recursive: true }) as string[])
  .filter((f) => f.endsWith('.qrecipe'))
  .map((f) => readFileSync(join('stdlib', f), 'utf8').replace(/^use .*$/gm, ''))
  .join('\n');
const parts: string[] = ['# model: model.onnx', 'use "@qrecipe/std@^0.1" as std'];
for (let i = 0; parts.join('\n').split('\n').length < 1980; i++) parts.push(body.replace(/^recipe (\w+)/gm, `recipe $1_${i}`));
parts.push('recipe last version "1.0.0" (group = 32) {', '  quantize linear as W4A16(group: group)', '  keep path("lm_head")', '}', '');
const text = parts.join('\n');
const uri = pathToFileURL(join(root, 'a.qrecipe')).href;
writeFileSync(join(root, 'a.qrecipe'), text);

const client = await Client.start(root, [process.execPath, process.env['QC_CLI'] ?? 'dist/cli.js', 'lsp']);
const lines = text.split('\n');
const line = lines.length - 4;
const place = { textDocument: { uri }, position: { line, character: 13 } };
const asks: Record<string, () => Promise<unknown>> = {
  completion: () => client.connection.sendRequest(P.CompletionRequest.type, place),
  hover: () => client.connection.sendRequest(P.HoverRequest.type, place),
  definition: () => client.connection.sendRequest(P.DefinitionRequest.type, { ...place, position: { line, character: 38 } }),
  references: () =>
    client.connection.sendRequest(P.ReferencesRequest.type, {
      ...place,
      position: { line, character: 38 },
      context: { includeDeclaration: true },
    }),
  'semantic tokens': () => client.connection.sendRequest(P.SemanticTokensRequest.type, { textDocument: { uri } }),
  symbols: () => client.connection.sendRequest(P.DocumentSymbolRequest.type, { textDocument: { uri } }),
  'quick fixes': () =>
    client.connection.sendRequest(P.CodeActionRequest.type, {
      textDocument: { uri },
      range: { start: place.position, end: place.position },
      context: { diagnostics: [] },
    }),
  'inlay hints': () =>
    client.connection.sendRequest(P.InlayHintRequest.type, {
      textDocument: { uri },
      range: { start: { line: line - 60, character: 0 }, end: { line: lines.length, character: 0 } },
    }),
  formatting: () =>
    client.connection.sendRequest(P.DocumentFormattingRequest.type, { textDocument: { uri }, options: { tabSize: 2, insertSpaces: true } }),
};
await client.open(uri, text);
for (const ask of Object.values(asks)) for (let i = 0; i < 5; i++) await ask();
console.log(`${lines.length} lines, ${(text.length / 1000).toFixed(0)} KB\nrequest            median ms   worst ms`);
let late = 0;
for (const [name, ask] of Object.entries(asks)) {
  const times: number[] = [];
  for (let i = 0; i < rounds; i++) {
    // A space comes and goes at the end of the file: a new version, so that nothing is answered from what was kept.
    const at = { line: lines.length - 1, character: 0 };
    await client.change(uri, [
      i % 2 ? { range: { start: at, end: { ...at, character: 1 } }, text: '' } : { range: { start: at, end: at }, text: ' ' },
    ]);
    const started = performance.now();
    await ask();
    times.push(performance.now() - started);
  }
  times.sort((a, b) => a - b);
  const median = times[rounds >> 1] ?? 0;
  if (median > limit) late++;
  console.log(`${name.padEnd(18)} ${median.toFixed(1).padStart(9)} ${times.at(-1)!.toFixed(1).padStart(10)}`);
}
await client.end();
rmSync(root, { recursive: true, force: true });
if (late) {
  console.error(`${late} kinds of requests take longer than ${limit} ms`);
  process.exitCode = 1;
}
