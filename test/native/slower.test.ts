// `qc explain --measure`: times of nodes become times of parts, the slower ones first, with what helps.
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { numbered, partsOf, remedyOf, timesOf } from '../../compiler/driver/slower.ts';
import { node } from '../../compiler/lower/make.ts';
import type { Site } from '../../compiler/sites.ts';
import { qc, scratch } from '../cli/qc.ts';
import { floats, modelOf } from '../targets/build.ts';

const w = floats([8, 8]);
const float = modelOf({
  nodes: [node('MatMul', ['x', 'w'], ['a']), node('Relu', ['a'], ['r']), node('MatMul', ['r', 'w'], ['y'])],
  input: [2, 8],
  initializers: { w },
});
const quantized = modelOf({
  nodes: [
    node('Abs', ['x'], ['x1']),
    node('MatMul', ['x1', 'w'], ['x2']),
    node('Mul', ['x2', 'w'], ['a']),
    node('Relu', ['a'], ['r']),
    node('MatMul', ['r', 'w'], ['y']),
  ],
  input: [2, 8],
  initializers: { w },
});
const site = (path: string, role: string, value: string) =>
  ({ id: path, path, role, graph: '', ports: { output: { name: 'output', kind: 'activation', value, axes: {} } } }) as unknown as Site;
const sites = [site('first', 'linear', 'a'), site('block', 'mlp', 'a'), site('last', 'linear', 'y')];

test('events are medians over runs, told apart behind fusions', () => {
  assert.equal(
    numbered(float).graph.nodes.map((n) => n.name),
    ['qc0.', 'qc1.', 'qc2.'],
  );
  const times = timesOf(
    [9, 5, 7].flatMap((us) => [
      { name: 'qc1._kernel_time', op: 'MatMul', us },
      { name: 'qc12./MatMulAddFusion_kernel_time', op: 'Gemm', us: 2 * us },
      { name: 'Cast_kernel_time', op: 'Cast', us: 1 },
    ]),
    3,
  );
  assert.equal(
    [...times].map(([at, ops]) => [at, [...ops]]),
    [
      [1, [['MatMul', 7]]],
      [12, [['Gemm', 14]]],
      [-1, [['Cast', 1]]],
    ],
  );
});

test('parts between sites, the worst first', () => {
  const ops = (...us: [string, number][]) => new Map(us.map(([op, t], i) => [i, new Map([[op, t]])]));
  const parts = partsOf(
    { model: float, times: ops(['MatMul', 10], ['Relu', 1], ['MatMul', 10]) },
    { model: quantized, times: ops(['Abs', 30], ['MatMulInteger', 8], ['Mul', 4], ['Relu', 1], ['MatMulNBits', 6]) },
    sites,
  );
  assert.equal(
    parts.map((p) => [p.name, p.role, p.float, p.quantized]),
    [
      ['first', 'linear', 10, 42],
      ['last', 'linear', 11, 7],
    ],
  );
  assert.is(parts[0]!.ops[0]![0], 'Abs');
  assert.match(remedyOf(parts[0]!), /elementary operators/);
  assert.match(remedyOf(parts[1]!), /four-bit/);
  assert.match(remedyOf({ ...parts[0]!, ops: [['Odd', 1]] }), /leave this layer in float/);
});

test('a model beside itself through the command line', async () => {
  const path = 'test/models/mlp-conv/model.onnx';
  const r = await qc(['explain', path, '--measure', path, '--threads', '1', '--json'], { cwd: process.cwd() });
  assert.is(r.status, 0, r.err);
  const found = JSON.parse(r.out);
  assert.ok(found.float > 0 && found.quantized > 0);
  assert.ok(found.parts.some((p: { role?: string }) => p.role === 'conv'));
  const none = await qc(['explain', path, '--measure', `${scratch()}/none.onnx`]);
  assert.is(none.status, 2);
});
test.run();
