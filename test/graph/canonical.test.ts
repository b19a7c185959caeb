import { join } from 'node:path';
import { InferenceSession, Tensor as OrtTensor } from 'onnxruntime-node';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { Crunch } from '../../compiler/crunch.ts';
import { openTensors } from '../../compiler/graph/bytes.ts';
import { canonicalize } from '../../compiler/graph/canonical.ts';
import { inlineFunctions } from '../../compiler/graph/functions.ts';
import { breaches } from '../../compiler/graph/legality.ts';
import { loadModel, loadModelFromBytes } from '../../compiler/graph/load.ts';
import { printModel } from '../../compiler/graph/print.ts';
import type { Message } from '../../compiler/graph/proto.ts';
import type { Model } from '../../compiler/graph/types.ts';
import { allGraphs } from '../../compiler/graph/walk.ts';
import { encodeModel } from '../../compiler/graph/write.ts';
import { files } from './host.ts';
import { bytesOf, float, model, node, value } from './memory.ts';

/** Lazy tensors of this area need no crunch. */
const host = { ...files, crunch: { kind: 'wasm' } as Crunch };

async function run(m: Model, dir: string, feeds: Record<string, OrtTensor>): Promise<Float32Array> {
  const reader = openTensors(host, dir);
  const session = await InferenceSession.create(await encodeModel(m, reader, (t) => reader.bytes(t)));
  await reader.close();
  const out = await session.run(feeds);
  return out[session.outputNames[0]!]!.data as Float32Array;
}

const wave = (n: number): Float32Array => Float32Array.from({ length: n }, (_, i) => Math.sin(i * 0.7) + 0.1);

test('BatchNormalization is folded into the convolutions, and the model says the same', async () => {
  const path = join(import.meta.dirname, '../models/mlp-conv/model.onnx');
  const { model: source, dir } = await loadModel(files, path);
  const before = printModel(source);
  const m = canonicalize(source);
  assert.is(printModel(source), before, 'the source is untouched');
  const ops = m.graph.nodes.map((n) => n.op);
  assert.not.ok(ops.includes('BatchNormalization') || ops.includes('Identity'));
  assert.ok(m.graph.initializers.has('l1.conv1.weight') && m.graph.initializers.has('l1.conv1.bias'));
  assert.equal(breaches(m, 'float'), []);
  const image = new OrtTensor('float32', wave(2 * 256), [2, 1, 16, 16]);
  const [a, b] = [await run(source, dir, { image }), await run(m, dir, { image })];
  const error = Math.max(...a.map((v, i) => Math.abs(v - b[i]!)));
  assert.ok(error < 1e-5 * Math.max(...a.map(Math.abs)), `largest difference ${error}`);
  assert.ok(error > 0, 'folding rounds differently; the same bits would mean that nothing was compared');
});

/** y = twice(x) + k, through a function with an attribute, a subgraph and a nested call. */
const withFunctions = (): Message<'Model'> =>
  model(
    {
      input: [value('x', 2)],
      output: [value('y', 2)],
      node: [
        node('affine', ['x'], ['h'], { name: 'first', domain: 'local', attribute: [{ name: 'k', type: 1, f: 3 }] }),
        node('affine', ['h'], ['y'], { name: 'second', domain: 'local' }),
      ],
    },
    {
      ir_version: 9,
      opset_import: [
        { domain: '', version: 17 },
        { domain: 'local', version: 1 },
      ],
      functions: [
        {
          name: 'twice',
          domain: 'local',
          input: ['v'],
          output: ['w'],
          node: [node('Add', ['v', 'v'], ['w'], { name: 'add' })],
          opset_import: [{ domain: '', version: 17 }],
        },
        {
          name: 'affine',
          domain: 'local',
          input: ['v'],
          output: ['out'],
          attribute_proto: [{ name: 'k', type: 1, f: 0.5 }],
          node: [
            node('twice', ['v'], ['t'], { name: 'call', domain: 'local' }),
            node('Constant', [], ['c'], { name: 'c', attribute: [{ name: 'value_float', type: 1, ref_attr_name: 'k' }] }),
            node('Constant', [], ['yes'], {
              attribute: [{ name: 'value', type: 4, t: { data_type: 9, dims: [], raw_data: Uint8Array.of(1) } }],
            }),
            node('If', ['yes'], ['out'], {
              name: 'if',
              attribute: [
                { name: 'then_branch', type: 5, g: { name: 't', node: [node('Add', ['t', 'c'], ['s'])], output: [value('s', 2)] } },
                { name: 'else_branch', type: 5, g: { name: 'e', node: [node('Neg', ['v'], ['s2'])], output: [value('s2', 2)] } },
              ],
            }),
          ],
          opset_import: [
            { domain: '', version: 17 },
            { domain: 'local', version: 1 },
          ],
        },
      ],
    },
  );

