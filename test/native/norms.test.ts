// Norms whose readers want codes emit them, once for all: the numbers are those of the simulated model, by bodies and by kernels.
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { Model, Node } from '../../compiler/graph/types.ts';
import { float32s, int64s, node } from '../../compiler/lower/make.ts';
import { simulate } from '../../compiler/simulate/simulate.ts';
import { active } from '../../runtime/index.ts';
import { floats, type Kind, lowerTo, modelOf, quantized } from '../targets/build.ts';
import { operators, prover, relative, stock, x } from './proved.ts';

const { folder, run, close } = await prover();

const variance = (of: string): Node[] => [
  node('Pow', [of, 'two'], ['sq']),
  node('ReduceMean', ['sq', 'axes'], ['ms']),
  node('Add', ['ms', 'eps'], ['me']),
  node('Sqrt', ['me'], ['rt']),
];
/** Each norm of "h" as "n". */
const norms: Record<string, readonly Node[]> = {
  RmsNorm: [...variance('h'), node('Div', ['h', 'rt'], ['w']), node('Mul', ['gain', 'w'], ['n'])],
  LayerNorm: [
    node('ReduceMean', ['h', 'axes'], ['m']),
    node('Sub', ['h', 'm'], ['c']),
    ...variance('c'),
    node('Div', ['c', 'rt'], ['w']),
    node('Mul', ['w', 'gain'], ['g']),
    node('Add', ['g', 'shift'], ['n']),
  ],
  LayerNormalization: [node('LayerNormalization', ['h', 'gain', 'shift'], ['n'], { axis: -1, epsilon: { float: 1e-5 } })],
};

/** Two products of a norm; with a residual, which is read again behind them. */
function model(norm: string, add: boolean): Model {
  const nodes = [
    ...(add ? [node('Relu', ['x'], ['r']), node('Add', ['x', 'r'], ['h'])] : [node('Identity', ['x'], ['h'])]),
    ...norms[norm]!,
    node('MatMul', ['n', 'a'], ['ya']),
    node('MatMul', ['n', 'b'], ['yb']),
    node('Concat', [...(add ? ['h'] : []), 'ya', 'yb'], ['y'], { axis: -1 }),
  ];
  const initializers = {
    gain: floats([48], 3),
    shift: floats([48], 4),
    axes: int64s([-1]),
    two: float32s([2], []),
    eps: float32s([1e-5], []),
    a: floats([48, 40], 1),
    b: floats([48, 33], 2),
  };
  return modelOf({ nodes, input: [2, 's', 48], opset: 18, initializers });
}

const weight: Kind = { format: 'int8', grain: { per: 'channel' } };
const token = (format: string): Kind => ({ format, grain: { per: 'token' }, mode: 'dynamic' });
const fixed = (format: string): Kind => ({ format, grain: { per: 'tensor' }, mode: 'static' });
const kinds: Record<string, readonly [kind: Kind, suffix: string]> = {
  'int8 by row': [token('int8'), 'Quantize'],
  'int4 by row': [token('int4'), 'Quantize'],
  'int8 static': [fixed('int8'), 'QuantizeStatic'],
  'int4 static': [fixed('int4'), 'QuantizeStatic'],
  'uint8 static': [fixed('uint8'), 'QuantizeStatic'],
};
for (const [kind, [input, suffix]] of Object.entries(kinds))
  test(kind, async () => {
    for (const norm of Object.keys(norms))
      for (const add of [false, true]) {
        const s = quantized(model(norm, add), weight, input);
        const want = (await run(simulate(s), folder, x(2, 3, 48), stock))['y']!;
        const { model: lowered } = await lowerTo('native', s);
        const name = `${add ? 'Add' : ''}${norm === 'RmsNorm' ? 'Rms' : 'Layer'}Norm${suffix}`;
        assert.ok(operators(lowered).includes(name), `${name}: ${operators(lowered).join(' ')}`);
        assert.not.ok(operators(lowered).some((op) => op.startsWith('QuantizeRows') || op === 'QuantizeLinear'));
        for (const options of active ? [stock, {}] : [stock]) {
          const r = relative(want, (await run(lowered, folder, x(2, 3, 48), options))['y']!);
          assert.ok(r < 2e-6, `${name} by ${options === stock ? 'bodies' : 'kernels'}: ${r}`);
        }
      }
  });

test('a norm that somebody reads in floats too keeps them', async () => {
  const source = model('RmsNorm', false);
  const read = {
    ...source,
    graph: { ...source.graph, nodes: source.graph.nodes.map((n) => (n.op === 'Concat' ? { ...n, inputs: ['n', ...n.inputs] } : n)) },
  };
  const { model: lowered } = await lowerTo('native', quantized(read, weight, token('int8')));
  assert.ok(operators(lowered).includes('RmsNorm') && operators(lowered).includes('QuantizeRows'), operators(lowered).join(' '));
});

if (!active) console.log('skipped: the native addon is not built');
else
  test('what does not fit is an error that names the operator', async () => {
    const { model: good } = await lowerTo('native', quantized(model('LayerNormalization', true), weight, fixed('int4')));
    const at = good.graph.nodes.find((n) => n.op === 'AddLayerNormQuantizeStatic')!;
    const changed = (change: Partial<Node>): Model => ({
      ...good,
      graph: { ...good.graph, nodes: good.graph.nodes.map((n) => (n === at ? { ...n, ...change } : n)) },
    });
    const attr = (name: string, value: number) => changed({ attrs: new Map([...at.attrs, [name, { type: 'float', value } as const]]) });
    const input = (i: number, value: string) => changed({ inputs: at.inputs.map((v, j) => (j === i ? value : v)) });
    const bad: [Model, RegExp][] = [
      [attr('eps', -1), /AddLayerNormQuantizeStatic: eps is -1/],
      [attr('lo', 9), /AddLayerNormQuantizeStatic: codes from 9 to 7 around 0 are no signed bytes/],
      [attr('hi', 0.5), /AddLayerNormQuantizeStatic: codes from/],
      [attr('zero', 1e9), /AddLayerNormQuantizeStatic: codes from/],
      [input(1, 'gain'), /AddLayerNormQuantizeStatic: x and residual have the shapes \[2, 3, 48\] and \[48\]/],
      [input(4, 'gain'), /AddLayerNormQuantizeStatic: the step is \[.*\], not one positive number/],
      [input(3, at.inputs[4]!), /AddLayerNormQuantizeStatic: the bias has 1 values, not 48/],
      [input(2, at.inputs[4]!), /AddLayerNormQuantizeStatic: x has the shape \[2, 3, 48\], its last size is not that of gain, 1/],
    ];
    for (const [broken, says] of bad)
      assert.match(
        await run(broken, folder, x(2, 3, 48)).then(
          () => '',
          (e: Error) => e.message,
        ),
        says,
      );
  });

test.after(close);
test.run();
