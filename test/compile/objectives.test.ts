/** Objectives: exact numbers of what they measure, and searches that follow them. */
import { readFileSync } from 'node:fs';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { LayerRows, Metric, Objective } from '../../compiler/define.ts';
import kl from '../../compiler/metrics/kl.ts';
import l1Metric from '../../compiler/metrics/l1.ts';
import block from '../../compiler/objectives/block.ts';
import klTop, { largest } from '../../compiler/objectives/kl_top.ts';
import l1 from '../../compiler/objectives/l1.ts';
import qsur from '../../compiler/objectives/qsur.ts';
import range from '../../compiler/objectives/range_pnorm.ts';
import { QcError } from '../../grammar/diagnostics.ts';
import { planned } from '../plan/help.ts';
import { measured, toyLayer } from '../systems/toy-model.ts';
import { workplace } from './help.ts';

const w = await workplace();
test.after(() => w.close());

const of = (m: Metric, a: number[], b: number[], n = a.length): number => {
  const acc = m.start();
  m.fold(acc, Float32Array.from(a), Float32Array.from(b), n);
  return m.finish(acc);
};
const near = (a: number, b: number, eps = 1e-6) => assert.ok(Math.abs(a - b) <= eps * Math.max(1, Math.abs(b)), `${a} ${b}`);
const layer = (x: number[], weight: number[], n: number, variances: number[]): LayerRows => ({
  x: Float32Array.from(x),
  w: Float32Array.from(weight),
  n,
  spectrum: async () => Float64Array.from(variances),
});
const code = (e: unknown): string => (e instanceof QcError ? e.diagnostics[0]!.code : String(e));

test('kl_top: softmax over the k largest logits of the float row; with all of them it is kl', () => {
  assert.equal([...largest(Float32Array.of(9, 1, 5, 5, 3, 5), 1, 5, 2)], [2, 3]);
  const top = (k: number) => (klTop.metric as (p: { k: number }) => Metric)({ k });
  const [a, b] = [
    [2, 1, 0, -1],
    [1, 2, 5, 5],
  ];
  // logits 2, 1 against 1, 2: p = σ(1), and ln p − ln p̂ is 1 and −1
  const p = 1 / (1 + Math.exp(-1));
  near(of(top(2), a, b), p - (1 - p));
  near(of(top(4), a, b), of(kl, a, b));
  near(of(top(1000), [...a, ...b], [...b, ...a], 4), of(kl, [...a, ...b], [...b, ...a], 4));
  assert.is(top(7).name, 'kl_top(7)');
});

test('l1, block, qsur, range_pnorm', async () => {
  near(of(l1Metric, [1, -2, 3, 0], [0, -2, 5, 1]), 1);
  assert.is(l1.metric, 'l1');
  assert.is(block.scope, 'block');
  const rows = (o: Objective, l: LayerRows, p = {}) => o.rows!(l, p as never);
  // an ellipsoid of variances 4 and 1 in a box of half-width 3: ½ (ln 4 + ln 1)/2 − ln 6; a direction without data has no say
  near((await rows(qsur, layer([3, 0, 0, 1], [], 2, [4, 1]))) as number, Math.log(4) / 4 - Math.log(6));
  near((await rows(qsur, layer([3, 0, 0, 1], [], 2, [4, 1, 0]))) as number, Math.log(4) / 4 - Math.log(6));
  // one row (3, 4) and one weight row (1, 0): ‖x‖₄² / ‖x‖² + 1
  near((await rows(range as never, layer([3, 4], [1, 0], 2, []), { p: 4 })) as number, Math.sqrt(81 + 256) / 25 + 1);
});

const toy = await toyLayer(w);
const searched = (objective: string) => `calibrate data("calib") { samples: 2 }
let a in [0, 1]
transform smooth on norm -> linear { alpha: 0.5, when: a > 0 }
quantize weight of linear as int4 { per: channel }
quantize input of linear as int4 { mode: dynamic, per: token }
search a { objective: ${objective}, method: grid }`;

test('searches by them: smoothing is taken where it lowers what is measured', async () => {
  for (const objective of ['kl_top(16)', 'range_pnorm(10)', 'qsur', 'l1(output("y"))']) {
    const { result } = await measured(w, toy, searched(objective), { on: 'calib' });
    assert.is(result.binding['a'], 1, objective);
  }
  const none = await measured(w, toy, searched('block'), { on: 'calib' }).catch(code);
  assert.is(none, 'metric-where', 'a model without blocks');
});

const data = { data: { calib: 'test/models/vit/calib' } };
const four = 'calibrate data("calib") { samples: 1 }\nquantize weight of linear and block(0..1) as int(b) { per: channel }\n';
test('block: the error of what leaves the blocks; kl_top in a contract; rows are none of outputs', async () => {
  const text = `let b in [2, 8]\n${four}search b { objective: block, method: grid }\nrequire kl_top(3) <= 1\nevaluate kl_top(1000)\nevaluate kl(output("logits"))`;
  const { result } = await w.compiled('vit', text, data);
  assert.is(result.binding['b'], 8);
  assert.match(result.requires[0]!.measured, /^kl_top = \d/);
  near(result.metrics[0]!.value, result.metrics[1]!.value, 1e-9);
  const refused = await w
    .compiled('vit', `let b in [2, 8]\n${four}search b { objective: qsur(output("logits")), method: grid }`, data)
    .catch(code);
  assert.is(refused, 'metric-where');
});

test('rotate { select }: of the restarts the one that it finds best, on the model or on rows; noted in the ledger', async () => {
  const text = (
    select: string,
    restarts = 3,
  ) => `transform rotate on norm -> linear { online: yes, select: ${select}, restarts: ${restarts} }
quantize weight of linear as int4 { per: channel }
quantize input of linear as int4 { mode: dynamic, per: token }
evaluate l1(output("y"))`;
  const ledger = (r: Awaited<ReturnType<typeof measured>>) =>
    r.result.report.ledger.filter((l) => l.what === 'transform rotate').map((l) => l.detail);
  const l1Of = (r: Awaited<ReturnType<typeof measured>>) => r.result.metrics.find((m) => m.name.startsWith('l1'))!.value;
  const chosen = await measured(w, toy, text('l1(output("y"))'), { on: 'calib' });
  const note = /^restart (\d) of 3: l1 (.*)$/.exec(ledger(chosen)[0]!)!;
  const values = note[2]!.split(', ').map(Number);
  assert.is(Number(note[1]), values.indexOf(Math.min(...values)));
  assert.is(new Set(values).size, 3, 'restarts differ');
  near(l1Of(chosen), Math.min(...values), 1e-3);
  const plain = await measured(w, toy, text('kl_top(16)', 1), { on: 'calib' });
  near(l1Of(plain), values[0]!, 1e-3);
  const rows = await measured(w, toy, text('qsur'), { on: 'calib' });
  assert.match(ledger(rows).join(), /restart \d of 3 by qsur/);
  assert.is(await measured(w, toy, text('block')).catch(code), 'metric-where');
});

test('the OSTQuant statement of systems.qrecipe is planned without a planned name', async () => {
  const text = readFileSync('test/fixtures/systems.qrecipe', 'utf8');
  const statement = text.split('\n').find((l) => l.includes('select: kl_top(1000)'))!;
  const p = await planned('llama', `calibrate data("calib")\n${statement}\nquantize weight of linear as int4 { per: channel }`);
  assert.equal(
    p.transforms.map((t) => [t.kind, (t.args['select'] as { name: string }).name]),
    [['rotate', 'kl_top']],
  );
});

test.run();
