// What stands between quantized layers as one operator: GELU and norms that emit codes, of split channels too; rows rounded and read as floats;
// cached features that are corrected. By bodies and by kernels.
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { Model, Node } from '../../compiler/graph/types.ts';
import { float32s, int64s, node, numbers } from '../../compiler/lower/make.ts';
import { fuse } from '../../compiler/lower/native/fuse.ts';
import { simulate } from '../../compiler/simulate/simulate.ts';
import { active } from '../../runtime/index.ts';
import { floats, lowerTo, modelOf, type Parts, quantized } from '../targets/build.ts';
import { operators, prover, relative, stock, x } from './proved.ts';

const { folder, run, proved, close } = await prover();

const erf = [
  node('Div', ['x', 'r'], ['d']),
  node('Erf', ['d'], ['e']),
  node('Add', ['e', 'one'], ['f']),
  node('Mul', ['x', 'f'], ['g']),
  node('Mul', ['g', 'half'], ['h']),
];
const tanh = [
  node('Pow', ['x', 'three'], ['c']),
  node('Mul', ['c', 'k'], ['d']),
  node('Add', ['x', 'd'], ['e']),
  node('Mul', ['e', 's'], ['f']),
  node('Tanh', ['f'], ['t']),
  node('Add', ['t', 'one'], ['u']),
  node('Mul', ['x', 'half'], ['g']),
  node('Mul', ['g', 'u'], ['h']),
];
const scalars = { r: Math.SQRT2, one: 1, half: 0.5, three: 3, k: 0.044715, s: Math.sqrt(2 / Math.PI) };
const constants: Parts['initializers'] = {
  ...Object.fromEntries(Object.entries(scalars).map(([name, v]) => [name, float32s([v], [])])),
  step: float32s([0.02], []),
  zero: numbers('int8', [], [-7]),
};
const rounded = (from: string): Node[] => [
  node('QuantizeLinear', [from, 'step', 'zero'], ['q']),
  node('DequantizeLinear', ['q', 'step', 'zero'], ['y']),
];

for (const [name, nodes] of [
  ['Gelu', erf],
  ['GeluTanh', tanh],
] as const) {
  test(`${name} under a step`, async () => {
    const model = modelOf({ nodes: [...nodes, ...rounded('h')], input: [2, 's', 65], initializers: constants });
    assert.equal(operators(await proved(model, [x(2, 3, 65)])), [`${name}QuantizeStatic`, 'DequantizeLinear']);
  });

  test(`${name} by the row, before a layer that rounds its rows`, async () => {
    const int8 = { format: 'int8', grain: { per: 'token' }, mode: 'dynamic' } as const;
    const parts = {
      nodes: [...nodes, node('MatMul', ['h', 'w'], ['y'])],
      input: [5, 64],
      initializers: { ...constants, w: floats([64, 40]) },
    };
    const s = quantized(modelOf(parts), { format: 'int4', grain: { per: 'group', group: 32 } }, int8);
    const { model } = await lowerTo('native', s);
    assert.equal(operators(model), [`${name}Quantize`, 'LinearW4C8']);
    const want = (await run(simulate(s), folder, x(5, 64), stock))['y']!;
    for (const options of active ? [stock, {}] : [stock]) {
      // A code at a tie may fall to the other side.
      const r = relative(want, (await run(model, folder, x(5, 64), options))['y']!);
      assert.ok(r < 2e-3, String(r));
    }
  });
}

test('a GELU whose result is read as floats stays', () => {
  const read = modelOf({ nodes: [...erf, node('Relu', ['h'], ['y'])], input: [2, 64], initializers: constants });
  assert.is(fuse(read), read);
});

