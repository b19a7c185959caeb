/** Models that must be refused, each with its exact message. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { loadModel } from '../../compiler/graph/load.ts';
import type { Message } from '../../compiler/graph/proto.ts';
import { QcError } from '../../grammar/diagnostics.ts';
import { bytesOf, float, inMemory, int64, model, node, value } from './memory.ts';

const text = (s: string): Uint8Array => new TextEncoder().encode(s);
const weight = (t: Message<'Tensor'>): Uint8Array =>
  bytesOf(model({ initializer: [{ name: 'w', data_type: float, dims: [2, 2], ...t }], node: [node('Add', ['x', 'w'], ['y'])] }));
const external = (location: string, more: Record<string, string> = {}): Message<'Tensor'> => ({
  data_location: 1,
  external_data: [{ key: 'location', value: location }, ...Object.entries(more).map(([key, v]) => ({ key, value: v }))],
});
const attribute = (a: Message<'Attribute'>): Uint8Array =>
  bytesOf(model({ node: [node('Relu', ['x'], ['y'], { name: 'n', attribute: [a] })] }));
const whole = weight({ raw_data: new Uint8Array(16) });
const large = weight({ dims: [100, 100], raw_data: new Uint8Array(40000) });

const cases: [name: string, file: Uint8Array, expected: string, beside?: Record<string, Uint8Array>][] = [
  ['empty file', new Uint8Array(0), 'not-onnx: "m.onnx" is empty (0 bytes)'],
  ['a picture', Uint8Array.from([0x89, 0x50, 0x4e, 0x47, 13, 10, 26, 10]), 'not-onnx: "m.onnx" is not an ONNX model'],
  ['a text', text('recipe a version "1" {}'), 'not-onnx: "m.onnx" is not an ONNX model'],
  ['a git-lfs pointer', text('version https://git-lfs.github.com/spec/v1\noid sha256:0\n'), 'not-onnx: "m.onnx" is not an ONNX model'],
  ['no graph', bytesOf({ ir_version: 8 }), 'not-onnx: "m.onnx" is not an ONNX model: it has no graph'],
  ['no ir_version', bytesOf({ graph: { name: 'g' } }), 'not-onnx: "m.onnx" is not an ONNX model: it has no ir_version'],
  [
    'cut inside an input',
    whole.slice(0, whole.length - 30),
    'truncated-model: "m.onnx" is truncated in graph "g".input[0] "x".type: 14 bytes are announced but only 11 are left',
  ],
  [
    'cut inside a large weight',
    large.slice(0, 20000),
    'truncated-model: "m.onnx" is truncated in graph "g".initializer[0] "w".raw_data: 40000 bytes are announced but only 19958 are left',
  ],
  ['newer IR', bytesOf(model({}, { ir_version: 14 })), 'newer-ir: "m.onnx" has IR version 14; this compiler reads up to 13'],
  [
    'old opset',
    bytesOf(model({}, { opset_import: [{ domain: '', version: 9 }] })),
    'old-opset: "m.onnx" uses opset 9; this compiler reads opsets 11 to 25',
  ],
  [
    'newer opset',
    bytesOf(model({}, { opset_import: [{ domain: '', version: 40 }] })),
    'newer-opset: "m.onnx" uses opset 40; this compiler reads opsets 11 to 25',
  ],
  ['no opset', bytesOf(model({}, { opset_import: [] })), 'old-opset: the model does not say which opset it uses'],
  ['negative dimension', weight({ dims: [-2, 2] }), 'bad-tensor: initializer "w" has the negative dimension -2 in its shape [-2, 2]'],
  [
    'overflowing dimensions',
    weight({ dims: [2 ** 40, 2 ** 40] }),
    'bad-tensor: initializer "w" has more elements than can exist: shape [1099511627776, 1099511627776]',
  ],
  [
    'overflow hidden by a zero',
    weight({ dims: [2 ** 40, 2 ** 40, 0] }),
    'bad-tensor: initializer "w" has more elements than can exist: shape [1099511627776, 1099511627776, 0]',
  ],
  [
    'too few bytes',
    weight({ raw_data: new Uint8Array(12) }),
    'bad-tensor: initializer "w" (float32 [2, 2]) needs 16 bytes of data, but has 12',
  ],
  [
    'too many bytes, left in the file',
    weight({ raw_data: new Uint8Array(2000) }),
    'bad-tensor: initializer "w" (float32 [2, 2]) needs 16 bytes of data, but has 2000',
  ],
  ['no data', weight({}), 'bad-tensor: initializer "w" (float32 [2, 2]) has no data'],
  [
    'data in the field of another type',
    weight({ int64_data: [Uint8Array.from([1, 2, 3, 4])] }),
    'bad-tensor: initializer "w" (float32 [2, 2]) has no data',
  ],
  [
    'unknown element type',
    weight({ data_type: 77, raw_data: new Uint8Array(16) }),
    'bad-tensor: initializer "w" has the unknown element type 77',
  ],
  [
    'string count',
    weight({ data_type: 8, string_data: [text('a')] }),
    'bad-tensor: initializer "w" (string [2, 2]) needs 4 strings of data, but has 1',
  ],
  [
    'missing data file',
    weight(external('w.bin')),
    'bad-external-data: initializer "w" has its data in "w.bin", which cannot be opened in "."',
  ],
  [
    'short data file',
    weight(external('w.bin', { offset: '64' })),
    'bad-external-data: initializer "w" needs bytes 64 to 80 of "w.bin", which has only 70',
    { 'w.bin': new Uint8Array(70) },
  ],
  ['no location', weight({ data_location: 1 }), 'bad-external-data: initializer "w" is external, but has no location'],
  [
    'impossible offset',
    weight(external('w.bin', { offset: '-1' })),
    'bad-external-data: initializer "w" has the impossible offset "-1" of its external data',
  ],
  [
    'wrong length',
    weight(external('w.bin', { length: '8' })),
    'bad-tensor: initializer "w" (float32 [2, 2]) needs 16 bytes of data, but has 8',
  ],
  [
    'data above the folder',
    weight(external('sub/../../secret')),
    'path-escape: initializer "w" has its data in "sub/../../secret", which leaves the folder of the model',
  ],
  [
    'absolute data',
    weight(external('/etc/passwd')),
    'path-escape: initializer "w" has its data in "/etc/passwd", which is an absolute path',
  ],
  ['data on a drive', weight(external('C:\\w.bin')), 'path-escape: initializer "w" has its data in "C:\\w.bin", which is an absolute path'],
  [
    'value defined twice by nodes',
    bytesOf(model({ node: [node('Relu', ['x'], ['y'], { name: 'a' }), node('Neg', ['x'], ['y'], { name: 'b' })] })),
    'duplicate-value: the value "y" is defined twice: by node "a" (Relu) and by node "b" (Neg)',
  ],
  [
    'node output called as an input',
    bytesOf(model({ node: [node('Relu', ['x'], ['x']), node('Relu', ['x'], ['y'])] })),
    'duplicate-value: the value "x" is defined twice: by an input or initializer of the graph and by node Relu → "x"',
  ],
  [
    'two initializers of one name',
    bytesOf(model({ initializer: [1, 2].map(() => ({ name: 'w', data_type: float, dims: [0] })) })),
    'duplicate-value: two initializers are called "w"',
  ],
  [
    'undefined input',
    bytesOf(model({ node: [node('Add', ['x', 'z'], ['y'], { name: 'sum' })] })),
    'undefined-value: node "sum" (Add) reads "z", which nothing defines',
  ],
  [
    'undefined input in a branch',
    bytesOf(
      model({
        node: [
          node('If', ['x'], ['y'], {
            name: 'if',
            attribute: [
              { name: 'then_branch', type: 5, g: { name: 't', node: [node('Relu', ['x'], ['a'])], output: [value('a', 2)] } },
              { name: 'else_branch', type: 5, g: { name: 'e', node: [node('Relu', ['nope'], ['b'])], output: [value('b', 2)] } },
            ],
          }),
        ],
      }),
    ),
    'undefined-value: node Relu → "b" reads "nope", which nothing defines',
  ],
  ['undefined output', bytesOf(model({ output: [value('q', 1)] })), 'undefined-value: the graph has the output "q", which nothing defines'],
  [
    'cycle',
    bytesOf(
      model({
        node: [
          node('Add', ['x', 'c'], ['y'], { name: 'a' }),
          node('Relu', ['y'], ['b'], { name: 'b' }),
          node('Neg', ['b'], ['c'], { name: 'c' }),
        ],
      }),
    ),
    'cyclic-graph: the graph has a cycle: node "a" (Add) ← node "c" (Neg) ← node "b" (Relu) ← node "a" (Add)',
  ],
  [
    'node that feeds itself',
    bytesOf(model({ node: [node('Add', ['x', 'y'], ['y'], { name: 'a' })] })),
    'cyclic-graph: the graph has a cycle: node "a" (Add) ← node "a" (Add)',
  ],
  [
    'node without operator',
    bytesOf(model({ node: [{ name: 'n', input: ['x'], output: ['y'] }] })),
    'bad-node: node "n" () has no operator type',
  ],
  [
    'attribute of one type with the value of another',
    attribute({ name: 'alpha', type: 1, i: 3 }),
    'bad-attribute: attribute "alpha" of node "n" (Relu) says that it is FLOAT, but carries "i"',
  ],
  [
    'attribute of a type that does not exist',
    attribute({ name: 'alpha', type: 99 }),
    'bad-attribute: attribute "alpha" of node "n" (Relu) has an unknown type (99)',
  ],
  [
    'tensor attribute without tensor',
    attribute({ name: 'value', type: 4 }),
    'bad-attribute: attribute "value" of node "n" (Relu) says that it is TENSOR, but has no tensor',
  ],
  [
    'bad tensor in an attribute',
    attribute({ name: 'value', type: 4, t: { data_type: int64, dims: [3], raw_data: new Uint8Array(8) } }),
    'bad-tensor: attribute "value" of node "n" (Relu) (int64 [3]) needs 24 bytes of data, but has 8',
  ],
];

for (const [name, file, expected, beside] of cases) {
  test(`refuses: ${name}`, async () => {
    let message = 'it was loaded';
    try {
      await loadModel(inMemory({ 'm.onnx': file, ...beside }), 'm.onnx');
    } catch (e) {
      if (!(e instanceof QcError)) throw e;
      message = e.message;
    }
    assert.is(message, expected);
  });
}

test('every truncation of a model is refused without a crash', async () => {
  for (let n = 0; n < whole.length; n++) {
    try {
      await loadModel(inMemory({ 'm.onnx': whole.slice(0, n) }), 'm.onnx');
      assert.unreachable(`${n} bytes of ${whole.length} were loaded`);
    } catch (e) {
      assert.instance(e, QcError);
    }
  }
});

test('random damage is refused or read, never a crash', async () => {
  let seed = 7;
  const random = (n: number): number => {
    seed = (seed * 1103515245 + 12345) % 2 ** 31;
    return seed % n;
  };
  for (let i = 0; i < 2000; i++) {
    const bytes = whole.slice();
    for (let k = 0; k <= random(4); k++) bytes[random(bytes.length)] = random(256);
    try {
      await loadModel(inMemory({ 'm.onnx': bytes }), 'm.onnx');
    } catch (e) {
      assert.instance(e, QcError, String((e as Error).stack));
    }
  }
});

test.run();
