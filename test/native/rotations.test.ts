// Rotations at run time as Hadamard operators: every size that the compiler writes, by bodies and by kernels; other matrices stay.
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { Model } from '../../compiler/graph/types.ts';
import { float32s, int64s, node } from '../../compiler/lower/make.ts';
import { fuse } from '../../compiler/lower/native/fuse.ts';
import { hadamardOrder } from '../../compiler/lower/native/fused/hadamard.ts';
import { hadamard } from '../../compiler/matrices/hadamard.ts';
import { modelOf } from '../targets/build.ts';
import { operators, prover, x } from './proved.ts';

const { folder, run, proved, close } = await prover();

/** As fold/online.ts writes a rotation in blocks. */
function rotated(width: number, size: number, factors: readonly (readonly [number, ArrayLike<number>])[]): Model {
  const initializers = Object.fromEntries(factors.map(([n, f], i) => [`f${i}`, float32s(f, [n, n])]));
  const blocks = width / size;
  if (factors.length === 1 && blocks === 1)
    return modelOf({ nodes: [node('MatMul', ['x', 'f0'], ['y'])], input: [2, 's', width], initializers });
  const inner = [...(blocks === 1 ? [] : [blocks]), ...factors.map(([n]) => n)];
  const nodes = [
    node('Reshape', ['x', 'apart'], ['a']),
    node('MatMul', ['a', `f${factors.length - 1}`], ['b']),
    ...(factors.length === 2 ? [node('MatMul', ['f0', 'b'], ['c'])] : []),
    node('Reshape', [factors.length === 2 ? 'c' : 'b', 'row'], ['y']),
  ];
  return modelOf({
    nodes,
    input: [2, 's', width],
    initializers: { ...initializers, apart: int64s([0, 0, ...inner]), row: int64s([0, 0, width]) },
  });
}
const factorsOf = (size: number) => hadamard(size)!.factors!.map((f) => [Math.round(Math.sqrt(f.length)), f] as const);

for (const [size, order] of [
  [2, 1],
  [64, 1],
  [96, 12],
  [160, 20],
  [448, 28],
  [704, 44],
  [1024, 1],
] as const)
  test(`Hadamard ${size}`, async () => {
    for (const blocks of size < 100 ? [1, 3] : [1]) {
      const fused = await proved(rotated(size * blocks, size, factorsOf(size)), [x(2, 5, size * blocks)]);
      assert.equal(operators(fused), ['Hadamard']);
      const right = factorsOf(size).at(-1)!;
      assert.ok(order % hadamardOrder(right[0], Float32Array.from(right[1]))! === 0);
    }
  });

test('matrices of another kind stay', () => {
  const dense = rotated(64, 64, [[64, Float32Array.from({ length: 4096 }, (_, i) => Math.sin(i))]]);
  assert.is(fuse(dense), dense);
  // Signs that no Sylvester matrix explains: the whole is a matrix of its own, which is not cheaper.
  const [n, f] = factorsOf(32)[0]!;
  const signs = rotated(n, n, [[n, f.map((v, i) => (i % n === 3 ? -v : v))]]);
  assert.is(fuse(signs), signs);
});

test('what does not fit is an error that names the operator', async () => {
  const good = fuse(rotated(96, 96, factorsOf(96)));
  const at = good.graph.nodes[0]!;
  const order = (value: number): Model => ({
    ...good,
    graph: { ...good.graph, nodes: [{ ...at, attrs: new Map([['order', { type: 'int', value } as const]]) }] },
  });
  const says = (m: Model, width = 96) =>
    run(m, folder, x(2, 1, width)).then(
      () => '',
      (e: Error) => e.message,
    );
  const { active } = await import('../../runtime/index.ts');
  if (!active) return console.log('skipped: the native addon is not built');
  assert.match(await says(order(0)), /qc\.v1\.Hadamard: an order of 0/);
  assert.match(await says(order(2 ** 40)), /qc\.v1\.Hadamard: an order of/);
  assert.match(await says(order(5)), /qc\.v1\.Hadamard: left and right of the shapes .* no Hadamard matrix over one of order 5/);
  // A single sign that no Sylvester matrix has.
  const left = at.inputs[1]!;
  const { shape, source } = good.graph.initializers.get(left)!;
  const signs = new Float32Array((source as { bytes: Uint8Array }).bytes.slice().buffer);
  signs[signs.length - 1] = -signs.at(-1)!;
  const wrong: Model = {
    ...good,
    graph: { ...good.graph, initializers: new Map([...good.graph.initializers, [left, float32s(signs, shape)]]) },
  };
  assert.match(await says(wrong), /qc\.v1\.Hadamard: left and right of the shapes .* no Hadamard matrix over one of order/);
  const wide: Model = { ...good, graph: { ...good.graph, inputs: [{ name: 'x', dtype: 'float32', shape: [2, 's', 'w'] }] } };
  assert.match(await says(wide, 97), /qc\.v1\.Hadamard: rows of 97 are no blocks of 96/);
});

test.after(close);
test.run();
