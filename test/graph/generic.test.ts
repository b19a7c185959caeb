/** Models without weights and names: parts of one structure have one key, and one generic model computes them all. */
import assert from 'node:assert';
import { test } from 'uvu';
import { dataSource } from '../../compiler/calibrate/index.ts';
import { openModel } from '../../compiler/driver/model.ts';
import { Parts } from '../../compiler/driver/parts.ts';
import { cut } from '../../compiler/graph/cut.ts';
import { generic } from '../../compiler/graph/generic.ts';
import { toFloat32 } from '../../compiler/graph/numeric.ts';
import type { Attr, Graph, Model, Node, Tensor } from '../../compiler/graph/types.ts';
import type { Session } from '../../compiler/host.ts';
import { float32s, node } from '../../compiler/lower/make.ts';
import { nodeHost } from '../../compiler/node/host.ts';

const host = await nodeHost();
const llama = await openModel(host, 'test/models/llama/model.onnx');
const { graph } = llama.model;
const infos = (names: readonly string[]) => new Map(names.map((n) => [n, graph.values.get(n)!] as const));
/** What computes a block's outputs from its inputs. */
const part = (index: number): Model => {
  const block = llama.sites.blocks.find((b) => b.index === index)!;
  const made = new Set(graph.nodes.flatMap((n) => n.outputs));
  const known = block.inputs.filter((v) => made.has(v) && graph.values.has(v));
  return cut(llama.model, infos(known), block.outputs);
};

const constant = (values: readonly number[]): Tensor => float32s(values, [values.length]);
const small = (more: Partial<Graph> & { readonly nodes: readonly Node[] }): Model => ({
  ...llama.model,
  functions: [],
  graph: {
    name: 'g',
    inputs: [{ name: 'x', dtype: 'float32', shape: ['n', 32] }],
    outputs: [{ name: 'y', dtype: 'float32', shape: ['n', 32] }],
    initializers: new Map(),
    values: new Map(),
    ...more,
  },
});
const ramp = (n: number, by = 1): number[] => Array.from({ length: n }, (_, i) => i * by);
const scaled = (weight: Tensor, name = 'w', attrs = {}) =>
  small({ nodes: [node('Mul', ['x', name], ['y'], attrs)], initializers: new Map([[name, weight]]) });

test('blocks of a transformer have one key, whatever their weights are called and hold', () => {
  const [first, second] = [generic(part(1))!, generic(part(2))!];
  assert.ok(first && second);
  assert.strictEqual(first.key, second.key);
  assert.deepStrictEqual([...first.weights.keys()], [...second.weights.keys()]);
  assert.notDeepStrictEqual([...first.names.keys()], [...second.names.keys()]);
  // everything large is fed
  const left = first.model((m) => m).graph.initializers;
  assert.ok([...left.values()].every((t) => t.shape.reduce((a, b) => a * b, 1) < 4096));
});

test('keys tell what computes something else', () => {
  const key = (m: Model) => generic(m)!.key;
  const own = key(scaled(constant(ramp(32))));
  assert.strictEqual(key(scaled(constant(ramp(32, 2)), 'other')), own);
  assert.notStrictEqual(key(scaled(float32s(ramp(32), [1, 32]))), own);
  const add = small({ nodes: [node('Add', ['x', 'w'], ['y'])], initializers: new Map([['w', constant(ramp(32))]]) });
  assert.notStrictEqual(key(add), own);
  // scalars stay in the graph: what they hold counts
  assert.notStrictEqual(key(scaled(constant([2]))), key(scaled(constant([3]))));
  const soft = (axis: number) => small({ nodes: [node('Softmax', ['x'], ['y'], { axis })] });
  assert.notStrictEqual(key(soft(0)), key(soft(1)));
  assert.strictEqual(key(soft(1)), key(soft(1)));
});

test('what cannot be compared has no generic model', () => {
  const body: Attr = { type: 'graph', value: scaled(constant(ramp(32))).graph } as Attr;
  assert.strictEqual(generic(small({ nodes: [{ ...node('If', ['x'], ['y']), attrs: new Map([['then_branch', body]]) }] })), undefined);
  // a large constant that is no weight: nothing is known of its place
  const large = (n: number) => small({ nodes: [node('Sub', ['x', 'w'], ['y'])], initializers: new Map([['w', constant(ramp(n))]]) });
  assert.ok(generic(large(32)));
  assert.strictEqual(generic(large(2048)), undefined);
  const lazy: Tensor = { ...constant([1]), source: { kind: 'lazy', lazy: { key: 'k', part: 'p', evaluate: async () => ({}) } } };
  assert.strictEqual(generic(scaled(lazy)), undefined);
});

test('one session of the structure runs both blocks, each with its own weights', async () => {
  const source = await dataSource(host, 'test/models/llama/calib');
  const whole = await host.session(cut(llama.model, new Map(), valuesAround([1, 2])), llama.dir);
  const parts = new Parts(host, llama.dir);
  try {
    for await (const batch of source.read(graph)) {
      if (batch.feeds['input_ids']!.shape[1]! <= 8) continue;
      const expected = await whole.run(Object.fromEntries(whole.inputs.map((n) => [n, batch.feeds[n]!])));
      for (const index of [1, 2]) {
        const session: Session = await parts.session(part(index), 1);
        const feeds = Object.fromEntries(session.inputs.map((n) => [n, expected[n] ?? batch.feeds[n]!]));
        const found = await session.run(feeds);
        for (const name of session.outputs) {
          const [a, b] = [expected[name]!, found[name]!].map((v) => toFloat32('float32', v.bytes));
          const norm = (z: Float32Array) => Math.sqrt(z.reduce((sum, v) => sum + v * v, 0));
          assert.ok(norm(a!.map((v, i) => v - b![i]!)) < 1e-5 * norm(a!), `block ${index}: ${name}`);
        }
        await session.close();
      }
      break;
    }
  } finally {
    await parts.close();
    await whole.close();
  }
});

/** Inputs and outputs of blocks. */
function valuesAround(indices: readonly number[]): string[] {
  const made = new Set(graph.nodes.flatMap((n) => n.outputs));
  const of = llama.sites.blocks.filter((b) => indices.includes(b.index)).flatMap((b) => [...b.inputs, ...b.outputs]);
  return [...new Set(of)].filter((v) => made.has(v));
}

test.run();
