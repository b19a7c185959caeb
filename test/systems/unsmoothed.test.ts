/** SmoothQuant+: strength 0 is no transform, so that the search is never worse than rounding on the data it looks at. */
import { readFileSync } from 'node:fs';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { planned } from '../plan/help.ts';
import { measured, toyLayer, workplace } from './toy-model.ts';

const w = await workplace();
test.after(() => w.close());
const toy = await toyLayer(w);
const rounded = 'quantize weight of linear as uint4 { group: 64 }';
/** The statements of std.smoothquant_plus; the toy has norm and linear only. */
const plus = (grid: string) => `recipe plus version "1.0.0" (alpha = 0 in ${grid}) {
  calibrate data("calib")
  transform smooth on norm -> linear { alpha: alpha, when: alpha > 0 }
  ${rounded}
  search alpha { objective: kl(output("y")), method: grid }
  evaluate kl(output("y"))
}`;
const kl = (r: Awaited<ReturnType<typeof measured>>): number => r.result.metrics.find((m) => m.name.startsWith('kl'))!.value;

test('at 0 the model is the rounded one, and the ledger has no transform', async () => {
  const none = await measured(w, toy, `${rounded}\nevaluate kl(output("y"))`, { on: 'calib' });
  const zero = await measured(w, toy, plus('[0]'), { on: 'calib' });
  assert.is(kl(zero), kl(none));
  assert.is(zero.result.report.ledger.filter((l) => l.what.startsWith('transform')).length, 0);
  const chosen = await measured(w, toy, plus('[0, 0.5, 1]'), { on: 'calib' });
  assert.ok(kl(chosen) <= kl(none));
  assert.is.not(chosen.result.binding['alpha'], 0, 'outlier channels want smoothing');
});

test('the recipe of the library says it so', async () => {
  const text = readFileSync('stdlib/systems/smoothquant_plus.qrecipe', 'utf8');
  const at = async (alpha: number) => (await planned('llama', text, { params: { alpha, group: 32 } })).transforms.length;
  assert.equal([await at(0), await at(0.05), await at(1)], [0, 3, 3]);
});

test.run();
