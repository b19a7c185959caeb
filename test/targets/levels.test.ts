/** Logarithmic codes: their levels, and what targets emit for them. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { levelValues } from '../../compiler/simulate/levels.ts';
import { workplace } from '../compile/help.ts';

const w = await workplace();
test.after(() => w.close());

const CALIBRATE = 'calibrate data("calib") { samples: 4 }\n';

/** SQNR in dB of softmax rows of `n` random scores under levels; dynamic counts from the row's largest and keeps its sum. */
function sqnr(levels: Float32Array, ratio: number, dynamic: boolean, n = 64): number {
  let state = 12345;
  const uniform = () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return (state + 1) / (2 ** 32 + 1);
  };
  const normal = () => Math.sqrt(-2 * Math.log(uniform())) * Math.cos(2 * Math.PI * uniform());
  let [error, energy] = [0, 0];
  for (let row = 0; row < 200; row++) {
    const scores = Array.from({ length: n }, () => Math.exp(2 * normal()));
    const total = scores.reduce((a, b) => a + b, 0);
    const x = scores.map((s) => s / total);
    const top = dynamic ? Math.max(...x) : 1;
    const l = x.map((v) => levels[Math.min(levels.length - 1, Math.max(0, Math.round(-Math.log(v / top) / Math.log(ratio))))]!);
    const sum = l.reduce((a, b) => a + b, 0);
    for (const [i, v] of x.entries()) {
      const y = dynamic ? l[i]! / sum : l[i]!;
      error += (v - y) ** 2;
      energy += v * v;
    }
  }
  return 10 * Math.log10(energy / error);
}

test('levels are powers, odd ones of √2 by a shift and one factor; the last is zero', () => {
  assert.equal([...levelValues({ ratio: 2, bits: 3 })], [1, 0.5, 0.25, 0.125, 2 ** -4, 2 ** -5, 2 ** -6, 0]);
  const half = levelValues({ ratio: Math.SQRT2, bits: 4 });
  for (let q = 0; q < 15; q++) assert.ok(Math.abs(half[q]! - Math.SQRT2 ** -q) < 1e-7, `${q}`);
  // RepQuant's reparametrisation of log√2 to log2 is exact: a power of two under one of two scales, by the parity of the code.
  for (const bits of [4, 6])
    for (const [q, x] of levelValues({ ratio: Math.SQRT2, bits }).subarray(0, -1).entries())
      assert.is(x, Math.fround(2 ** -Math.ceil(q / 2) * [1, Math.fround(Math.SQRT2)][q % 2]!), `${bits} ${q}`);
  assert.is(half[15], 0);
});

test('√2 has three decibels more than 2 on softmax rows, and a row that counts from its largest value has more again', () => {
  const [two, root] = [levelValues({ ratio: 2, bits: 4 }), levelValues({ ratio: Math.SQRT2, bits: 4 })];
  const [a, b, c] = [sqnr(two, 2, false), sqnr(root, Math.SQRT2, false), sqnr(root, Math.SQRT2, true)];
  assert.ok(b > a + 3, `log2 ${a} dB, log_sqrt2 ${b} dB`);
  assert.ok(c > b, `static ${b} dB, dynamic ${c} dB`);
});

const cases: readonly (readonly [format: string, mode: string])[] = [
  ['log_sqrt2(4)', 'dynamic'],
  ['log_sqrt2(5)', 'static'],
  ['log2(4)', 'dynamic'],
];
for (const [format, mode] of cases)
  for (const target of ['portable', 'ort'])
    test(`probs of attention as ${format} ${mode}, ${target}: the lowered model is the simulated one`, async () => {
      const { result } = await w.compiled('vit', `${CALIBRATE}quantize probs of attention as ${format} { mode: ${mode} }`, {
        target,
        data: { calib: 'test/models/vit/calib' },
      });
      const port = result.report.ports.find((p) => p.port === 'probs')!;
      assert.match(port.type!, new RegExp(`^${format.slice(0, -3)}.*${mode}$`));
      assert.match(result.report.ledger.find((l) => l.what === 'proof')!.detail, 'equal');
    });

test.run();
