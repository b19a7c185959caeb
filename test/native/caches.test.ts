// Attention over caches in float16 and in codes: what was simulated, by bodies and by kernels, prefill and steps, in the graph and outside of it.
import { mkdtempSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { infer } from '../../compiler/graph/infer.ts';
import { loadModel } from '../../compiler/graph/load.ts';
import type { Model, Node } from '../../compiler/graph/types.ts';
import { writeModel } from '../../compiler/graph/write.ts';
import { withQuantizedCaches } from '../../compiler/lower/cache.ts';
import { findSites } from '../../compiler/match/find.ts';
import { nodeHost } from '../../compiler/node/host.ts';
import { simulate } from '../../compiler/simulate/simulate.ts';
import type { Simulated } from '../../compiler/simulated.ts';
import { active } from '../../runtime/index.ts';
import { lowerTo, qtype } from '../targets/build.ts';

const { InferenceSession, Tensor } = createRequire(import.meta.url)('onnxruntime-node') as typeof import('onnxruntime-node');
type Feeds = Record<string, InstanceType<typeof Tensor>>;

const host = await nodeHost();
const folder = mkdtempSync(join(tmpdir(), 'qc-caches-'));
const loaded = await loadModel(host, 'test/models/llama/model.onnx');
// Two layers are enough, and the logits of the whole vocabulary are not needed.
const source = firstLayers(infer(loaded.model), 2);
const sites = findSites(source);
const stock = { executionProviders: ['cpu'] };
let count = 0;

/** The model up to layer `n`; its output is the stream there. */
function firstLayers(model: Model, n: number): Model {
  const of = (name: string) => Number(/\.(\d+)\./.exec(name)?.[1] ?? -1);
  const stream = model.graph.nodes.find((x) => x.op === 'Pow' && x.name.includes(`layers.${n}/input_layernorm`))!.inputs[0]!;
  const kept = (v: { name: string }) => of(v.name) < n;
  const { graph } = model;
  const live = new Set([stream, ...graph.outputs.filter((o) => o.name !== 'logits' && kept(o)).map((o) => o.name)]);
  const nodes: Node[] = [];
  for (const x of [...graph.nodes].reverse())
    if (x.outputs.some((o) => live.has(o))) {
      for (const i of x.inputs) live.add(i);
      nodes.unshift(x);
    }
  return {
    ...model,
    graph: {
      ...graph,
      nodes,
      initializers: new Map([...graph.initializers].filter(([name]) => live.has(name))),
      inputs: graph.inputs.filter(kept),
      outputs: [{ name: stream, dtype: 'float32' }, ...graph.outputs.filter((o) => o.name !== 'logits' && kept(o))],
    },
  };
}

const cached = (format: string): Simulated => ({
  model: source,
  weights: [],
  values: sites.sites
    .filter((s) => s.role === 'attention')
    .flatMap((site) =>
      ['key', 'value'].map((port) => ({
        site,
        port,
        type: qtype({ format, grain: { per: 'head' }, mode: 'dynamic' }),
        value: site.ports[port]!.value,
      })),
    ),
  sites,
});

/** Outputs of the stream: 5 tokens of two sequences (the first two of the second are padding), then one at a time, through the model's caches. */
async function decoded(model: Model, options = {}): Promise<Float32Array[]> {
  const file = join(folder, `${count++}.onnx`);
  await writeModel(host, model, file, { dir: loaded.dir });
  const session = await InferenceSession.create(file, options);
  const ints = (n: number, f: (i: number) => number) =>
    new Tensor(
      'int64',
      BigInt64Array.from({ length: 2 * n }, (_, i) => BigInt(f(i))),
      [2, n],
    );
  const arrays = {
    float32: Float32Array,
    uint8: Uint8Array,
    float16: (globalThis as { Float16Array?: typeof Uint16Array }).Float16Array ?? Uint16Array,
  };
  let state: Feeds = Object.fromEntries(
    model.graph.inputs
      .filter((i) => i.name.startsWith('past'))
      .map((i) => {
        const type = i.dtype as keyof typeof arrays;
        return [i.name, new Tensor(type as 'float32', new arrays[type](0) as Float32Array, [2, 2, 0, Number(i.shape!.at(-1))])];
      }),
  );
  const results: Float32Array[] = [];
  let past = 0;
  for (const n of [5, 1, 1, 2]) {
    const out = await session.run({
      ...state,
      input_ids: ints(n, (i) => ((past + i) * 37) % 2000),
      attention_mask: ints(past + n, (i) => (i >= past + n && i < past + n + 2 ? 0 : 1)),
      position_ids: ints(n, (i) => past + (i % n)),
    });
    results.push(out[model.graph.outputs[0]!.name]!.data as Float32Array);
    state = Object.fromEntries(Object.keys(state).map((name) => [name, out[name.replace('past_key_values.', 'present.')]!]));
    past += n;
  }
  await session.release();
  return results;
}

const relative = (a: Float32Array, b: Float32Array) =>
  Math.sqrt(a.reduce((s, v, i) => s + (v - b[i]!) ** 2, 0) / a.reduce((s, v) => s + v * v, 0));

const operators: Record<string, readonly [inside: string | undefined, outside: string]> = {
  uint4: ['CachedAttentionRounded', 'CachedAttentionQ4'],
  int4: [undefined, 'CachedAttentionQ4Symmetric'],
  int8: ['CachedAttentionRoundedSymmetric', 'CachedAttentionQ8Symmetric'],
  uint8: [undefined, 'CachedAttentionQ8'],
  float16: [undefined, 'CachedAttentionHalf'],
};
for (const [format, [inside, outside]] of Object.entries(operators))
  test(`${format} caches`, async () => {
    const s = cached(format);
    const want = await decoded(simulate(s), stock);
    const float = await decoded(source, stock);
    assert.ok(relative(float.at(-1)!, want.at(-1)!) > 1e-5, 'the cache is quantized');
    const forms = [...(inside ? [{ name: inside, s }] : []), { name: outside, s: withQuantizedCaches(s) }];
    for (const form of forms) {
      const { model } = await lowerTo('native', form.s);
      assert.is(model.graph.nodes.filter((n) => n.op === form.name).length, 2, model.graph.nodes.map((n) => n.op).join(' '));
      assert.not.ok(model.graph.nodes.some((n) => n.op === 'Softmax'));
      for (const options of active ? [stock, {}] : [stock])
        for (const [step, y] of (await decoded(model, options)).entries()) {
          const r = relative(want[step]!, y);
          assert.ok(r < 2e-6, `${form.name} ${options === stock ? 'body' : 'kernel'}, step ${step}: ${r}`);
        }
    }
  });

if (!active) console.log('skipped: the native addon is not built');
else
  test('what does not fit is an error that names the operator', async () => {
    const { model } = await lowerTo('native', withQuantizedCaches(cached('uint4')));
    const at = model.graph.nodes.find((n) => n.op === 'CachedAttentionQ4')!;
    const changed = (change: Partial<Node>): Model => ({
      ...model,
      graph: { ...model.graph, nodes: model.graph.nodes.map((n) => (n === at ? { ...n, ...change } : n)) },
    });
    const attr = (name: string, value: number) => changed({ attrs: new Map([...at.attrs, [name, { type: 'float', value } as const]]) });
    const input = (i: number, value: string) => changed({ inputs: at.inputs.map((v, j) => (j === i ? value : v)) });
    const bad: [Model, RegExp][] = [
      [attr('hi', 16), /CachedAttentionQ4: codes from 0 to 16, moved by 0, do not fit 4 bits/],
      [attr('lo', Number.NaN), /CachedAttentionQ4: codes from/],
      [attr('shift', 1), /CachedAttentionQ4: codes from 0 to 15, moved by 1/],
      [input(8, at.inputs[3]!), /of operator \(CachedAttentionQ4\)/],
      [input(8, at.inputs[0]!), /CachedAttentionQ4: past_key_scale has the shape/],
      [input(10, at.inputs[8]!), /of operator \(CachedAttentionQ4\)/],
      [input(3, at.inputs[10]!), /CachedAttentionQ4: past_key and past_value have the shapes/],
    ];
    for (const [broken, says] of bad)
      assert.match(
        await decoded(broken).then(
          () => '',
          (e: Error) => e.message,
        ),
        says,
      );
  });

test.after(async () => {
  await host.close();
  rmSync(folder, { recursive: true });
});
test.run();
