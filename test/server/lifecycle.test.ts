// What happens between requests: pauses, cancellation, models that change on disk or lie elsewhere, places in an older text.
import assert from 'node:assert/strict';
import { copyFileSync, mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, utimesSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { test } from 'uvu';
import * as P from 'vscode-languageserver-protocol/node';
import { moved } from '../../compiler/server/moved.ts';
import { Client } from './client.ts';

const top = realpathSync(mkdtempSync(join(tmpdir(), 'qc-lsp-life-')));
const root = join(top, 'w');
mkdirSync(root);
const uriOf = (name: string): string => pathToFileURL(join(root, name)).href;
let client: Client;
test.before(async () => {
  client = await Client.start(root);
});
test.after(async () => {
  assert.equal(await client.end(), 0);
  rmSync(top, { recursive: true, force: true });
});
const codes = async (uri: string): Promise<unknown[]> => (await client.diagnostics(uri)).map((d) => d.code);
const recipe = (body: string, model = ''): string => `${model}recipe r version "1.0.0" {\n  ${body}\n}\n`;

test('places before and behind a change are carried over; those inside are not', () => {
  const m = moved('aaa bbb ccc', 'aaa bbxxb ccc');
  assert.deepEqual([0, 3, 6, 10, 13].map(m.old), [0, 3, 6, 8, 11]);
  assert.deepEqual([m.now(11), m.now(2), m.old(7)], [13, 2, undefined]);
});

test('many changes in a row are checked once, after the last', async () => {
  const uri = uriOf('fast.qrecipe');
  await client.open(uri, recipe('keep linear'));
  await client.settled(uri);
  const seen: number[] = [];
  for (let i = 0; i < 12; i++) await client.change(uri, [{ text: recipe(`keep line${i}`) }]);
  await client.change(uri, [{ text: recipe('keep liner') }]);
  while ((client.checked.get(uri) ?? 0) < 14) {
    await client.next();
    const version = client.published.get(uri)?.version ?? 0;
    if (seen.at(-1) !== version) seen.push(version);
  }
  assert.deepEqual(
    seen.filter((v) => v > 1 && v < 14),
    [],
  );
  assert.deepEqual(await codes(uri), ['unknown-name']);
  await client.close(uri);
});

test('a request that was cancelled is not answered', async () => {
  const uri = uriOf('cancel.qrecipe');
  await client.open(uri, recipe('keep linear'));
  const source = new P.CancellationTokenSource();
  const asked = client.connection.sendRequest(
    P.HoverRequest.type,
    { textDocument: { uri }, position: { line: 1, character: 8 } },
    source.token,
  );
  source.cancel();
  await assert.rejects(asked, (e: { code?: number }) => e.code === P.LSPErrorCodes.RequestCancelled);
  await client.close(uri);
});

test('a model that changes on disk is read again', async () => {
  const uri = uriOf('bound.qrecipe');
  const path = join(root, 'model.onnx');
  copyFileSync('test/models/vit/model.onnx', path);
  const text = recipe('keep path("layers.0.self_attn.q_proj")', '# model: model.onnx\n');
  await client.open(uri, text);
  assert.deepEqual(await codes(uri), ['dead-selection']);
  copyFileSync('test/models/llama/model.onnx', path);
  utimesSync(path, new Date(), new Date(Date.now() + 5000));
  await client.change(uri, [{ text: `${text} ` }]);
  assert.deepEqual(await codes(uri), []);
  await client.close(uri);
});

test('a link that leads out of the workspace is not followed', async () => {
  const uri = uriOf('link.qrecipe');
  copyFileSync('test/models/mlp-conv/model.onnx', join(top, 'outside.onnx'));
  symlinkSync(join(top, 'outside.onnx'), join(root, 'link.onnx'));
  await client.open(uri, recipe('keep linear', '# model: link.onnx\n'));
  const [d] = await client.diagnostics(uri);
  assert.equal(d?.code, 'model');
  assert.match(String(d?.message), /lies outside of the workspace/);
  await client.close(uri);
});

test.run();