test('functions are inlined: attributes, defaults, subgraphs and nested calls', async () => {
  const source = await loadModelFromBytes(bytesOf(withFunctions()));
  const m = inlineFunctions(source);
  assert.is(m.functions.length, 0);
  assert.equal(breaches(m, 'float'), []);
  assert.equal(
    m.graph.nodes.map((n) => n.name).filter((n) => n !== '' && !n.endsWith('Constant')),
    ['first/call/add', 'first/c', 'first/if', 'second/call/add', 'second/c', 'second/if'],
  );
  const x = new OrtTensor('float32', Float32Array.of(1, -2), [2]);
  // 2·(2x + 3) + 0.5
  assert.equal([...(await run(m, '.', { x }))], [10.5, -1.5]);
  assert.equal([...(await run(source, '.', { x }))], [10.5, -1.5]);
});

test('a function for another version of the operator set stays a call', async () => {
  const proto = withFunctions();
  for (const f of proto.functions!) f.opset_import = [{ domain: '', version: 13 }];
  const m = inlineFunctions(await loadModelFromBytes(bytesOf(proto)));
  assert.is(m.functions.length, 2);
  assert.is(m.graph.nodes.length, 2);
});

test('Dropout goes only where it does nothing', async () => {
  const flag = (name: string, on: number) => ({ name, data_type: 9, dims: [], raw_data: Uint8Array.of(on) });
  const ratio = { name: 'r', data_type: float, dims: [], raw_data: new Uint8Array(Float32Array.of(0.5).buffer) };
  const ops = async (nodes: Message<'Node'>[]): Promise<string[]> => {
    const m = await loadModelFromBytes(bytesOf(model({ initializer: [flag('on', 1), flag('off', 0), ratio], node: nodes })));
    return canonicalize(m).graph.nodes.map((n) => n.op);
  };
  assert.equal(await ops([node('Dropout', ['x'], ['d']), node('Relu', ['d'], ['y'])]), ['Relu']);
  assert.equal(await ops([node('Dropout', ['x', 'r', 'off'], ['d']), node('Relu', ['d'], ['y'])]), ['Relu']);
  assert.equal(await ops([node('Dropout', ['x', 'r', 'on'], ['d']), node('Relu', ['d'], ['y'])]), ['Dropout', 'Relu']);
  assert.equal(await ops([node('Dropout', ['x'], ['d', 'm']), node('Where', ['m', 'd', 'x'], ['y'])]), ['Dropout', 'Where']);
  assert.equal(await ops([node('Relu', ['x'], ['d']), node('Dropout', ['d'], ['y'])]), ['Relu', 'Dropout']);
});

test('inputs with a default value become constants', async () => {
  const w = { name: 'w', data_type: float, dims: [1], raw_data: new Uint8Array(4) };
  const m = await loadModelFromBytes(
    bytesOf(model({ input: [value('x', 2), value('w', 1)], initializer: [w], node: [node('Add', ['x', 'w'], ['y'])] }, { ir_version: 3 })),
  );
  const c = canonicalize(m);
  assert.equal([m.irVersion, c.irVersion, c.graph.inputs.map((v) => v.name)], [3, 4, ['x']]);
});

test('copies of copies, read in a branch and given out by it', async () => {
  const branch = (name: string, output: string): Message<'Graph'> => ({
    name,
    node: output === 'c' ? [] : [node('Neg', ['c'], [output])],
    output: [value(output, 2)],
  });
  const yes = { name: 'yes', data_type: 9, dims: [], raw_data: Uint8Array.of(1) };
  const m = canonicalize(
    await loadModelFromBytes(
      bytesOf(
        model({
          initializer: [yes],
          node: [
            node('Exp', ['x'], ['a']),
            node('Identity', ['a'], ['b']),
            node('Identity', ['b'], ['c']),
            node('If', ['yes'], ['y'], {
              attribute: [
                { name: 'then_branch', type: 5, g: branch('t', 'c') },
                { name: 'else_branch', type: 5, g: branch('e', 'n') },
              ],
            }),
          ],
        }),
      ),
    ),
  );
  assert.equal(breaches(m, 'float'), []);
  assert.equal(
    [...allGraphs(m.graph)].map((g) => [g.nodes.map((n) => `${n.op}(${n.inputs})`).join(' '), g.outputs[0]!.name]),
    [
      ['Exp(x) If(yes)', 'y'],
      ['', 'a'],
      ['Neg(a)', 'n'],
    ],
  );
});

test('the text of a graph', async () => {
  const m = await loadModelFromBytes(bytesOf(withFunctions()));
  assert.is(
    printModel(m),
    `model ir 9, opset onnx 17, local 1
graph g
  input x: float32[2]
  h: ?[…] = local::affine(x) {k: 3}  # first
  y: float32[2] = local::affine(h)  # second
  output y: float32[2]
function local::twice(v) → w
  w: ?[…] = Add(v, v)  # add
function local::affine(v) {k = 0.5} → out
  t: ?[…] = local::twice(v)  # call
  c: ?[…] = Constant() {value_float: @k}  # c
  yes: ?[…] = Constant() {value: bool[] (1)}
  out: ?[…] = If(yes)  # if
    then_branch:
      graph t
        s: float32[2] = Add(t, c)
        output s: float32[2]
    else_branch:
      graph e
        s2: float32[2] = Neg(v)
        output s2: float32[2]
`,
  );
});

test.run();
