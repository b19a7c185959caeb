/** Sessions off the main thread: the bits of stock sessions, several runs at once, outputs written again; attention as one operator. */
import assert from 'node:assert';
import { test } from 'uvu';
import { type Batch, dataSource } from '../../compiler/calibrate/index.ts';
import { tapped } from '../../compiler/calibrate/tap.ts';
import { openModel } from '../../compiler/driver/model.ts';
import { Parts } from '../../compiler/driver/parts.ts';
import { Stream } from '../../compiler/driver/stream.ts';
import { attended } from '../../compiler/graph/attend.ts';
import { toFloat32 } from '../../compiler/graph/numeric.ts';
import type { Model } from '../../compiler/graph/types.ts';
import type { Session } from '../../compiler/host.ts';
import { backgroundSessions } from '../../compiler/node/background.ts';
import { sessionModel } from '../../compiler/node/encode.ts';
import { nodeHost } from '../../compiler/node/host.ts';
import { openSession } from '../../compiler/node/session.ts';

const host = await nodeHost();
const llama = await openModel(host, 'test/models/llama/model.onnx');
const source = await dataSource(host, 'test/models/llama/calib');
const batches: Batch[] = [];
for await (const b of source.read(llama.model.graph)) if (batches.push(b) === 5) break;
const prefill = batches.find((b) => b.feeds['input_ids']!.shape[1]! > 8)!;
const part = tapped(llama.model, ['logits']);

test('the bits of a stock session, whatever the threads', async () => {
  const background = await backgroundSessions();
  if (!background) {
    console.log('skipped: no native addon');
    return;
  }
  const { bytes, folder } = await sessionModel(part, llama.dir, host);
  const stock = await openSession(bytes, folder);
  const expected = (await stock.run(prefill.feeds))['logits']!;
  for (const threads of [1, 2]) {
    const ours: Session = await background(bytes, folder, { threads });
    const [a, b] = await Promise.all([ours.run(prefill.feeds), ours.run(prefill.feeds)]);
    assert.deepStrictEqual(a['logits']!.shape, expected.shape);
    assert.ok(Buffer.from(a['logits']!.bytes).equals(expected.bytes) && Buffer.from(b['logits']!.bytes).equals(expected.bytes));
    // what is given back is written again, what is not stays
    ours.recycle?.(a['logits']!);
    const c = (await ours.run(prefill.feeds))['logits']!;
    assert.strictEqual(c.bytes.buffer, a['logits']!.bytes.buffer);
    assert.ok(Buffer.from(c.bytes).equals(b['logits']!.bytes));
    await ours.close();
  }
  await stock.close();
  // weights that are not packed beforehand: sums in another order
  const lean = await background(bytes, folder, { threads: 2, lean: true });
  const [x, y] = [expected, (await lean.run(prefill.feeds))['logits']!].map((v) => toFloat32('float32', v.bytes));
  const norm = (z: Float32Array) => Math.sqrt(z.reduce((sum, v) => sum + v * v, 0));
  assert.ok(norm(x!.map((v, i) => v - y![i]!)) < 1e-6 * norm(x!));
  await lean.close();
});

test('denormal numbers are zeros in a run, and numbers again behind it', async () => {
  const background = await backgroundSessions();
  if (!background || process.arch !== 'x64') return;
  const value = { name: 'x', dtype: 'float32', shape: ['n'] } as const;
  const model: Model = {
    ...llama.model,
    opsets: new Map([['', 17]]),
    functions: [],
    metadata: new Map(),
    graph: {
      name: 'denormal',
      nodes: [{ name: 'm', op: 'Mul', domain: '', inputs: ['x', 'x'], outputs: ['y'], attrs: new Map() }],
      inputs: [value],
      outputs: [{ ...value, name: 'y' }],
      initializers: new Map(),
      values: new Map(),
    },
  };
  const { bytes, folder } = await sessionModel(model, llama.dir, host);
  const feed = { x: { dtype: 'float32', shape: [3], bytes: new Uint8Array(Float32Array.of(1e-21, -1e-20, 2).buffer) } } as const;
  const session = await background(bytes, folder, { threads: 1 });
  assert.deepStrictEqual([...toFloat32('float32', (await session.run(feed))['y']!.bytes)], [0, 0, 4]);
  await session.close();
  const w = new Uint8Array(Float32Array.of(1e-40, 3).buffer);
  assert.ok(toFloat32('float32', await host.crunch.cast(await host.crunch.cast(w, 'float32', 'float64'), 'float64', 'float32'))[0]! > 0);
});

