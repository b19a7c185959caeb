// Embeddings, tied tables, float16 models, subgraphs: what a target makes of them equals the simulation.
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { infer } from '../../compiler/graph/infer.ts';
import type { Graph, Tensor } from '../../compiler/graph/types.ts';
import { held, int64s, node, numbers } from '../../compiler/lower/make.ts';
import { nodeHost } from '../../compiler/node/host.ts';
import { difference, feed, floats, type Kind, lowerTo, modelOf, type Parts, quantized } from './build.ts';

const host = await nodeHost();
const group = (n: number): Kind['grain'] => ({ per: 'group', group: n });
const tensor = { per: 'tensor' } as const;
const token = { per: 'token' } as const;
const channel = { per: 'channel' } as const;
const ids = (shape: readonly number[], values: readonly number[]) => ({
  x: { dtype: 'int64' as const, shape, bytes: (int64s(values).source as { bytes: Uint8Array }).bytes },
});

const lookup = (table: Tensor): Parts => ({
  nodes: [node('Gather', ['w', 'x'], ['y'])],
  input: [2, 3],
  inputType: 'int64',
  initializers: { w: table },
});
const tables: Record<string, Kind> = {
  'int4 group 32': { format: 'int4', grain: group(32) },
  'uint4 group 32': { format: 'uint4', grain: group(32) },
  'int8 group 32': { format: 'int8', grain: group(32) },
  'int8 channel': { format: 'int8', grain: channel },
  'int4 channel': { format: 'int4', grain: channel },
  'uint8 channel': { format: 'uint8', grain: channel },
  'int3 tensor': { format: 'int3', grain: tensor },
  'int2 group 16': { format: 'int2', grain: group(16) },
  'fp8 channel': { format: 'fp8', grain: channel },
  float16: { format: 'float16', grain: tensor },
};
for (const [name, kind] of Object.entries(tables))
  test(`embedding, ${name}`, async () => {
    const s = quantized(modelOf(lookup(floats([20, 64]))), kind);
    assert.is(s.weights.length, 1);
    for (const target of ['portable', 'ort']) {
      const { relative, ops } = await difference(host, target, s, [ids([2, 3], [0, 19, 7, 7, 1, 12])]);
      assert.is(relative, 0, `${target}: ${ops.join(' ')}`);
      if (target === 'ort' && /^u?int[48] group/.test(name)) assert.ok(ops.includes('GatherBlockQuantized'), ops.join(' '));
    }
  });

test('a table that is embedding and head is stored once', async () => {
  const parts: Parts = {
    nodes: [node('Gather', ['w', 'x'], ['h']), node('Transpose', ['w'], ['wt'], { perm: [1, 0] }), node('MatMul', ['h', 'wt'], ['y'])],
    input: [2, 3],
    inputType: 'int64',
    initializers: { w: floats([48, 64]) },
  };
  const s = quantized(modelOf(parts), { format: 'int4', grain: group(32) });
  assert.is(s.weights.length, 2);
  for (const target of ['portable', 'ort']) {
    assert.ok((await difference(host, target, s, [ids([2, 3], [0, 47, 7, 7, 1, 12])])).relative < 1e-6, target);
    const { model, emitted } = await lowerTo(target, s);
    const codes = [...model.graph.initializers.values()].filter((t) => t.shape.reduce((a, b) => a * b, 1) >= 48 * 32);
    assert.is(codes.length, 1, `${target} stores one table`);
    assert.is(emitted.length, 2);
    assert.equal(emitted[0]!.initializers.filter((i) => emitted[1]!.initializers.includes(i)).length > 0, true);
  }
});

test('sites that share a weight and an input share codes', async () => {
  const parts: Parts = {
    nodes: [node('MatMul', ['x', 'a'], ['q']), node('MatMul', ['x', 'b'], ['k']), node('Add', ['q', 'k'], ['y'])],
    input: [2, 3, 64],
    initializers: { a: floats([64, 32]), b: floats([64, 32], 5) },
  };
  const s = quantized(modelOf(parts), { format: 'int8', grain: channel }, { format: 'uint8', grain: tensor, mode: 'dynamic' });
  for (const target of ['portable', 'ort']) {
    assert.ok((await difference(host, target, s, [feed([2, 3, 64])])).relative < 1e-5);
    const { model } = await lowerTo(target, s);
    assert.is(model.graph.nodes.filter((n) => n.op === 'DynamicQuantizeLinear').length, 1, target);
  }
});

