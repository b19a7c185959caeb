// Where values of our sessions lie: given arrays, held values that are fed again, decode loops; runs beside each other; nothing leaks.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { compile } from '../../compiler/compile.ts';
import { writeModel } from '../../compiler/graph/write.ts';
import { nodeHost } from '../../compiler/node/host.ts';
import { active, loop } from '../../runtime/index.ts';
import { shapeOf, sizesOf } from '../../runtime/shapes.ts';
import { lowerTo, modelOf, noise, quantized } from '../targets/build.ts';
import { forms, weights } from './forms.ts';

const { InferenceSession, Tensor } = createRequire(import.meta.url)('onnxruntime-node') as typeof import('onnxruntime-node');

test('shapes that inputs give', () => {
  const tokens = { element: 7, dims: [-1, -1], symbols: ['batch', 'new'] };
  const past = { element: 1, dims: [-1, 2, -1, 8], symbols: ['batch', '', 'past', ''] };
  const sizes = sizesOf([
    [tokens, [3, 5]],
    [past, [3, 2, 4, 8]],
  ]);
  const of = (symbols: string[], element = 1) => shapeOf({ element, dims: symbols.map(() => -1), symbols }, sizes);
  assert.equal(of(['batch', 'new']), [3, 5]);
  assert.equal(of(['batch', 'past + new', 'new+1']), [3, 9, 6]);
  assert.is(of(['batch', 'other']), undefined);
  assert.is(of(['']), undefined);
  assert.is(of(['batch'], 0), undefined);
  assert.is(
    shapeOf({ element: 1, dims: [-1], symbols: ['n'] }, sizesOf([[{ element: 1, dims: [-1, -1], symbols: ['n', 'n'] }, [2, 3]]])),
    undefined,
  );
});

