// Convolutions of every form: what a target makes of them equals the simulation.
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { node } from '../../compiler/lower/make.ts';
import { compareOutputs } from '../../compiler/lower/prove.ts';
import { nodeHost } from '../../compiler/node/host.ts';
import { simulate } from '../../compiler/simulate/simulate.ts';
import { difference, feed, floats, type Kind, lowerTo, modelOf, type Parts, quantized } from './build.ts';

const host = await nodeHost();
const group = (n: number): Kind['grain'] => ({ per: 'group', group: n });
const tensor = { per: 'tensor' } as const;
const token = { per: 'token' } as const;
const channel = { per: 'channel' } as const;

const convs: Record<string, Parts> = {
  'Conv 3x3': {
    nodes: [node('Conv', ['x', 'w', 'b'], ['y'], { pads: [1, 1, 1, 1], kernel_shape: [3, 3] })],
    input: [2, 8, 6, 6],
    initializers: { w: floats([16, 8, 3, 3]), b: floats([16], 3, 9) },
  },
  'Conv grouped, strided': {
    nodes: [node('Conv', ['x', 'w'], ['y'], { group: 4, strides: [2, 2] })],
    input: [2, 16, 7, 7],
    initializers: { w: floats([32, 4, 3, 3]) },
  },
  'Conv depthwise 1D': {
    nodes: [node('Conv', ['x', 'w', 'b'], ['y'], { group: 16, pads: [3, 0] })],
    input: [1, 16, 9],
    initializers: { w: floats([16, 1, 4]), b: floats([16], 3) },
  },
  ConvTranspose: {
    nodes: [node('ConvTranspose', ['x', 'w', 'b'], ['y'], { strides: [2, 2] })],
    input: [2, 12, 5, 5],
    initializers: { w: floats([12, 8, 3, 2]), b: floats([8], 3) },
  },
  'Conv 1x1': {
    nodes: [node('Conv', ['x', 'w', 'b'], ['y'])],
    input: [2, 32, 4, 4],
    initializers: { w: floats([16, 32, 1, 1]), b: floats([16], 3) },
  },
  'Conv behind Identity': {
    nodes: [node('Identity', ['w'], ['v']), node('Conv', ['x', 'v'], ['y'])],
    input: [1, 8, 5, 5],
    initializers: { w: floats([16, 8, 3, 3]) },
  },
};
const pairs: Record<string, { weight: Kind; input?: Kind; limit?: number; ops?: string; ort?: string }> = {
  'int8 static': {
    weight: { format: 'int8', grain: channel },
    input: { format: 'uint8', grain: tensor },
    limit: 2e-3,
    ops: 'DequantizeLinear',
    ort: 'ConvInteger',
  },
  'int8 dynamic': {
    weight: { format: 'int8', grain: channel },
    input: { format: 'uint8', grain: tensor, mode: 'dynamic' },
    ops: 'ConvInteger',
  },
  'int8 by sample': {
    weight: { format: 'int8', grain: channel },
    input: { format: 'int8', grain: token, mode: 'dynamic' },
    ops: 'ConvInteger',
  },
  'uint8 weight dynamic': { weight: { format: 'uint8', grain: channel }, input: { format: 'int8', grain: tensor, mode: 'dynamic' } },
  'int4 weight': { weight: { format: 'int4', grain: channel } },
  'int4 weight dynamic': {
    weight: { format: 'int4', grain: channel },
    input: { format: 'uint8', grain: tensor, mode: 'dynamic' },
    ops: 'ConvInteger',
  },
  'fp8 static': { weight: { format: 'fp8', grain: channel }, input: { format: 'fp8', grain: tensor } },
};
for (const [form, parts] of Object.entries(convs))
  for (const [name, { weight, input, limit, ops: portable, ort = portable }] of Object.entries(pairs))
    test(`${form}, ${name}`, async () => {
      const s = quantized(modelOf(parts), weight, input);
      assert.is(s.weights.length, 1);
      for (const target of ['portable', 'ort']) {
        const { relative, ops } = await difference(host, target, s, [feed(parts.input as number[])]);
        assert.ok(relative < (limit ?? 1e-5), `${target}: ${relative} (${ops.join(' ')})`);
        const wanted = target === 'ort' ? ort : portable;
        if (wanted && form !== 'ConvTranspose') assert.ok(ops.includes(wanted), `${target}: ${ops.join(' ')}`);
      }
    });

test('a convolution between static codes is left to be fused', async () => {
  const parts: Parts = {
    nodes: [node('Conv', ['x', 'w', 'b'], ['h'], { pads: [1, 1, 1, 1] }), node('Relu', ['h'], ['r']), node('Conv', ['r', 'v'], ['y'])],
    input: [1, 8, 6, 6],
    initializers: { w: floats([16, 8, 3, 3], 1, 0.2), b: floats([16], 3), v: floats([4, 16, 3, 3], 5, 0.2) },
  };
  const s = quantized(modelOf(parts), { format: 'int8', grain: channel }, { format: 'uint8', grain: tensor }, { r: [0, 6] });
  const { model } = await lowerTo('ort', s);
  assert.equal(
    model.graph.nodes.map((n) => n.op).filter((op) => op.startsWith('Conv')),
    ['Conv', 'ConvInteger'],
  );
  for (const target of ['portable', 'ort']) assert.ok((await difference(host, target, s, [feed([1, 8, 6, 6])])).relative < 1e-2, target);
});

test('what a kernel is rounded to is near to it', async () => {
  for (const [form, parts] of Object.entries(convs)) {
    const model = modelOf(parts);
    const s = quantized(model, { format: 'int8', grain: channel });
    const [d] = await compareOutputs(host, model, simulate(s), '.', [feed(parts.input as number[])]);
    assert.ok(d!.relative < 0.01 && d!.relative > 1e-5, `${form}: ${d!.relative}`);
  }
});

test('groups that lie across the axes of a kernel', async () => {
  for (const form of ['Conv 3x3', 'ConvTranspose']) {
    const s = quantized(modelOf(convs[form]!), { format: 'int4', grain: group(24) });
    for (const target of ['portable', 'ort'])
      assert.ok((await difference(host, target, s, [feed(convs[form]!.input as number[])])).relative < 1e-6, `${form} ${target}`);
  }
});

test('the source model stays as it was', async () => {
  const model = modelOf(convs['Conv 3x3']!);
  const before = JSON.stringify([
    model.graph.nodes.map((n) => [n.op, n.inputs, n.outputs]),
    [...model.graph.initializers.keys()],
    [...model.opsets],
  ]);
  await lowerTo('portable', quantized(model, { format: 'int4', grain: channel }, { format: 'uint8', grain: tensor }));
  const after = JSON.stringify([
    model.graph.nodes.map((n) => [n.op, n.inputs, n.outputs]),
    [...model.graph.initializers.keys()],
    [...model.opsets],
  ]);
  assert.is(after, before);
});

test.after(() => host.close());
test.run();