test('attention as one operator gives what single operators give, rows without a key too', async () => {
  const fused = attended(part, llama.model.graph.values);
  const count = (m: Model, op: string) => m.graph.nodes.filter((n) => n.op === op).length;
  assert.ok(count(part, 'Softmax') > 0);
  assert.deepStrictEqual([count(fused, 'Softmax'), count(fused, 'MultiHeadAttention')], [0, count(part, 'Softmax')]);
  const mask = prefill.feeds['attention_mask']!;
  const padded = { ...mask, bytes: mask.bytes.slice() };
  padded.bytes.fill(0, 0, 8 * 3);
  const [a, b] = [await host.session(part, llama.dir), await host.session(fused, llama.dir)];
  for (const feeds of [prefill.feeds, { ...prefill.feeds, attention_mask: padded }]) {
    const [x, y] = [(await a.run(feeds))['logits']!, (await b.run(feeds))['logits']!].map((v) => toFloat32('float32', v.bytes));
    const far = x!.reduce((m, v, i) => Math.max(m, Math.abs(v - y![i]!)), 0);
    assert.ok(x!.every(Number.isFinite) && far < 1e-3, `${far}`);
  }
  await a.close();
  await b.close();
});

test('attention whose scores are asked for, or masked by a row for all tokens, stays', async () => {
  const softmax = llama.model.graph.nodes.find((n) => n.op === 'Softmax')!;
  const asked = tapped(llama.model, ['logits', softmax.outputs[0]!]);
  const left = attended(asked, llama.model.graph.values).graph.nodes.filter((n) => n.op === 'Softmax');
  assert.deepStrictEqual(
    left.map((n) => n.outputs[0]),
    [softmax.outputs[0]],
  );
  const add = llama.model.graph.nodes.find((n) => n.outputs[0] === softmax.inputs[0])!;
  const values = new Map(llama.model.graph.values);
  for (const i of add.inputs) if (values.get(i)?.shape?.[1] === 1) values.set(i, { ...values.get(i)!, shape: ['batch_size', 1, 1, 't'] });
  const some = attended(part, values).graph.nodes.some((n) => n.op === 'Softmax');
  assert.ok(some);
});

test('a stream gives batches in their order, and its front moves', async () => {
  const { blocks } = llama.sites;
  const front = blocks[1]!.inputs.filter((v) => !llama.model.graph.initializers.has(v));
  const parts = new Parts(host, llama.dir);
  const whole = new Stream(host, parts, batches);
  const single = new Stream({ ...host, lanes: async () => ({ runs: 1, threads: 1, kernels: true }) }, parts, batches);
  const rest = { model: llama.model, values: ['logits'] };
  const read = async (s: Stream) => {
    const found: string[] = [];
    for await (const { values } of s.read({ model: llama.model, values: front, front }, () => rest))
      found.push(...front.map((f) => Buffer.from(values[f]!.bytes).toString('base64')));
    for await (const { values } of s.read(rest)) found.push(Buffer.from(values['logits']!.bytes).toString('base64'));
    return found;
  };
  assert.deepStrictEqual(await read(whole), await read(single));
  await parts.close();
});

test.after(async () => {
  await llama.close();
  await host.close();
});
test.run();
