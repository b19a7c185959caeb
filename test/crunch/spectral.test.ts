/** Eigenvectors, orthonormal rows, range norms: one result on every engine. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { bytesOf, engines, random } from './engines.ts';

const all = await engines();
const hex = (...a: ArrayBufferView[]) => a.map((x) => Buffer.from(bytesOf(x)).toString('hex')).join(' ');

test('the same bytes from every engine', async () => {
  const next = random(5);
  const n = 37;
  const x = Float32Array.from({ length: 50 * n }, () => next() - 0.5);
  const rows = Float64Array.from({ length: 20 * n }, () => next() - 0.5);
  rows.copyWithin(3 * n, 0, n);
  const found = [];
  for (const [, crunch] of all) {
    const c = new Float64Array(n * n);
    await crunch.gram(c, x, n);
    const { values, vectors } = await crunch.eigen(c, n);
    const norms = await Promise.all([10, 3.7].map((p) => crunch.rangeNorms(x, n, p, 0.3)));
    found.push(hex(values, vectors, await crunch.orthonormal(rows, n), ...norms.map((r) => r.derivative)) + norms.map((r) => r.sum).join());
  }
  for (const [i, f] of found.entries()) assert.is(f, found[0], all[i]![0]);
});

test('what cannot be is refused', async () => {
  const [, crunch] = all[0]!;
  const code = async (work: Promise<unknown>) =>
    work.then(
      () => '',
      (e: Error) => e.message,
    );
  assert.match(await code(crunch.eigen(Float64Array.of(1, Number.NaN, Number.NaN, 1), 2)), 'eigen-nan');
  assert.match(await code(crunch.eigen(new Float64Array(5), 2)), 'bad-request');
  assert.match(await code(crunch.orthonormal(new Float64Array(6), 2)), 'bad-request');
  assert.match(await code(crunch.rangeNorms(new Float32Array(4), 2, 0, 1)), 'bad-request');
});

test.run();
