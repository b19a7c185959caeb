// Float parts as operators of qc.v1: every spelling that is fused computes what it did, by bodies and by kernels; what only looks alike stays.
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { infer } from '../../compiler/graph/infer.ts';
import { loadModel } from '../../compiler/graph/load.ts';
import type { Attr, Model, Node } from '../../compiler/graph/types.ts';
import { float32s, int64s, node } from '../../compiler/lower/make.ts';
import { fuse } from '../../compiler/lower/native/fuse.ts';
import { active } from '../../runtime/index.ts';
import { floats, modelOf, noise, type Parts } from '../targets/build.ts';
import { type Feeds, operators, prover, Tensor, x } from './proved.ts';

const { host, folder, run, proved, close } = await prover();

const axes = int64s([-1]);
const gain = floats([48], 3);
const normal = (nodes: readonly Node[], extra: Parts['initializers'] = {}, opset = 18): Model =>
  modelOf({
    nodes,
    input: [2, 'n', 48],
    opset,
    initializers: { gain, axes, two: float32s([2], []), one: float32s([1], []), eps: float32s([1e-5], []), ...extra },
  });
const variance = [
  node('Pow', ['x', 'two'], ['sq']),
  node('ReduceMean', ['sq', 'axes'], ['ms']),
  node('Add', ['ms', 'eps'], ['me']),
  node('Sqrt', ['me'], ['rt']),
];

test('RmsNorm in its spellings', async () => {
  const spellings: Record<string, Model> = {
    quotient: normal([...variance, node('Div', ['x', 'rt'], ['h']), node('Mul', ['h', 'gain'], ['y'])]),
    reciprocal: normal([
      ...variance,
      node('Div', ['one', 'rt'], ['r']),
      node('Mul', ['x', 'r'], ['h']),
      node('Cast', ['h'], ['c'], { to: 1 }),
      node('Mul', ['gain', 'c'], ['y']),
    ]),
    'before opset 18': normal(
      [
        node('Mul', ['x', 'x'], ['sq']),
        node('ReduceMean', ['sq'], ['ms'], { axes: [-1] }),
        ...variance.slice(2),
        node('Div', ['x', 'rt'], ['h']),
        node('Mul', ['h', 'gain'], ['y']),
      ],
      {},
      17,
    ),
  };
  for (const [name, model] of Object.entries(spellings))
    assert.equal(operators(await proved(model, [x(2, 1, 48), x(2, 5, 48)])), ['RmsNorm'], name);
});

test('norms of another kind stay', () => {
  const other = normal([
    node('ReduceMean', ['x', 'axes'], ['m']),
    node('Sub', ['x', 'm'], ['c']),
    node('Pow', ['c', 'two'], ['sq']),
    ...variance.slice(1),
    node('Div', ['c', 'rt'], ['h']),
    node('Mul', ['h', 'gain'], ['y']),
  ]);
  // Of the centred values: the root mean square is that of c, a norm of its own behind the subtraction.
  assert.ok(operators(fuse(other)).includes('Sub'));
  const over1 = normal([...variance, node('Div', ['x', 'rt'], ['h']), node('Mul', ['h', 'gain'], ['y'])], { axes: int64s([1]) });
  assert.is(fuse(over1), over1);
  const wide = normal([...variance, node('Div', ['x', 'rt'], ['h']), node('Mul', ['h', 'gain'], ['y'])], { gain: floats([5, 48]) });
  assert.is(fuse(wide), wide);
});

test('SiluMul', async () => {
  const nodes = [
    node('Add', ['x', 'b'], ['up']),
    node('Sigmoid', ['x'], ['s']),
    node('Mul', ['x', 's'], ['g']),
    node('Mul', ['up', 'g'], ['y']),
  ];
  const fused = await proved(modelOf({ nodes, input: [2, 3, 5000], initializers: { b: floats([5000]) } }), [x(2, 3, 5000)]);
  assert.equal(operators(fused), ['Add', 'SiluMul']);
  const broadcast = modelOf({ nodes: nodes.slice(1), input: [2, 3, 48], initializers: { up: floats([48]) } });
  assert.is(fuse(broadcast), broadcast, 'shapes differ');
});

