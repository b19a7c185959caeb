/** Eigenvectors, orthonormal rows, range norms: one result on every engine. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { Rotation } from '../../compiler/fold/rotation.ts';
import { applySteps } from '../../compiler/fold/tensors.ts';
import { hadamard } from '../../compiler/matrices/hadamard.ts';
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

test('low-rank branches and distances: the same bytes from every engine', async () => {
  const next = random(6);
  const [n, out, rank, count] = [37, 61, 5, 9];
  const some = (k: number) => Float32Array.from({ length: k }, () => next() - 0.5);
  const [weight, start, x, y] = [some(out * n), some(count * n), some(7 * n), some(7 * n)];
  const codes = weight.map((w) => Math.round(8 * w) / 8);
  const diagonal = { root: Float32Array.from({ length: n }, () => 0.5 + next()) };
  const at = (f: (i: number) => number) => Float32Array.from({ length: n * n }, (_, k) => (k % (n + 1) === 0 ? f(k % n) : 0));
  const dense = { root: at((i) => diagonal.root[i]!), inverse: at((i) => 1 / diagonal.root[i]!) };
  const found = [];
  for (const [, crunch] of all) {
    const run = (more: object) => crunch.lowRank({ weight, n, start, rank, steps: 2, half: true, ...more });
    const branches = [await run({}), await run({ codes, space: diagonal }), await run({ half: false, space: dense })];
    const rest = Float64Array.from(weight);
    const { up, down } = branches[0]!;
    await crunch.minusProduct(rest, up, down, n);
    assert.equal(Float32Array.from(rest), branches[0]!.rest);
    const off = await crunch.distance(weight, codes, x, y, n);
    found.push(`${hex(...branches.flatMap((b) => [b.basis, b.down, b.up, b.rest]))} ${off}`);
  }
  for (const [i, f] of found.entries()) assert.is(f, found[0], all[i]![0]);
});

test('Hadamard matrices along any axis: the bits of the rotation, line by line, from every engine', async () => {
  const next = random(7);
  for (const [size, shape, axis, part] of [
    [64, [5, 64], 1, undefined],
    [24, [72, 19], 0, { from: 24, to: 72 }],
    [88, [2, 88, 3], 1, undefined],
  ] as const) {
    const rotation = hadamard(size)!;
    const given = Float64Array.from({ length: shape.reduce((a, b) => a * b, 1) }, () => next() - 0.5);
    const { base: _, ...slow } = rotation;
    const step = (r: Rotation) => [{ kind: 'rotate' as const, axis, rotation: r, ...(part ? { part } : {}) }];
    const expected = await applySteps(given.slice(), shape, step(slow), all[0]![1]);
    assert.not.equal(expected, given);
    for (const [name, crunch] of all) assert.equal(await applySteps(given.slice(), shape, step(rotation), crunch), expected, name);
  }
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
  const f = (n: number) => new Float32Array(n);
  const branch = { weight: f(6), n: 3, start: f(6), rank: 2, steps: 1, half: false };
  assert.match(await code(crunch.lowRank({ ...branch, weight: f(6).fill(Number.NaN) })), 'nan-weight');
  assert.match(await code(crunch.lowRank({ ...branch, rank: 3 })), 'bad-request');
  assert.match(await code(crunch.lowRank({ ...branch, space: { root: f(2) } })), 'bad-request');
  assert.match(await code(crunch.distance(f(6), f(6), f(3), f(6), 3)), 'bad-request');
  const lines = { n: 6, inner: 1, from: 0, to: 6, size: 4 };
  assert.match(await code(crunch.hadamard(new Float64Array(6), lines, Float64Array.of(1))), 'bad-request');
  assert.match(await code(crunch.hadamard(new Float64Array(6), { ...lines, size: 6 }, Float64Array.of(1))), 'bad-request');
  assert.match(await code(crunch.minusProduct(new Float64Array(6), f(3), f(3), 3)), 'bad-request');
});

test.run();
