// Target native on stock ONNX Runtime: reference bodies compute what was simulated; what has no operator is expressed without.
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { nodeHost } from '../../compiler/node/host.ts';
import { difference, feed, lowerTo, modelOf, quantized } from '../targets/build.ts';
import { expected, forms, inputs, weights } from './forms.ts';

const host = await nodeHost();

for (const [form, parts] of Object.entries(forms))
  test(form, async () => {
    for (const [weight, w] of Object.entries(weights))
      for (const [input, x] of Object.entries(inputs)) {
        const s = quantized(modelOf(parts), w, x);
        const { relative, ops } = await difference(host, 'native', s, [feed(parts.input as number[])]);
        assert.ok(ops.includes(expected(weight, input)), `${weight}, ${input}: ${ops.join(' ')}`);
        assert.ok(relative < 2e-6, `${weight}, ${input}: ${relative}`);
      }
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
    { format: 'fp8', grain: { per: 'channel' } },
    { format: 'int2', grain: { per: 'group', group: 16 } },
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
