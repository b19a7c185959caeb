import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { breaches, type Level } from '../../compiler/graph/legality.ts';
import { loadModelFromBytes } from '../../compiler/graph/load.ts';
import type { Model, Node } from '../../compiler/graph/types.ts';
import { bytesOf, model, node } from './memory.ts';

const plain = (op: string, inputs: string[], outputs: string[], more: Partial<Node> = {}): Node => ({
  name: '',
  op,
  domain: '',
  inputs,
  outputs,
  attrs: new Map(),
  ...more,
});

async function after(change: (m: Model) => void, level: Level): Promise<string[]> {
  const m = await loadModelFromBytes(bytesOf(model({ node: [node('Relu', ['x'], ['y'], { name: 'relu' })] })));
  assert.equal(breaches(m, level), []);
  change(m);
  return breaches(m, level);
}

const cases: [Level, (m: Model) => void, string][] = [
  ['float', (m) => m.graph.nodes.push(plain('Neg', ['x'], ['y'])), 'defined-once: "y" is defined twice in g'],
  ['float', (m) => m.graph.nodes.push(plain('Neg', ['z'], ['q'])), 'closed: "z" is used and defined nowhere'],
  ['float', (m) => m.graph.nodes.unshift(plain('Neg', ['y'], ['q'])), 'ordered: node Neg → "q" reads "y" before it is made'],
  [
    'float',
    (m) => m.graph.nodes.push(plain('Gelu', ['x'], ['q'], { domain: 'com.microsoft' })),
    'domains-imported: node Gelu → "q" is of the domain "com.microsoft", which the model does not import',
  ],
  [
    'float',
    (m) => m.graph.initializers.set('w', { dtype: 'int4', shape: [3], source: { kind: 'bytes', bytes: new Uint8Array(3) } }),
    'tensors-fit: "w" (int4 [3]) has 3 bytes',
  ],
  ['lowered', (m) => m.graph.nodes.push(plain('Neg', ['x'], ['q'], { name: 'relu' })), 'names-unique: two nodes are called "relu"'],
  [
    'float',
    (m) => m.graph.nodes.push(plain('DynamicQuantizeLinear', ['x'], ['q', 's', 'z'])),
    'float-compute: node DynamicQuantizeLinear → "q" is quantized already',
  ],
  [
    'lowered',
    (m) => {
      m.functions.push({
        name: 'f',
        domain: 'd',
        inputs: [],
        outputs: [],
        attributes: [],
        defaults: new Map(),
        nodes: [],
        opsets: new Map(),
        values: new Map(),
      });
    },
    'no-dead-calls: nobody calls the function "f"',
  ],
];

for (const [level, change, expected] of cases) {
  test(`breach of ${expected.split(':')[0]}`, async () => assert.equal(await after(change, level), [expected]));
}

test.run();
