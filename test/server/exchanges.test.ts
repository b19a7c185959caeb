/**
 * Exchanges with the real server, one file a feature: files, what is asked, and the answer as it came. `UPDATE=1` writes the answers anew.
 * `‹1›` in a text is a place that is asked about.
 */
import assert from 'node:assert/strict';
import { copyFileSync, linkSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { test } from 'uvu';
import { Client } from './client.ts';
import { ask, type Place } from './render.ts';

const folder = 'test/server/exchanges';
const root = realpathSync(mkdtempSync(join(tmpdir(), 'qc-lsp-')));
let client: Client;

interface Section {
  readonly head: string;
  readonly body: string;
}
const sections = (text: string): Section[] =>
  text
    .split(/^--- /m)
    .slice(1)
    .map((s) => ({ head: s.slice(0, s.indexOf('\n')), body: s.slice(s.indexOf('\n') + 1) }));

/** Takes the marks out of a text; gives their places. */
function marked(uri: string, body: string): { text: string; places: Map<string, Place> } {
  const places = new Map<string, Place>();
  let text = '';
  for (const part of body.split(/(‹\d+›)/)) {
    const mark = /^‹(\d+)›$/.exec(part)?.[1];
    if (mark === undefined) text += part;
    else {
      const lines = text.split('\n');
      places.set(mark, { uri, position: { line: lines.length - 1, character: lines.at(-1)!.length } });
    }
  }
  return { text, places };
}

async function replay(name: string): Promise<{ wanted: string; got: string }> {
  const wanted = readFileSync(join(folder, name), 'utf8');
  const here = join(root, name.replace('.txt', ''));
  const uriOf = (path: string): string => pathToFileURL(join(here, path)).href;
  const places = new Map<string, Place>();
  const texts = new Map<string, string>();
  const opened: string[] = [];
  let got = wanted.slice(0, wanted.search(/^--- /m));
  for (const { head, body } of sections(wanted)) {
    const [verb = '', what = '', ...rest] = head.split(' ');
    got += `--- ${head}\n`;
    if (verb === 'model') {
      mkdirSync(here, { recursive: true });
      try {
        linkSync(resolve(what), join(here, 'model.onnx'));
      } catch {
        copyFileSync(resolve(what), join(here, 'model.onnx'));
      }
      got += body;
    } else if (verb === 'file' || verb === 'open' || verb === 'change') {
      const found = marked(uriOf(what), body.replace(/\n$/, ''));
      for (const [k, v] of found.places) places.set(k, v);
      texts.set(uriOf(what), found.text);
      if (verb !== 'change') {
        mkdirSync(dirname(join(here, what)), { recursive: true });
        writeFileSync(join(here, what), found.text);
      }
      if (verb === 'open') {
        opened.push(uriOf(what));
        await client.open(uriOf(what), found.text);
        await client.settled(uriOf(what));
      } else if (verb === 'change') {
        await client.change(uriOf(what), [{ text: found.text }]);
        await client.settled(uriOf(what));
      }
      got += body;
    } else {
      const place = places.get(what) ?? { uri: uriOf(what), position: { line: 0, character: 0 } };
      got += `${(await ask(client, { verb, place, rest, texts, here })).trimEnd()}\n\n`;
    }
  }
  for (const uri of opened) await client.close(uri);
  rmSync(here, { recursive: true, force: true });
  return { wanted, got: `${got.trimEnd()}\n` };
}

test.before(async () => {
  client = await Client.start(root);
});
test.after(() => rmSync(root, { recursive: true, force: true }));

for (const name of readdirSync(folder)
  .filter((f) => f.endsWith('.txt'))
  .sort())
  test(name, async () => {
    const { wanted, got } = await replay(name);
    if (process.env['UPDATE']) writeFileSync(join(folder, name), got);
    else assert.equal(got, wanted);
  });

test('every feature has its exchange', () => {
  const features = readdirSync('compiler/server/features').map((f) => f.replace('.ts', '.txt'));
  const recorded = new Set(readdirSync(folder));
  assert.deepEqual(
    features.filter((f) => !recorded.has(f)),
    [],
  );
});

test('shutdown and exit end the server with status 0', async () => {
  assert.equal(await client.end(), 0);
});

test.run();
