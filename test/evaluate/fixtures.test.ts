/** The committed models: the numbers that score.py gives. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { dataSource } from '../../compiler/calibrate/data.ts';
import { floats } from '../../compiler/calibrate/values.ts';
import { compare, compareModels, evaluateFixture, race } from '../../compiler/evaluate/index.ts';
import { openTensors } from '../../compiler/graph/bytes.ts';
import { type Loaded, loadModel } from '../../compiler/graph/load.ts';
import type { Tensor } from '../../compiler/graph/types.ts';
import { nodeHost } from '../../compiler/node/host.ts';
import { errorOf, folder } from '../calibrate/_make.ts';

const host = await nodeHost();
test.after(() => host.close());
const models = 'test/models';
const load = (name: string) => loadModel(host, `${models}/${name}/model.onnx`);
const near = (a: number | undefined, b: number, tolerance: number) =>
  assert.ok(Math.abs(a! - b) <= tolerance, `${a} is not ${b} ± ${tolerance}`);

/** The model with every float matrix rounded to `steps` levels each side of zero (a coarse quantizer of the test's own). */
async function rounded({ model, dir }: Loaded, steps: number) {
  const reader = openTensors(host, dir);
  const initializers = new Map<string, Tensor>();
  for (const [name, t] of model.graph.initializers) {
    if (t.dtype !== 'float32' || t.shape.length < 2) {
      initializers.set(name, t);
      continue;
    }
    const w = floats({ dtype: 'float32', shape: t.shape, bytes: await reader.bytes(t) });
    const step = w.reduce((m, v) => Math.max(m, Math.abs(v)), 0) / steps;
    initializers.set(name, { ...t, source: { kind: 'bytes', bytes: new Uint8Array(w.map((v) => Math.round(v / step) * step).buffer) } });
  }
  await reader.close();
  return { model: { ...model, graph: { ...model.graph, initializers } }, dir };
}

test('vit and mlp-conv: the float model is right and agrees with itself', async () => {
  for (const [name, top1] of [
    ['vit', 349 / 360],
    ['mlp-conv', 358 / 360],
  ] as const) {
    const s = await evaluateFixture(host, `${models}/${name}`);
    near(s['top1'], top1, 1e-12);
    assert.is(s['agreement'], 1);
    assert.ok(s['logits_sqnr_db']! > 100, `${s['logits_sqnr_db']}`);
  }
});

test('mlp-conv, coarsely rounded: worse, and the layers say where', async () => {
  const float = await load('mlp-conv');
  const coarse = await rounded(float, 7);
  const s = await evaluateFixture(host, `${models}/mlp-conv`, coarse);
  assert.ok(s['logits_sqnr_db']! < 40 && s['logits_sqnr_db']! > 3, `${s['logits_sqnr_db']}`);
  const convs = float.model.graph.nodes.filter((n) => n.op === 'Conv').map((n) => n.outputs[0]!);
  const source = await dataSource(host, `${models}/mlp-conv/calib`, { samples: 40 });
  const request = { host, reference: float, actual: coarse, source, layers: [...convs, 'no such value'] };
  const result = await compare(request);
  assert.is(result.samples, 40);
  assert.equal([...result.layers.keys()], convs);
  for (const dB of result.layers.values()) assert.ok(dB > 0 && dB < 60, `${dB}`);
  const one = result.outputs.get(float.model.graph.outputs[0]!.name)!;
  assert.ok(one['sqnr']! < 40 && one['kl']! > 0 && one['cosine']! < 1);
  // One layer at a time: ONNX Runtime fuses differently where fewer values are asked for.
  const slowly = await compare({ ...request, memory: 1 });
  for (const [name, dB] of result.layers) near(slowly.layers.get(name), dB, 0.01);
});

test('llama: perplexity, nll and kl; the rounded one by kl, also token by token', async () => {
  const float = await load('llama');
  const s = await evaluateFixture(host, `${models}/llama`, undefined, { windows: 4 });
  near(s['nll_diff'], 0, 1e-6);
  assert.equal([s['agreement'], s['kl']], [1, 0]);
  const coarse = await rounded(float, 31);
  const q = await evaluateFixture(host, `${models}/llama`, coarse, { windows: 4 });
  assert.ok(q['kl']! > 0.001 && q['kl']! < 1 && q['agreement']! < 1, JSON.stringify(q));
  near(Math.log(q['perplexity']! / s['perplexity']!), q['nll_diff']! - s['nll_diff']!, 1e-9);
  const d = await evaluateFixture(host, `${models}/llama`, coarse, { decode: true });
  near(d['decode_kl'], q['kl']!, q['kl']! / 2);
});

test('mamba2: whole windows, and token by token through its states', async () => {
  const s = await evaluateFixture(host, `${models}/mamba2`, undefined, { windows: 4 });
  near(s['nll_diff'], 0, 1e-6);
  const d = await evaluateFixture(host, `${models}/mamba2`, undefined, { decode: true });
  near(d['decode_nll_diff'], 0, 1e-5);
  near(d['decode_kl'], 0, 1e-9);
});

test('two files on a folder of arrays', async () => {
  const path = `${models}/vit/model.onnx`;
  const rows = await compareModels(host, path, path, `${models}/vit/calib`, { samples: 4 });
  const value = (name: string) => rows.find((r) => r.name.startsWith(`${name} `))!.value;
  assert.equal([value('mse'), value('kl'), value('agreement')], [0, 0, 1]);
});

test('a race runs both sides equally often and gives medians', async () => {
  const calls: string[] = [];
  const clock = { t: 0 };
  const runner = (name: string, cost: number) => ({
    session: {
      inputs: [],
      outputs: [],
      run: async () => {
        calls.push(name);
        clock.t += cost;
        return {};
      },
      close: async () => {},
    },
    feeds: {},
  });
  assert.equal(await race(() => clock.t, runner('a', 6), runner('b', 2), 5, 2), { first: 6, second: 2, ratio: 3 });
  assert.is(calls.join(''), 'abbaabbaabbaab');
});

test('errors', async () => {
  const dir = folder({ 'eval/readme.txt': '' });
  assert.is(
    (await errorOf(() => evaluateFixture(host, dir.path))).replaceAll(dir.path, 'DIR'),
    'eval-unknown: DIR/eval has none of tokens.npz, queries.npz, noise.npz, test.npz | give data with --data to compare two models instead',
  );
  dir.remove();
  const [vit, conv] = [await load('vit'), await load('mlp-conv')];
  const source = await dataSource(host, `${models}/vit/calib`, { samples: 1 });
  const same = vit.model.graph.outputs[0]!.name === conv.model.graph.outputs[0]!.name;
  assert.is(
    await errorOf(() => compare({ host, reference: vit, actual: conv, source })),
    same
      ? `compare-inputs: ${models}/vit/calib/000.npz has no array for the input "image" of the second model | compare models with the same inputs`
      : `compare-output: the second model has no output "${vit.model.graph.outputs[0]!.name}" | compare models with the same outputs`,
  );
});

test.run();
