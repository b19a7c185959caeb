/** Three layers, the second behind an outlier channel: FlexQ's search and `bisect` both have to find it. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { type BisectOptions, bisect } from '../../compiler/bisect.ts';
import { valueFrom } from '../../compiler/calibrate/values.ts';
import { dearest } from '../../compiler/driver/halves.ts';
import { qc } from '../cli/qc.ts';
import { gauss, measured, rms, weight, workplace, written } from './toy-model.ts';

const N = 64;
const w = await workplace();
test.after(() => w.close());
const gains = (k: number) => Float32Array.from({ length: N }, (_, c) => (k === 1 && c === 9 ? 40 : 1));
const rows = (seed: number) => ({ x: valueFrom('float32', [48, N], gauss(48 * N, 1, seed)) });
const model = await written(
  w,
  'chain',
  (b) => {
    let x = b.input('x', ['rows', N]);
    for (const k of [0, 1, 2])
      x = b.op('MatMul', [rms(b, x, `norm${k}`, gains(k)), weight(b, `fc${k}.weight`, [N, N], gauss(N * N, 0.1, k))]);
    b.graph.nodes.at(-1)!.outputs[0] = 'y';
    return ['y'];
  },
  { calib: rows(1), held: rows(2) },
);
const find = (text: string, o: Partial<BisectOptions> = {}) =>
  bisect({
    host: w.host,
    model: model.model,
    recipe: 'r.qrecipe',
    text: `recipe r version "1.0.0" {\n  calibrate data("calib")\n${text}\n}\n`,
    data: { calib: model.data.calib },
    ...o,
  });

test('FlexQ: under a budget of one wide input in three, the layer behind the outlier gets it', async () => {
  const { result } = await measured(
    w,
    model,
    `let bits in [6, 8] each linear
quantize weight of linear as int6 { group: 32 }
quantize input of linear as int(bits) { mode: dynamic, group: 32 }
search bits { objective: sqnr(layer), budget: fraction(bits == 8) <= 0.34, method: greedy }`,
  );
  const wide = result.plan.slots.filter((s) => s.port === 'input' && s.what === 'type' && s.type?.bits === 8).map((s) => s.site.path);
  assert.equal(wide, ['fc1']);
});

test('bisect: the port and the statement that cost most, and what cannot be left out', async () => {
  const found = await find(`  quantize weight of linear as int8 { per: channel }
  quantize input of linear as int8 { mode: static }`);
  assert.is(found.metric, 'sqnr');
  assert.is(found.quantized, 6);
  assert.equal([found.ports[0]!.site, found.ports[0]!.port, found.ports[0]!.at], ['fc1', 'input', 'r.qrecipe:4']);
  assert.ok(found.ports[0]!.costs > 5, JSON.stringify(found.ports[0]));
  for (const [i, p] of found.ports.entries()) {
    if (i > 0) assert.ok(p.costs <= found.ports[i - 1]!.costs);
    assert.ok(Math.abs(p.value - p.costs - found.value) < 1e-9);
  }
  assert.equal(
    found.statements.map((s) => s.at),
    ['r.qrecipe:4', 'r.qrecipe:3'],
  );
  assert.ok(found.statements[0]!.costs! > found.statements[1]!.costs!);
});

test('bisect: a transform that helps costs less than nothing; what others need is named', async () => {
  const found = await find(
    `  transform smooth on norm -> linear { alpha: 0.9 }
  transform migrate on norm -> linear
  quantize weight of linear as int8 { per: channel }
  quantize input of migrated as int8 { mode: static, per: channel }`,
    { metric: 'mse', top: 1 },
  );
  assert.is(found.ports.length, 1);
  const of = (line: number) => found.statements.find((s) => s.at === `r.qrecipe:${line}`)!;
  assert.is(of(4).costs, undefined);
  assert.match(of(4).needed!, 'migrated');
  assert.is(typeof of(3).costs, 'number');
  assert.ok(of(6).costs !== undefined || of(6).needed !== undefined);
});

test('qc bisect prints the ranked table', async () => {
  const recipe = join(w.folder, 'r.qrecipe');
  writeFileSync(recipe, 'recipe r version "1.0.0" {\n  calibrate data("calib")\n  quantize input of linear as int8 { mode: static }\n}\n');
  const done = await qc(['bisect', model.model, recipe, '--data', `calib=${model.data.calib}`, '--top', '2', '--quiet']);
  assert.is(done.status, 0, done.err);
  assert.match(done.out, /^sqnr of y: [\d.]+ dB with all of the recipe, on 1 batches; \d+ trials\n/);
  assert.match(done.out, /2 of 3 quantized ports .*\n +\+[\d.]+ +[\d.]+ {2}fc1 input/);
});

test('halving finds the dearest parts without trying all', async () => {
  const costs = Array.from({ length: 64 }, (_, i) => (i === 13 ? 5 : i === 50 ? 3 : 0.01));
  let trials = 0;
  const found = await dearest(
    costs.map((_, i) => i),
    2,
    async (group) => {
      trials++;
      return group.reduce((a, i) => a + costs[i]!, 0);
    },
  );
  assert.equal(
    found.map((f) => f.part),
    [13, 50],
  );
  assert.ok(trials <= 24, `${trials}`);
  assert.equal(await dearest([], 3, async () => 1), []);
});

test('what is measured has to be there', async () => {
  const why = async (o: Partial<BisectOptions>) =>
    find('  quantize weight of linear as int8', o).catch((e: { diagnostics: { code: string }[] }) => e.diagnostics[0]!.code);
  assert.is(await why({ metric: 'sqmr' }), 'unknown-name');
  assert.is(await why({ of: 'z' }), 'compare-output');
});

test.run();
