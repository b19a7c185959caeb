import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { resolveObserver } from '../../compiler/calibrate/observer.ts';
import { ofFloats } from '../../compiler/calibrate/values.ts';
import { observers } from '../../compiler/observers/index.ts';
import type { Ref } from '../../compiler/schema.ts';
import { loadCrunch } from '../../runtime/crunch.ts';
import { errorOf, numbers } from './_make.ts';

const crunch = await loadCrunch();

/** Folds batches of a shape and returns the arrays. */
async function observe(ref: Ref, batches: readonly { shape: readonly number[]; data: Float32Array }[]) {
  const { observer, ref: full } = resolveObserver(ref);
  let state = observer.start(full.args);
  for (const { shape, data } of batches) state = await observer.fold(state, ofFloats(shape, data), crunch, full.args);
  return observer.finish(state);
}
const close = (a: ArrayLike<number>, b: ArrayLike<number>, relative = 1e-9) => {
  assert.is(a.length, b.length);
  for (let i = 0; i < a.length; i++)
    assert.ok(Math.abs(a[i]! - b[i]!) <= relative * Math.max(1, Math.abs(b[i]!)), `element ${i}: ${a[i]} is not ${b[i]}`);
};

// Two batches of different length, [batch, token, channel], channel 3 shifted and scaled.
const n = 5;
const batches = [
  { shape: [2, 7, n], data: numbers(70, 1).map((x, i) => (i % n === 3 ? 4 * x + 2 : x)) },
  { shape: [1, 3, n], data: numbers(15, 2).map((x, i) => (i % n === 3 ? 4 * x + 2 : x)) },
];
const all = [...batches[0]!.data, ...batches[1]!.data];
const column = (c: number) => all.filter((_, i) => i % n === c);
const columns = Array.from({ length: n }, (_, c) => column(c));
const sum = (x: readonly number[]) => x.reduce((a, b) => a + b, 0);

test('minmax', async () => {
  const { min, max } = await observe({ name: 'minmax', args: {} }, batches);
  assert.equal([min![0], max![0]], [Math.min(...all), Math.max(...all)]);
});

test('absmax of each channel', async () => {
  const { absmax } = await observe({ name: 'absmax', args: {} }, batches);
  close(
    absmax!,
    columns.map((c) => Math.max(...c.map(Math.abs))),
  );
});

test('channels on another axis (NCHW)', async () => {
  const data = numbers(2 * 3 * 4, 5);
  const { absmax } = await observe({ name: 'absmax', args: { axis: 1 } }, [{ shape: [2, 3, 2, 2], data }]);
  const expected = [0, 1, 2].map((c) => Math.max(...[...data].filter((_, i) => Math.floor(i / 4) % 3 === c).map(Math.abs)));
  close(absmax!, expected);
});

test('moments of each channel', async () => {
  const m = await observe({ name: 'moments', args: {} }, batches);
  const means = columns.map((c) => sum(c) / c.length);
  assert.is(m['count']![0], 17);
  close(
    m['min']!,
    columns.map((c) => Math.min(...c)),
  );
  close(
    m['max']!,
    columns.map((c) => Math.max(...c)),
  );
  close(m['mean']!, means);
  close(
    m['variance']!,
    columns.map((c, i) => sum(c.map((x) => (x - means[i]!) ** 2)) / c.length),
  );
  close(
    m['magnitude']!,
    columns.map((c) => sum(c.map(Math.abs)) / c.length),
  );
});

test('hessian: XᵀX over all rows', async () => {
  const { h, count } = await observe({ name: 'hessian', args: {} }, batches);
  assert.is(count![0], 17);
  const expected = columns.flatMap((a) => columns.map((b) => sum(a.map((x, i) => x * b[i]!))));
  close(h!, expected, 1e-6);
});

test('histogram: every value is counted in the bin that covers it, though the range grew on both sides', async () => {
  const grown = [numbers(1000, 1), numbers(1000, 2).map((x) => 3 * x), numbers(1000, 3).map((x) => 10 * x - 8), Float32Array.of(100)];
  const { counts, range, min, max } = await observe(
    { name: 'histogram', args: { bins: 64 } },
    grown.map((data) => ({ shape: [data.length], data })),
  );
  const values = grown.flatMap((x) => [...x]);
  const [lo, hi] = range as unknown as [number, number];
  assert.equal([min![0], max![0]], [Math.min(...values), Math.max(...values)]);
  assert.ok(lo <= min![0]! && hi >= max![0]!);
  assert.is(sum([...counts!]), values.length);
  // Each bin's count is that of the values between its edges; a value on an edge may be counted on either side.
  const width = (hi - lo) / counts!.length;
  const slack = width * 1e-5;
  counts!.forEach((count, i) => {
    const [a, b] = [lo + i * width, lo + (i + 1) * width];
    const inside = values.filter((v) => v > a + slack && v < b - slack).length;
    const about = values.filter((v) => v >= a - slack && v <= b + slack).length;
    assert.ok(count >= inside && count <= about, `bin ${i} [${a}, ${b}] has ${count}, not ${inside}…${about}`);
  });
});

test('histogram: a constant first batch', async () => {
  for (const constant of [0, -3]) {
    const { counts, range } = await observe({ name: 'histogram', args: { bins: 8 } }, [
      { shape: [4], data: new Float32Array(4).fill(constant) },
      { shape: [3], data: Float32Array.of(-50, 0, 50) },
    ]);
    assert.is(sum([...counts!]), 7);
    assert.ok(range![0]! <= -50 && range![1]! >= 50);
  }
});

test('an observer that is not there', async () => {
  assert.is(
    await errorOf(() => resolveObserver({ name: 'medain', args: {} })),
    `observer-unknown: there is no observer "medain"; there are ${observers.map((o) => o.name).join(', ')}`,
  );
});

test.after(() => crunch.close());
test.run();
