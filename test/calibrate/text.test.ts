import { readFileSync } from 'node:fs';
import { Tokenizer } from '@huggingface/tokenizers';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { type TextOptions, textSource } from '../../compiler/calibrate/text.ts';
import { view } from '../../compiler/calibrate/values.ts';
import { loadModel } from '../../compiler/graph/load.ts';
import type { Graph } from '../../compiler/graph/types.ts';
import { nodeHost } from '../../compiler/node/host.ts';
import { errorOf, folder, graph, info } from './_make.ts';

const host = await nodeHost();
test.after(() => host.close());
const llama = 'test/models/llama';
const tokenizer = new Tokenizer(JSON.parse(readFileSync(`${llama}/tokenizer.json`, 'utf8')), {});
const { model } = await loadModel(host, `${llama}/model.onnx`);
const text = Array.from({ length: 400 }, (_, i) => `def f${i}(x):\n    return x * ${i} + ${i % 7}  # größer als „${i}“\n`).join('\n');

async function read(files: Record<string, string>, options: TextOptions, g: Graph = model.graph, at = '') {
  const dir = folder(files);
  try {
    const batches = [];
    for await (const batch of (await textSource(host, dir.path + at, options)).read(g)) batches.push(batch);
    return batches;
  } catch (e) {
    if (e instanceof Error && 'diagnostics' in e)
      Object.assign(e, { diagnostics: JSON.parse(JSON.stringify(e.diagnostics).replaceAll(dir.path, 'DIR')) });
    throw e;
  } finally {
    dir.remove();
  }
}
const ids = (batches: Awaited<ReturnType<typeof read>>) =>
  batches.flatMap((b) => {
    const [rows = 0, n = 0] = b.feeds['input_ids']!.shape;
    const flat = Array.from(view(b.feeds['input_ids']!), Number);
    return Array.from({ length: rows }, (_, r) => flat.slice(r * n, (r + 1) * n));
  });

test('windows begin at lines, spread over the text, and are what the tokenizer gives', async () => {
  const batches = await read({ 'a.txt': text }, { samples: 6, length: 32, tokenizerFolder: llama });
  assert.equal(
    batches.map((b) => b.samples),
    [4, 2],
  );
  const windows = ids(batches);
  assert.is(windows.length, 6);
  const places = windows.map((w) => {
    assert.is(w.length, 32);
    const words = tokenizer.decode(w.slice(0, 24), { skip_special_tokens: false });
    const place = text.indexOf(words.slice(0, 30));
    assert.ok(place === 0 || text[place - 1] === '\n', `"${words}" begins a line`);
    return place;
  });
  assert.equal(
    places,
    [...places].sort((a, b) => a - b),
  );
  assert.ok(places.at(-1)! > text.length / 2);
});

test('masks, positions and empty caches have the types and shapes of the graph', async () => {
  const [batch] = await read(
    { 'a.txt': text, 'tokenizer.json': readFileSync(`${llama}/tokenizer.json`, 'utf8') },
    { samples: 2, length: 16 },
  );
  const { attention_mask, position_ids, ['past_key_values.3.key']: past } = batch!.feeds;
  assert.equal([attention_mask!.shape, Array.from(view(attention_mask!), Number)], [[2, 16], new Array(32).fill(1)]);
  assert.equal(Array.from(view(position_ids!), Number).slice(14, 18), [14, 15, 0, 1]);
  assert.equal([past!.dtype, past!.shape, past!.bytes.length], ['float32', [2, 2, 0, 32], 0]);
  const session = await host.session(model, llama);
  const out = await session.run(batch!.feeds, ['logits']);
  assert.equal(out['logits']!.shape, [2, 16, 2048]);
  await session.close();
});

test('fewer windows where the text is short; a fixed batch stays whole', async () => {
  const short = text.slice(0, 600);
  const fixed = graph([info('input_ids', 'int32', [2, 'n'])], [], []);
  const count = ids(await read({ 'a.txt': short }, { samples: 100, length: 32, tokenizerFolder: llama })).length;
  assert.ok(count >= 3 && count <= Math.ceil(tokenizer.encode(short).ids.length / 32), `${count}`);
  for (const b of await read({ 'a.txt': text }, { samples: 5, length: 32, tokenizerFolder: llama }, fixed))
    assert.equal(b.feeds['input_ids']!.shape, [2, 32]);
});

test('several files', async () => {
  const windows = ids(await read({ 'a.txt': text, 'b.md': text.toUpperCase() }, { samples: 8, length: 32, tokenizerFolder: llama }));
  const upper = windows.filter((w) => /DEF F|RETURN/.test(tokenizer.decode(w, { skip_special_tokens: false })));
  assert.equal([windows.length, upper.length], [8, 4]);
});

test('errors', async () => {
  const one = (files: Record<string, string>, options: TextOptions = { tokenizerFolder: llama, length: 32 }, g = model.graph) =>
    errorOf(() => read(files, options, g));
  assert.is(await one({}), 'data-empty: the folder DIR has no text files | put UTF-8 text files there');
  assert.is(
    await one({ 'a.txt': text }, {}),
    'text-tokenizer: there is no tokenizer.json in DIR | put it beside the text or beside the model',
  );
  assert.match(
    await one({ 'a.txt': text, 'tokenizer.json': '{"model": 1}' }, {}),
    /^text-tokenizer: DIR\/tokenizer\.json is not a tokenizer that can be read \(/,
  );
  assert.is(
    await one({ 'a.txt': 'short' }),
    'text-short: DIR gives fewer than the 32 tokens of one window (5 bytes of text) | give more text or a smaller length',
  );
  assert.is(
    await one({ 'a.txt': text }, undefined, graph([info('image', 'float32', [1])], [], [])),
    'text-input: text needs a graph input "input_ids"; the inputs are image',
  );
  assert.is(
    await one({ 'a.txt': text }, undefined, graph([info('input_ids', 'int64', ['b', 'n']), info('pixels', 'float32', ['b'])], [], [])),
    'text-input: text gives no values for the graph input "pixels" | calibrate on data(…) with arrays for every input',
  );
});

test.run();