/** A norm, channels picked from it, codes under a step. */
function split(layer: boolean, add: boolean): Model {
  const from = add ? 'sum' : 'x';
  const centred = layer ? [node('ReduceMean', [from, 'axes'], ['m']), node('Sub', [from, 'm'], ['c'])] : [];
  const c = layer ? 'c' : from;
  const n = [
    ...(add ? [node('Mul', ['x', 'half'], ['other']), node('Add', ['x', 'other'], ['sum'])] : []),
    ...centred,
    node('Mul', [c, c], ['sq']),
    node('ReduceMean', ['sq', 'axes'], ['ms']),
    node('Add', ['ms', 'eps'], ['me']),
    node('Sqrt', ['me'], ['rt']),
    node('Div', [c, 'rt'], ['d']),
    node('Mul', ['d', 'gain'], [layer ? 'g' : 'h']),
    ...(layer ? [node('Add', ['g', 'bias'], ['h'])] : []),
    node('Gather', ['h', 'channels'], ['p'], { axis: 2 }),
    ...rounded('p'),
    ...(add ? [node('Relu', ['sum'], ['seen'])] : []),
  ];
  const channels = Array.from({ length: 48 }, (_, k) => Array(1 + (k % 5 === 0 ? 3 : 0)).fill(k)).flat();
  const model = modelOf({
    nodes: n,
    input: [2, 's', 48],
    opset: 18,
    initializers: {
      ...constants,
      gain: floats([48], 3),
      bias: floats([48], 4),
      axes: int64s([-1]),
      eps: float32s([1e-5], []),
      channels: int64s(channels),
    },
  });
  return add ? { ...model, graph: { ...model.graph, outputs: [...model.graph.outputs, { name: 'seen', dtype: 'float32' }] } } : model;
}

test('norms emit the codes of split channels', async () => {
  for (const layer of [false, true])
    for (const add of [false, true]) {
      const fused = await proved(split(layer, add), [x(2, 1, 48), x(2, 5, 48)]);
      const name = `${add ? 'Add' : ''}${layer ? 'Layer' : 'Rms'}NormQuantizeStaticSplit`;
      assert.equal(operators(fused).sort(), [...(add ? ['Mul', 'Relu'] : []), 'DequantizeLinear', name].sort());
    }
  // Channels that are only moved over another axis stay outside.
  const other = split(false, false);
  for (const n of other.graph.nodes) if (n.op === 'Gather') n.attrs.set('axis', { type: 'int', value: 1 });
  assert.ok(operators(fuse(other)).includes('Gather'));
});

test('rows that are rounded and read as floats', async () => {
  for (const [format, symmetric, name] of [
    ['int8', true, 'QuantizeRows'],
    ['int4', true, 'QuantizeRows'],
    ['int4', false, 'QuantizeRowsAsymmetric'],
  ] as const) {
    const parts = { nodes: [node('MatMul', ['x', 'w'], ['y'])], input: [2, 3, 64], initializers: { w: floats([64, 48]) } };
    const s = quantized(
      modelOf(parts),
      { format: 'fp8', grain: { per: 'channel' } },
      { format, symmetric, grain: { per: 'token' }, mode: 'dynamic' },
    );
    const { model } = await lowerTo('native', s);
    assert.equal(
      operators(model).filter((op) => op.includes('Rows')),
      [name, 'DequantizeRows'],
      operators(model).join(' '),
    );
    const want = (await run(simulate(s), folder, x(2, 3, 64), stock))['y']!;
    for (const options of active ? [stock, {}] : [stock]) {
      const r = relative(want, (await run(model, folder, x(2, 3, 64), options))['y']!);
      assert.ok(r < 2e-6, `${format} ${symmetric}: ${r}`);
    }
  }
});

test('CachedAffine', async () => {
  const tables = {
    a: floats([9, 6], 1),
    b: floats([9, 6], 2),
    i: int64s([2, 3]),
    last: int64s([1]),
    t: int64s([4], []),
    ts: int64s([1, 8]),
  };
  const corrected = (shape: number[], step: 't' | 'ts', axes: string | undefined) => {
    const row = (name: string) => [
      node('Gather', [name, step], [`${name}r`]),
      ...(axes ? [node('Unsqueeze', [`${name}r`, axes], [`${name}u`])] : []),
    ];
    const end = axes ? 'u' : 'r';
    const nodes = [...row('a'), ...row('b'), node('Mul', [`a${end}`, 'x'], ['p']), node('Add', ['p', `b${end}`], ['y'])];
    return modelOf({ nodes, input: shape, initializers: tables });
  };
  for (const [shape, step, axes] of [
    [[2, 6, 4, 5], 'ts', 'i'],
    [[2, 5, 6], 't', undefined],
    [[2, 6], 'ts', undefined],
    [[2, 5, 6], 'ts', 'last'],
  ] as const) {
    const fused = await proved(corrected([...shape], step, axes), [x(...shape)]);
    assert.equal(operators(fused), ['CachedAffine'], shape.join());
  }
  const first = corrected([6, 6], 't', undefined);
  assert.equal(operators(fuse(first)), ['CachedAffine']);
  const alone = corrected([6], 't', undefined);
  assert.is(fuse(alone), alone, 'channels on the first axis');
});

test.after(close);
test.run();