test('float16 models keep float16 between sites', async () => {
  const parts: Parts = {
    nodes: [node('MatMul', ['x', 'w'], ['y'])],
    input: [2, 3, 64],
    inputType: 'float16',
    initializers: { w: floats([64, 48], 1, 1, 'float16') },
  };
  const kinds: [Kind, Kind | undefined][] = [
    [{ format: 'int4', grain: group(32) }, undefined],
    [{ format: 'fp8', grain: channel }, undefined],
    [
      { format: 'int8', grain: channel },
      { format: 'int8', grain: token, mode: 'dynamic' },
    ],
    [
      { format: 'int8', grain: channel },
      { format: 'uint8', grain: tensor },
    ],
  ];
  for (const [weight, input] of kinds) {
    const s = quantized(modelOf(parts), weight, input);
    const wide = { ...s.model, graph: { ...s.model.graph } };
    assert.is(wide.graph.outputs[0]!.dtype, 'float16');
    for (const target of ['portable', 'ort']) {
      const { relative } = await difference(host, target, s, [feed([2, 3, 64], 7, 'float16')]);
      assert.ok(relative < 2e-3, `${target} ${weight.format} ${input?.format}: ${relative}`);
    }
  }
});

test('the operator set is raised only where a type demands it, with what that changes', async () => {
  const parts: Parts = {
    opset: 12,
    nodes: [
      node('Unsqueeze', ['x'], ['u'], { axes: [0] }),
      node('Squeeze', ['u'], ['s'], { axes: [0] }),
      node('MatMul', ['s', 'w'], ['m']),
      node('ReduceMean', ['m'], ['r'], { axes: [-1], keepdims: 1 }),
      node('Sub', ['m', 'r'], ['d']),
      node('Split', ['d'], ['p', 'q'], { axis: -1 }),
      node('Add', ['p', 'q'], ['a']),
      node('Softmax', ['a'], ['y'], { axis: 1 }),
    ],
    input: [2, 3, 64],
    initializers: { w: floats([64, 48]) },
  };
  const int8 = await lowerTo('ort', quantized(modelOf(parts), { format: 'int8', grain: group(32) }));
  assert.is(int8.model.opsets.get(''), 12, 'MatMulNBits needs no newer set');
  for (const [format, opset, ir] of [
    ['fp8', 19, 9],
    ['int4', 21, 10],
    ['int2', 25, 13],
  ] as const) {
    const s = quantized(modelOf(parts), { format, grain: channel });
    const { model } = await lowerTo('portable', s);
    assert.is(model.opsets.get(''), opset);
    assert.is(model.irVersion, ir);
    assert.ok((await difference(host, 'portable', s, [feed([2, 3, 64])])).relative < 1e-6, format);
  }
});

test('a weight inside the body of a loop is dequantized outside of it', async () => {
  const body: Graph = {
    name: 'body',
    nodes: [node('MatMul', ['h', 'w'], ['n']), node('Identity', ['go'], ['on'])],
    inputs: [
      { name: 'i', dtype: 'int64', shape: [] },
      { name: 'go', dtype: 'bool', shape: [] },
      { name: 'h', dtype: 'float32', shape: [4, 32] },
    ],
    outputs: [
      { name: 'on', dtype: 'bool', shape: [] },
      { name: 'n', dtype: 'float32', shape: [4, 32] },
    ],
    initializers: new Map(),
    values: new Map(),
  };
  const loop = node('Loop', ['trips', 'yes', 'x'], ['y']);
  loop.attrs.set('body', { type: 'graph', value: body });
  const model = infer(
    modelOf({
      nodes: [loop],
      input: [4, 32],
      initializers: { w: floats([32, 32], 1, 0.3), trips: int64s([3], []), yes: held('bool', [], new Uint8Array([1])) },
    }),
  );
  for (const input of [undefined, { format: 'int8', grain: token, mode: 'dynamic' } as const]) {
    const s = quantized(model, { format: 'int8', grain: channel }, input);
    assert.is(s.weights.length, 1);
    for (const target of ['portable', 'ort']) {
      assert.ok((await difference(host, target, s, [feed([4, 32])])).relative < 1e-3, target);
      const { model: lowered } = await lowerTo(target, s);
      const inner = lowered.graph.nodes.find((n) => n.op === 'Loop')!.attrs.get('body');
      assert.ok(inner?.type === 'graph' && inner.value.nodes.every((n) => n.op !== 'DequantizeLinear' || !n.inputs[0]!.startsWith('w/')));
    }
  }
});

test('constants that exporters repeat are merged', async () => {
  const constant = (name: string, v: number) => {
    const n = node('Constant', [], [name]);
    n.attrs.set('value', { type: 'tensor', value: numbers('float32', [], [v]) });
    return n;
  };
  const parts: Parts = {
    nodes: [
      constant('one', 1),
      constant('uno', 1),
      constant('two', 2),
      node('MatMul', ['x', 'w'], ['m']),
      node('Add', ['m', 'one'], ['a']),
      node('Mul', ['a', 'two'], ['b']),
      node('Add', ['b', 'uno'], ['y']),
    ],
    input: [2, 3, 64],
    initializers: { w: floats([64, 48]) },
  };
  const s = quantized(modelOf(parts), { format: 'int8', grain: channel });
  const { model } = await lowerTo('portable', s);
  assert.is(model.graph.nodes.filter((n) => n.op === 'Constant').length, 2);
  assert.ok((await difference(host, 'portable', s, [feed([2, 3, 64])])).relative < 1e-6);
});

test.after(() => host.close());
test.run();
