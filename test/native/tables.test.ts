// Embeddings in codes as one operator: what was simulated, by bodies and by kernels, bit by bit between the two.
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { Model } from '../../compiler/graph/types.ts';
import { node } from '../../compiler/lower/make.ts';
import { simulate } from '../../compiler/simulate/simulate.ts';
import { active } from '../../runtime/index.ts';
import { floats, type Kind, lowerTo, modelOf, quantized } from '../targets/build.ts';
import { type Feeds, prover, relative, stock, Tensor } from './proved.ts';

const { folder, run, close } = await prover();

const ids: Feeds = { x: new Tensor('int64', BigInt64Array.from([0n, 6n, 3n, 3n, -1n, 5n]), [2, 3]) };
const lookup = (rows: number, width: number): Model => {
  const m = modelOf({
    nodes: [node('Gather', ['w', 'x'], ['y'])],
    input: [2, 's'],
    inputType: 'int64',
    initializers: { w: floats([rows, width]) },
  });
  return { ...m, graph: { ...m.graph, outputs: [{ name: 'y', dtype: 'float32' }] } };
};
const kinds: Record<string, [Kind, string]> = {
  'int4 group 32': [{ format: 'int4', grain: { per: 'group', group: 32 } }, 'EmbeddingW4'],
  'uint4 group 16': [{ format: 'uint4', grain: { per: 'group', group: 16 } }, 'EmbeddingW4'],
  'int3 channel': [{ format: 'int3', grain: { per: 'channel' } }, 'EmbeddingW4'],
  'int8 channel': [{ format: 'int8', grain: { per: 'channel' } }, 'EmbeddingW8'],
  'uint8 group 64': [{ format: 'uint8', grain: { per: 'group', group: 64 } }, 'EmbeddingW8'],
  'int6 group 32': [{ format: 'int6', grain: { per: 'group', group: 32 } }, 'EmbeddingW8'],
  'int8 tensor': [{ format: 'int8', grain: { per: 'tensor' } }, 'EmbeddingW8'],
};

for (const [name, [kind, op]] of Object.entries(kinds))
  test(name, async () => {
    const s = quantized(lookup(7, 64), kind);
    const { model } = await lowerTo('native', s);
    assert.equal(
      model.graph.nodes.map((n) => n.op),
      [op],
    );
    const want = (await run(simulate(s), folder, ids, stock))['y']!;
    const body = (await run(model, folder, ids, stock))['y']!;
    assert.ok(relative(want, body) < 1e-6, String(relative(want, body)));
    if (!active) return console.log('skipped: the native addon is not built');
    assert.equal((await run(model, folder, ids))['y'], body);
  });

test('what has no form, or does not fit', async () => {
  // Three groups of 24 and a rest; an odd number of half bytes.
  const part = await lowerTo('native', quantized(lookup(7, 80), { format: 'int4', grain: { per: 'group', group: 24 } }));
  const odd = await lowerTo('native', quantized(lookup(7, 33), { format: 'int4', grain: { per: 'channel' } }));
  for (const { model } of [part, odd]) assert.not.ok(model.graph.nodes.some((n) => n.op.startsWith('Embedding')));
  if (!active) return console.log('skipped: the native addon is not built');
  const { model } = await lowerTo('native', quantized(lookup(7, 64), kinds['int4 group 32']![0]));
  const beyond = { x: new Tensor('int64', BigInt64Array.of(0n, 7n), [1, 2]) };
  const says = await run(
    { ...model, graph: { ...model.graph, inputs: [{ name: 'x', dtype: 'int64', shape: ['b', 's'] }] } },
    folder,
    beyond,
  ).then(
    () => '',
    (e: Error) => e.message,
  );
  assert.match(says, /qc\.v1\.EmbeddingW4: the id 7 is none of 7 rows/);
});

test.after(close);
test.run();
