// Target native on stock ONNX Runtime: reference bodies compute what was simulated; what has no operator is expressed without.
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { nodeHost } from '../../compiler/node/host.ts';
import { difference, feed, lowerTo, modelOf, quantized } from '../targets/build.ts';
import { branchless, expected, finished, forms, inputs, pairs, weights } from './forms.ts';

const host = await nodeHost();

for (const [form, parts] of Object.entries(forms))
  test(form, async () => {
    for (const [weight, input] of pairs(form)) {
      const s = quantized(modelOf(parts), weights[weight], inputs[input]);
      const { relative, ops } = await difference(host, 'native', s, [feed(parts.input as number[])]);
      assert.ok(ops.includes(expected(weight, input)), `${weight}, ${input}: ${ops.join(' ')}`);
      assert.ok(relative < 2e-6, `${weight}, ${input}: ${relative}`);
    }
  });

for (const [what, { parts, suffix }] of Object.entries(finished))
  test(`${what} is taken in`, async () => {
    for (const input of Object.keys(inputs)) {
      const weighted = branchless(quantized(modelOf(parts), weights['int4 group 32'], inputs[input]));
      const { relative } = await difference(host, 'native', weighted, [feed(parts.input as number[])]);
      assert.ok(relative < 2e-6, `${input}: ${relative}`);
      const { model } = await lowerTo('native', weighted);
      // Only operators that read codes are gated.
      const name = expected('int4 group 32', input) + (/ static|int6|zero points/.test(input) || suffix === '' ? suffix : '');
      const found = model.graph.nodes.map((n) => n.op);
      // Rows that two layers read are rounded once, and both take codes.
      const names = [name, name.replace('A8', 'C8')];
      assert.ok(
        found.some((op) => names.includes(op)),
        `${input}: ${found.join(' ')}`,
      );
      assert.not.ok(found.includes('Add'), found.join(' '));
    }
  });

test('rounding behind a linear layer is taken in, and what others read stays', async () => {
  const { node } = await import('../../compiler/lower/make.ts');
  const { floats } = await import('../targets/build.ts');
  const initializers = { a: floats([64, 48], 1, 0.1), b: floats([48, 32], 2, 0.1) };
  const two = modelOf({ nodes: [node('MatMul', ['x', 'a'], ['h']), node('MatMul', ['h', 'b'], ['y'])], input: [5, 64], initializers });
  const s = quantized(two, weights['int8 channel'], inputs['int8 static'], { h: [-3, 3] });
  const { relative } = await difference(host, 'native', s, [feed([5, 64])]);
  assert.ok(relative < 0.02, String(relative));
  const ops = (m: { graph: { nodes: readonly { op: string }[] } }) => m.graph.nodes.map((n) => n.op);
  assert.equal(ops((await lowerTo('native', s)).model), ['QuantizeLinear', 'LinearW8C8Codes', 'LinearW8C8']);
  const read = modelOf({
    nodes: [
      node('MatMul', ['x', 'a'], ['h']),
      node('Relu', ['h'], ['r']),
      node('MatMul', ['h', 'b'], ['z']),
      node('ReduceSum', ['r'], ['t']),
      node('Add', ['z', 't'], ['y']),
    ],
    input: [5, 64],
    initializers,
  });
  const kept = (await lowerTo('native', quantized(read, weights['int8 channel'], inputs['int8 static'], { h: [-3, 3] }))).model;
  assert.equal(ops(kept).sort(), ['Add', 'LinearW8C8', 'LinearW8C8', 'QuantizeLinear', 'QuantizeLinear', 'ReduceSum', 'Relu']);
});

test('operator set 18 and later', async () => {
  const s = quantized(modelOf({ ...forms['MatMul']!, opset: 21 }), weights['int4 group 32'], inputs['int8 per token']);
  const { relative, ops } = await difference(host, 'native', s, [feed([2, 3, 64])]);
  assert.equal(ops, ['LinearW4A8']);
  assert.ok(relative < 2e-6, String(relative));
});

test('one body for all nodes of an operator; the domain is imported', async () => {
  const { node } = await import('../../compiler/lower/make.ts');
  const { floats } = await import('../targets/build.ts');
  const two = modelOf({
    nodes: [node('MatMul', ['x', 'a'], ['h']), node('MatMul', ['h', 'b'], ['y'])],
    input: [2, 64],
    initializers: { a: floats([64, 64]), b: floats([64, 32], 2) },
  });
  const { model } = await lowerTo('native', quantized(two, weights['int4 group 32']));
  assert.equal(
    model.functions.map((f) => `${f.domain}.${f.name}`),
    ['qc.v1.LinearW4'],
  );
  assert.is(model.opsets.get('qc.v1'), 1);
  assert.is(model.graph.nodes.filter((n) => n.domain === 'qc.v1').length, 2);
});

test('types without an operator are expressed by standard operators', async () => {
  for (const kind of [
    { format: 'fp8', grain: { per: 'tensor' } },
    { format: 'int8', grain: { per: 'tensor' } },
  ] as const) {
    const { relative, ops } = await difference(host, 'native', quantized(modelOf(forms['MatMul']!), kind), [feed([2, 3, 64])]);
    assert.not.ok(
      ops.some((op) => op.startsWith('Linear')),
      ops.join(' '),
    );
    assert.ok(relative < 2e-6, String(relative));
  }
});

test.after(() => host.close());
test.run();