interface Spelling {
  readonly rope?: boolean;
  readonly scale?: 'scores' | 'both' | 'none';
  readonly bias?: boolean;
  readonly cleaned?: boolean;
  readonly kv?: number;
  readonly half?: number;
}
/** Attention of 4 heads of 8 over a cache of 3, as exporters write it. */
function attention({ rope = true, scale = 'scores', bias = true, cleaned = false, kv = 2, half = 4 }: Spelling): Model {
  const nodes: Node[] = [];
  const op = (type: string, inputs: string[], out: string, attrs = {}) => {
    nodes.push(node(type, inputs, [out], attrs));
    return out;
  };
  const heads = (name: string, n: number) => {
    op('MatMul', ['x', `w${name}`], `${name}3`);
    return op('Transpose', [op('Reshape', [`${name}3`, n === 4 ? 'split4' : 'split'], `${name}4`)], `${name}t`, { perm: [0, 2, 1, 3] });
  };
  const turn = (v: string) => {
    if (!rope) return v;
    op('Slice', [v, 'i0', 'half', 'i3'], `${v}lo`);
    op('Slice', [v, 'half', 'far', 'i3'], `${v}hi`);
    op('Concat', [op('Neg', [`${v}hi`], `${v}n`), `${v}lo`], `${v}x`, { axis: -1 });
    return op('Add', [op('Mul', [v, 'cos'], `${v}c`), op('Mul', [`${v}x`, 'sin'], `${v}s`)], `${v}r`);
  };
  const repeat = (v: string) =>
    kv === 4 ? v : op('Reshape', [op('Expand', [op('Unsqueeze', [v, 'i2'], `${v}u`), 'times'], `${v}e`), 'joined'], `${v}j`);
  const q = turn(heads('q', 4));
  const k = op('Concat', ['pk', turn(heads('k', kv))], 'present_k', { axis: 2 });
  const v = op('Concat', ['pv', heads('v', kv)], 'present_v', { axis: -2 });
  const kt = op('Transpose', [repeat(k)], 'across', { perm: [0, 1, 3, 2] });
  const [a, b] = scale === 'both' ? [op('Mul', [q, 'c'], 'qc'), op('Mul', [kt, 'c'], 'kc')] : [q, kt];
  let s = op('MatMul', [a, b], 'scores');
  if (scale === 'scores') s = op('Div', [s, 'c'], 'scaled');
  if (bias) s = op('Add', [s, 'bias'], 'masked');
  let p = op('Softmax', [s], 'p', { axis: -1 });
  if (cleaned) p = op('Where', [op('IsNaN', [p], 'odd'), 'zero', p], 'clean');
  op('Transpose', [op('MatMul', [p, repeat(v)], 'ctx')], 'ctxt', { perm: [0, 2, 1, 3] });
  op('Reshape', ['ctxt', 'merge'], 'y');
  // Position p sees the past of 3 and what came up to it; the first row nothing where NaN is replaced.
  const low = cleaned ? Number.NEGATIVE_INFINITY : -1e30;
  const mask = Float32Array.from({ length: 5 * 8 }, (_, i) => (i % 8 > 3 + Math.floor(i / 8) || (cleaned && i < 8) ? low : 0));
  const angles = noise(40, 5, 3);
  const initializers = {
    wq: floats([16, 32], 1),
    wk: floats([16, 8 * kv], 2),
    wv: floats([16, 8 * kv], 3),
    pk: floats([1, kv, 3, 8], 4),
    pv: floats([1, kv, 3, 8], 5),
    split4: int64s([0, 0, 4, 8]),
    split: int64s([0, 0, kv, 8]),
    merge: int64s([0, 0, 32]),
    times: int64s([1, 1, 4 / kv, 1, 1]),
    joined: int64s([0, 4, -1, 8]),
    i0: int64s([0]),
    i2: int64s([2]),
    i3: int64s([3]),
    half: int64s([half]),
    far: int64s([1000]),
    c: float32s([0.6], []),
    zero: float32s([0], []),
    bias: float32s(mask, [1, 1, 5, 8]),
    cos: float32s(angles.map(Math.cos), [1, 1, 5, 8]),
    sin: float32s(angles.map(Math.sin), [1, 1, 5, 8]),
  };
  return modelOf({ nodes, input: [1, 5, 16], initializers });
}

test('CachedAttention in its spellings', async () => {
  for (const spelling of [
    {},
    { scale: 'both' },
    { scale: 'none', rope: false },
    { bias: false },
    { cleaned: true },
    { kv: 4 },
    { kv: 1, rope: false },
  ] as Spelling[]) {
    const model = attention(spelling);
    const fused = await proved(
      {
        ...model,
        graph: {
          ...model.graph,
          outputs: [...model.graph.outputs, { name: 'present_k', dtype: 'float32' }, { name: 'present_v', dtype: 'float32' }],
        },
      },
      [x(1, 5, 16)],
    );
    assert.equal(operators(fused).sort(), ['CachedAttention', 'MatMul', 'MatMul', 'MatMul'], JSON.stringify(spelling));
  }
});

test('attention that only looks alike stays', () => {
  const partial = attention({ half: 2 });
  assert.is(fuse(partial), partial, 'only a part of each head is turned');
  const shown = attention({});
  const probs = {
    ...shown,
    graph: {
      ...shown.graph,
      nodes: [...shown.graph.nodes, node('Relu', ['p'], ['seen'])],
      outputs: [...shown.graph.outputs, { name: 'seen', dtype: 'float32' as const }],
    },
  };
  assert.is(fuse(probs), probs, 'its probabilities are read');
  const own = attention({});
  const nodes = [
    ...own.graph.nodes.filter((n) => n.outputs[0] !== 'y'),
    node('ReduceMax', ['present_k'], ['late']),
    node('Mul', ['late', 'bias'], ['late_bias']),
    own.graph.nodes.at(-1)!,
  ];
  const cyclic = {
    ...own,
    graph: { ...own.graph, nodes: nodes.map((n) => (n.outputs[0] === 'masked' ? { ...n, inputs: ['scaled', 'late_bias'] } : n)) },
  };
  assert.is(fuse(cyclic), cyclic, 'its mask depends on its own keys');
});

