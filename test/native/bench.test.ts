// `qc bench`, `qc doctor`, `require speedup`: intervals, inputs, what they say.
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { compile } from '../../compiler/compile.ts';
import { nodeHost } from '../../compiler/node/host.ts';
import { shapesOf } from '../../runtime/bench-feeds.ts';
import { below, interval } from '../../runtime/interval.ts';
import { qc } from '../cli/qc.ts';

test('a median and the order statistics around it', () => {
  // Conover, Practical Nonparametric Statistics, table A3: quantiles of the binomial distribution.
  assert.equal([5, 6, 9, 15, 20, 100].map(below), [0, 1, 2, 4, 6, 40]);
  assert.equal(interval([3, 1, 2]), { median: 2, low: 1, high: 3 });
  assert.equal(interval(Array.from({ length: 15 }, (_, i) => 15 - i)), { median: 8, low: 4, high: 12 });
  assert.is(interval([1, 2, 3, 4]).median, 2.5);
});

test('sizes that nobody gave', () => {
  const of = (name: string, ...shape: (number | string)[]) => ({ name, isTensor: true as const, type: 'float32' as const, shape });
  const lm = [
    of('input_ids', 'batch', 'sequence'),
    of('attention_mask', 'batch', 'total'),
    of('past_key_values.0.key', 'batch', 2, 'past_len', 8),
  ];
  assert.equal(
    [...shapesOf(lm, {}).values()],
    [
      [1, 128],
      [1, 128],
      [1, 2, 0, 8],
    ],
  );
  assert.equal(
    [...shapesOf(lm, { sequence: 3, past_len: 7 }).values()],
    [
      [1, 3],
      [1, 10],
      [1, 2, 7, 8],
    ],
  );
  assert.equal(shapesOf([of('image', 'n', 3, 'height', 'width'), of('y', 'a + b', 4)], { a: 2, b: 3 }).get('y'), [5, 4]);
});

test('qc bench measures two models turn by turn', async () => {
  const path = 'test/models/mlp-conv/model.onnx';
  const r = await qc(['bench', path, path, '--rounds', '6', '--threads', '1', '--json']);
  assert.is(r.status, 0, r.err);
  const found = JSON.parse(r.out);
  assert.is(found.models.length, 2);
  const [one] = found.cases;
  assert.is(one.rounds, 6);
  for (const { ms, ratio } of one.results)
    assert.ok(0 < ms.low && ms.low <= ms.median && ms.median <= ms.high && ratio.low > 0, JSON.stringify(one));
  assert.equal(one.results[0].ratio, { median: 1, low: 1, high: 1 });
  assert.ok(found.models[0].memory > 0 && found.models[0].loadMs > 0);
  const wrong = await qc(['bench', path, '--shape', 'tokens=3']);
  assert.is(wrong.status, 2);
  assert.match(wrong.err, /bench-size.*no input with a size "tokens"/s);
});

test('qc doctor', async () => {
  const found = JSON.parse((await qc(['doctor', '--json'])).out);
  assert.ok(found.ok);
  assert.match(found.onnxruntime.version, /^\d+\.\d+/);
  assert.is(found.native.path === undefined, found.native.error !== undefined);
  const before = process.env['QC_NATIVE'];
  process.env['QC_NATIVE'] = 'off';
  const without = await qc(['doctor']);
  if (before === undefined) delete process.env['QC_NATIVE'];
  else process.env['QC_NATIVE'] = before;
  assert.is(without.status, 0);
  assert.match(without.out, /compiler +wasm/);
  assert.match(without.out, /slower +compiling: .*wasm.*\n.*npm (install|run)/);
  assert.match(without.out, /slower +running models of target native: .*bodies/);
});

test('require speedup is judged by what was measured', async () => {
  const host = await nodeHost();
  const asked: (readonly string[])[] = [];
  const fast = {
    ...host,
    speed: async (models: readonly [string, string]) => {
      asked.push(models);
      return [
        { kind: 'prefill' as const, median: 3, low: 2.9, high: 3.1 },
        { kind: 'decode' as const, median: 1.4, low: 1.3, high: 1.5 },
      ];
    },
  };
  const judged = async (condition: string) =>
    compile({
      host: fast,
      model: 'test/models/mlp-conv/model.onnx',
      recipe: 'r.qrecipe',
      text: `recipe r version "1.0.0" { quantize conv as W8A16 {} require ${condition} }`,
      output: `${await host.scratch()}/${asked.length}.onnx`,
    }).then(
      (r) => r.requires[0],
      (e: Error) => e.message,
    );
  const failed = (await judged('speedup >= 1.5x')) as { passed: boolean; measured: string };
  assert.equal([failed.passed, failed.measured], [false, 'speedup = 1.4x']);
  assert.ok(((await judged('speedup(prefill) >= 1.5x')) as { passed: boolean }).passed);
  assert.match((await judged('speedup(run) >= 1.5x')) as string, /metric-where/);
  assert.is(asked.length, 3);
  const before = asked.length;
  await judged('size <= 1x');
  assert.is(asked.length, before, 'nothing is raced that nobody asks for');
  await host.close();
});
test.run();
