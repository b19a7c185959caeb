/** Searches around the pipeline: laws, groups and bits, with budgets, nesting and replay. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { bindingOf } from '../../compiler/driver/metadata.ts';
import { loadModel } from '../../compiler/graph/load.ts';
import { workplace } from './help.ts';

const w = await workplace();
test.after(() => w.close());
const data = { calib: 'test/models/mlp-conv/calib' };

test('the scale law of each layer', async () => {
  const text = `let law in [minmax, mse(40)] each conv
quantize weight of conv as int4 { per: channel, scale: law }
search law { objective: mse(layer), method: sitewise }`;
  const { result } = await w.compiled('mlp-conv', text);
  const chosen = Object.values(result.binding);
  assert.ok(chosen.length >= 7);
  // A grid that holds the full range is never worse than it.
  assert.ok(
    chosen.every((v) => v === 'mse(steps: 40)'),
    chosen.join(),
  );
  assert.ok(result.report.ports.some((p) => p.type?.includes('mse(40')));
});

test('errors of layers are added as they are, and are no metric of an output', async () => {
  const text = (objective: string) => `let b in [4, 2] each conv
quantize weight of conv as int(b) { per: channel }
search b { objective: ${objective}, budget: mean_bits(conv) <= 3, method: greedy }`;
  const [mean, added] = [await w.compiled('mlp-conv', text('mse(layer)')), await w.compiled('mlp-conv', text('layers'))];
  assert.not.equal(added.result.binding, mean.result.binding, 'a small layer with a large mean error gives way to a large layer');
  const error = await w
    .compiled('mlp-conv', text('layers(output("logits"))'), { data })
    .catch((e: { diagnostics: { code: string }[] }) => e);
  assert.is('diagnostics' in error ? error.diagnostics[0]?.code : 'nothing', 'metric-where');
});

test('one group size for the model, judged on its output', async () => {
  const text = `calibrate data("calib") { samples: 4 }
let g in [128, 32, 64]
quantize weight of linear and block(0..-1) as int4 { group: g }
search g { objective: mse(output("logits")), budget: size <= 0.45x, method: grid }
evaluate mse(output("logits"))`;
  const o = { data: { calib: 'test/models/vit/calib' } };
  const { result } = await w.compiled('vit', text, o);
  const errors = new Map<unknown, number>();
  for (const g of [128, 32, 64]) errors.set(g, (await w.compiled('vit', text, { ...o, params: { g } })).result.metrics[0]!.value);
  const best = Math.min(...errors.values());
  assert.is(errors.get(result.binding['g']), best);
  assert.is(result.metrics[0]!.value, best);
});

test('bits under a budget of size, and replay', async () => {
  const text = `let b in [8, 4, 2] each conv
quantize weight of conv as int(b) { per: channel }
search b { objective: sqnr(layer), budget: mean_bits(conv) <= 4.5, method: ilp }
require mean_bits(conv) <= 4.5`;
  const first = await w.compiled('mlp-conv', text);
  assert.ok(first.result.ok);
  const bits = Object.values(first.result.binding);
  assert.ok(new Set(bits).size > 1, bits.join());
  const binding = bindingOf((await loadModel(w.host, first.output)).model)!;
  assert.equal(binding, Object.fromEntries(Object.entries(first.result.binding).sort(([a], [b]) => (a < b ? -1 : 1))));
  const again = await w.compiled('mlp-conv', text, { replay: binding });
  assert.ok(first.bytes().equals(again.bytes()));
  const changed = { ...binding, [Object.keys(binding)[0]!]: binding[Object.keys(binding)[0]!] === 8 ? 4 : 8 };
  assert.not((await w.compiled('mlp-conv', text, { replay: changed })).bytes().equals(first.bytes()));
});

test('inputs weigh the error of a layer where there is calibration data', async () => {
  const text = `calibrate data("calib") { samples: 8 }
let b in [4, 8] each conv
quantize weight of conv as int(b) { per: channel }
search b { objective: mse(layer), budget: mean_bits(conv) <= 5, method: greedy }`;
  const { result } = await w.compiled('mlp-conv', text, { data });
  assert.ok(Object.values(result.binding).includes(4) && Object.values(result.binding).includes(8));
});

test('a search that mentions another variable runs inside its search', async () => {
  const text = `let share in [4, 8]
let b in [2, 4, 8] each conv
quantize weight of conv as int(b) { per: channel }
search b { objective: sqnr(layer), budget: mean_bits(conv) <= share, method: ilp }
search share { objective: sqnr(layer), method: grid }`;
  const { result } = await w.compiled('mlp-conv', text);
  assert.is(result.binding['share'], 8);
  const bits = Object.entries(result.binding).flatMap(([k, v]) => (k.startsWith('b@') ? [v] : []));
  assert.ok(
    bits.every((v) => v === 8),
    bits.join(),
  );
});

test('a parameter with a domain is searched, and given one is not', async () => {
  const text = `recipe r version "1.0.0" (g = 64 in [32, 64, 128]) {
  quantize weight of linear and block(0..-1) as int4 { group: g }
  search g { objective: mse(layer), method: grid }
}`;
  assert.is((await w.compiled('vit', text)).result.binding['g'], 32);
  const pinned = (await w.compiled('vit', text, { params: { g: 128 } })).result;
  assert.equal(pinned.binding, {});
  assert.ok(pinned.report.ports.some((p) => p.type?.includes('group 128')));
});

test.run();