test('a Llama as its exporter wrote it: a layer is eleven nodes', async () => {
  const { model, dir } = await loadModel(host, 'test/models/llama/model.onnx');
  const feeds = (b: number, s: number, past: number): Feeds => {
    const ids = (f: (i: number) => number, n: number) =>
      new Tensor(
        'int64',
        BigInt64Array.from({ length: b * n }, (_, i) => BigInt(f(i))),
        [b, n],
      );
    const cache = model.graph.inputs.filter((i) => i.name.startsWith('past'));
    return {
      input_ids: ids((i) => (i * 37) % 2000, s),
      attention_mask: ids((i) => (b > 1 && i < 2 ? 0 : 1), past + s),
      position_ids: ids((i) => past + (i % s), s),
      ...Object.fromEntries(cache.map((c, i) => [c.name, new Tensor('float32', noise(b * 2 * past * 32, i + 1), [b, 2, past, 32])])),
    };
  };
  const fused = await proved(infer(model), [feeds(1, 1, 0), feeds(2, 7, 0), feeds(2, 3, 40), feeds(1, 1, 33)], dir);
  const counts = (op: string) => operators(fused).filter((o) => o === op).length;
  assert.equal(
    [counts('CachedAttention'), counts('RmsNorm'), counts('AddRmsNorm'), counts('SiluMul'), counts('MatMul')],
    [6, 1, 12, 6, 43],
  );
  assert.is(counts('Softmax'), 0);
  assert.ok(fused.graph.nodes.length < 230, String(fused.graph.nodes.length));
});

if (!active) console.log('skipped: the native addon is not built');
else
  test('what does not fit is an error that names the operator', async () => {
    const good = fuse(attention({}));
    const at = good.graph.nodes.findIndex((n) => n.op === 'CachedAttention');
    const changed = (model: Model, i: number, change: Partial<Node>): Model => ({
      ...model,
      graph: { ...model.graph, nodes: model.graph.nodes.map((n, j) => (j === i ? { ...n, ...change } : n)) },
    });
    const attr = (name: string, a: Attr) => ({ attrs: new Map([...good.graph.nodes[at]!.attrs, [name, a]]) });
    const input = (i: number, value: string) => ({ inputs: good.graph.nodes[at]!.inputs.map((v, j) => (j === i ? value : v)) });
    const ints = (...value: number[]): Attr => ({ type: 'ints', value });
    const norm = fuse(normal([...variance, node('Div', ['x', 'rt'], ['h']), node('Mul', ['h', 'gain'], ['y'])]));
    const bad: [Model, Feeds, RegExp][] = [
      [changed(good, at, attr('heads', ints(4, 3, 8))), x(1, 5, 16), /CachedAttention: q, k and v have the shapes/],
      [changed(good, at, attr('heads', ints(4, 2))), x(1, 5, 16), /CachedAttention: the attribute "heads" is not/],
      [changed(good, at, attr('heads', ints(4, 2, -8))), x(1, 5, 16), /CachedAttention: the attribute "heads" is not 3 sizes/],
      [changed(good, at, attr('scale', { type: 'int', value: 1 })), x(1, 5, 16), /CachedAttention: the float attribute "scale" is missing/],
      [changed(good, at, input(0, 'x')), x(1, 5, 16), /CachedAttention: q, k and v have the shapes \[1, 5, 16\]/],
      [changed(good, at, input(4, 'wq')), x(1, 5, 16), /CachedAttention: past_key and past_value have the shapes/],
      [changed(good, at, input(3, 'wq')), x(1, 5, 16), /CachedAttention: past_key has the shape \[16, 32\]/],
      [changed(good, at, input(5, 'pk')), x(1, 5, 16), /CachedAttention: cos has the shape \[1, 2, 3, 8\]/],
      [changed(good, at, input(7, 'pk')), x(1, 5, 16), /CachedAttention: the bias has the shape \[1, 2, 3, 8\], which does not broadcast/],
      [changed(good, at, input(5, 'split')), x(1, 5, 16), /of operator \(CachedAttention\)/],
      [changed(norm, 0, { inputs: ['x', 'eps'] }), x(2, 5, 48), /RmsNorm: x has the shape \[2, 5, 48\], its last size is not that of gain/],
    ];
    for (const [model, feed, says] of bad) {
      const kept = {
        ...model,
        graph: {
          ...model.graph,
          initializers: new Map([
            ...(model === norm ? [] : attention({}).graph.initializers),
            ...model.graph.initializers,
            ['eps', float32s([1], [1])],
          ]),
        },
      };
      const error = await run(kept, folder, feed).then(
        () => '',
        (e: Error) => e.message,
      );
      assert.match(error, says);
    }
  });

test.after(close);
test.run();