if (!active) console.log('skipped: the native addon is not built');
else {
  const host = await nodeHost();
  const folder = mkdtempSync(join(tmpdir(), 'qc-values-'));
  const parts = { ...forms['MatMul, odd']!, input: ['rows', 37] as const };
  const linear = (await lowerTo('native', quantized(modelOf(parts), weights['int4 group 32']))).model;
  const file = join(folder, 'linear.onnx');
  await writeModel(host, linear, file, { dir: folder });
  const wrong = join(folder, 'wrong.onnx');
  // Its output says that it has as many rows as there are columns.
  const lies = linear.graph.outputs.map((o) => ({ ...o, shape: [37, 'rows'] }));
  await writeModel(host, { ...linear, graph: { ...linear.graph, outputs: lies } }, wrong, { dir: folder });
  const x = (rows: number) => new Tensor('float32', noise(rows * 37), [rows, 37]);
  const failure = (p: Promise<unknown>) =>
    p.then(
      () => '',
      (e: Error) => e.message,
    );

  test('an output goes to the array that was given', async () => {
    const session = await InferenceSession.create(file);
    const { y } = await session.run({ x: x(4) });
    const mine = new Tensor('float32', new Float32Array(4 * 33), [4, 33]);
    const result = await session.run({ x: x(4) }, { y: mine });
    assert.is(result['y'], mine);
    assert.equal(mine.data, y!.data);
    assert.match(await failure(session.run({ x: x(4) }, { y: new Tensor('float32', new Float32Array(33), [1, 33]) })), /shape/i);
    await session.release();
    assert.match(await failure(session.run({ x: x(4) })), /closed/);
  });

  test('names of sizes that are wrong only cost a copy', async () => {
    const [good, bad] = [await InferenceSession.create(file), await InferenceSession.create(wrong)];
    const [a, b] = [await good.run({ x: x(37) }), await bad.run({ x: x(37) })];
    assert.equal(b['y']!.dims, [37, 33]);
    assert.equal(a['y']!.data, b['y']!.data);
    await good.release();
    await bad.release();
  });

  test('held values: fed again, downloaded, disposed', async () => {
    const square = { ...forms['MatMul']!, initializers: { w: forms['MatMul']!.initializers!['w']! }, input: ['b', 's', 64] as const };
    const path = join(folder, 'held.onnx');
    await writeModel(host, (await lowerTo('native', quantized(modelOf(square), weights['int4 group 32']))).model, path, { dir: folder });
    const session = await InferenceSession.create(path, { preferredOutputLocation: 'ml-tensor' });
    const feed = () => ({ x: new Tensor('float32', noise(2 * 64), [2, 1, 64]) });
    const { y } = await session.run(feed());
    assert.is(y!.location, 'ml-tensor');
    const other = await InferenceSession.create(path);
    assert.equal(await y!.getData(), (await other.run(feed())).y!.data);
    const { y: again } = await session.run(feed());
    assert.match(await failure(other.run({ x: again! })), /another session/);
    again!.dispose();
    assert.throws(() => again!.data);
    await session.release();
    await other.release();
  });

  test('runs beside each other give what they give alone, also when the session is released meanwhile', async () => {
    const session = await InferenceSession.create(file);
    const rows = Array.from({ length: 24 }, (_, i) => 1 + (i % 7));
    const alone = [];
    for (const n of rows) alone.push((await session.run({ x: x(n) }))['y']!.data);
    const running = rows.map((n) => session.run({ x: x(n) }));
    await new Promise((done) => setTimeout(done, 1));
    await session.release();
    const together = await Promise.all(running.map((r) => r.then((o) => o['y']!.data)));
    assert.equal(together, alone);
  });

  const text = `recipe r version "1.0.0" { quantize linear as W4A8 { group: 32, scale: minmax } }`;
  const llama = join(folder, 'llama.onnx');
  await compile({ host, model: 'test/models/llama/model.onnx', recipe: 'r.qrecipe', text, target: 'native', output: llama });
  const ids = (n: number, at: number) => ({
    input_ids: new Tensor(
      'int64',
      BigInt64Array.from({ length: n }, (_, i) => BigInt(2 + (((at + i) * 37) % 2000))),
      [1, n],
    ),
    attention_mask: new Tensor('int64', new BigInt64Array(at + n).fill(1n), [1, at + n]),
    position_ids: new Tensor(
      'int64',
      BigInt64Array.from({ length: n }, (_, i) => BigInt(at + i)),
      [1, n],
    ),
  });

  test('a decode loop gives what feeding by hand gives', async () => {
    const session = await InferenceSession.create(llama);
    const stepper = loop(session);
    assert.is(stepper.carried.length, 12);
    // Its keys and values grow where they lie; the first key goes through a Concat of one.
    const { inPlace } = (session as unknown as { handler: { inPlace: Record<string, string> } }).handler;
    assert.ok(Object.keys(inPlace).length >= 11 && inPlace['past_key_values.1.key'] === 'present.1.key', JSON.stringify(inPlace));
    let past: Record<string, InstanceType<typeof Tensor>> = Object.fromEntries(
      stepper.carried.map((n) => [n, new Tensor('float32', new Float32Array(0), [1, 2, 0, 32])]),
    );
    for (const [n, at] of [
      [9, 0],
      [1, 9],
      [1, 10],
      [3, 11],
      [1, 14],
    ] as const) {
      const byHand = await session.run({ ...ids(n, at), ...past });
      past = Object.fromEntries(stepper.carried.map((name) => [name, byHand[name.replace('past_key_values', 'present')]!]));
      const { logits, ...rest } = await stepper.step(ids(n, at));
      assert.equal(Object.keys(rest), []);
      assert.equal(logits!.data, byHand['logits']!.data);
    }
    for (const [name, t] of await stepper.state()) assert.equal(t.data, past[name]!.data, name);
    stepper.reset();
    assert.equal((await stepper.step(ids(2, 0)))['logits']!.dims, [1, 2, 2048]);
    await session.release();
  });

  test('a tight loop leaks nothing', async () => {
    const anonymous = () => Number(/RssAnon:\s+(\d+)/.exec(readFileSync('/proc/self/status', 'utf8'))?.[1] ?? 0) / 1024;
    const session = await InferenceSession.create(llama);
    const stepper = loop(session);
    const passes = async (n: number) => {
      for (let i = 0; i < n; i++) {
        await stepper.step(ids(64, 0));
        await stepper.step(ids(1, 64));
        stepper.reset();
        // Held by nothing, and never disposed.
        await session.run({
          ...ids(16, 0),
          ...Object.fromEntries(stepper.carried.map((c) => [c, new Tensor('float32', new Float32Array(0), [1, 2, 0, 32])])),
        });
      }
    };
    setFlagsFromString('--expose-gc');
    const collect = runInNewContext('gc') as () => void;
    await passes(12);
    collect();
    const before = anonymous();
    await passes(60);
    const most = anonymous() - before;
    collect();
    // Finalizers of values that were never disposed run with the event loop.
    await new Promise((done) => setTimeout(done, 10));
    const grown = anonymous() - before;
    // A pass puts out 1.5 MiB: sixty that stay would be 90 MiB.
    assert.ok(grown < 32 && most < 64, `${grown.toFixed(1)} MiB more, ${most.toFixed(1)} before the collection`);
    await session.release();
  });

  test.after(async () => {
    await host.close();
    rmSync(folder, { recursive: true });
  });
}
test.run();
