import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { attended } from '../../compiler/calibrate/padding.ts';
import { floats, ofFloats, valueFrom } from '../../compiler/calibrate/values.ts';

const mask = valueFrom('int64', [2, 3], [1, 1, 0, 1, 0, 0]);
const value = (...shape: number[]) =>
  ofFloats(
    shape,
    Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, (_, i) => i),
  );
const kept = (...shape: number[]) => {
  const v = attended(value(...shape), mask);
  return [v.shape, [...floats(v)]];
};

test('tokens of padding are left out, wherever the tokens lie', () => {
  assert.equal(kept(2, 3, 2), [
    [1, 3, 2],
    [0, 1, 2, 3, 6, 7],
  ]);
  assert.equal(kept(6, 2), [
    [3, 2],
    [0, 1, 2, 3, 6, 7],
  ]);
  // [batch, heads, tokens, width]
  assert.equal(kept(2, 2, 3, 1), [
    [1, 2, 3, 1],
    [0, 1, 6, 3, 4, 9],
  ]);
});

test('a value without those tokens, or a mask that leaves nothing out, changes nothing', () => {
  for (const shape of [[2, 4], [2], [2, 4, 5], [3, 3, 2]]) {
    const v = value(...shape);
    assert.is(attended(v, mask), v);
  }
  const v = value(2, 3, 2);
  assert.is(attended(v, valueFrom('int64', [2, 3], [1, 1, 1, 1, 1, 1])), v);
  assert.is(attended(v, undefined), v);
  // behind a past the mask is longer than the tokens
  assert.is(attended(v, valueFrom('int64', [2, 4], [0, 1, 1, 1, 1, 1, 1, 1])), v);
});

test.run();
