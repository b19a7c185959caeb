/** `clip: grid`: ranges of weights are searched by what they do to the output, which takes data. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { QcError } from '../../grammar/diagnostics.ts';
import { workplace } from './help.ts';

const w = await workplace();
test.after(() => w.close());
const data = { data: { calib: 'test/models/llama/calib' } };
const calibrate = 'calibrate data("calib") { samples: 2 }\n';
const down = (fields: string) => `quantize weight of path("layers.{0,1}.mlp.{up,down}_proj") as int4 { group: 32, ${fields} }`;
const distance = async (text: string): Promise<number> => {
  const { result } = await w.compiled('llama', `${calibrate}${text}\nevaluate mse(output("logits"))`, data);
  return result.metrics[0]!.value;
};

test('the output is nearer to float than with ranges that look at the weight alone', async () => {
  const [grid, mse] = [
    await distance(down('clip: grid(20, shrink: 0.5)')),
    await distance(down('scale: mse(20, shrink: 0.5, p: 2, signed: no)')),
  ];
  assert.ok(grid < mse, `${grid} ${mse}`);
});

test('members that are skipped keep their whole range', async () => {
  const skipped = await w.compiled('llama', `${calibrate}${down('clip: grid(20, skip: [up, down])')}`, data);
  const whole = await w.compiled('llama', `${calibrate}${down('scale: minmax')}`, data);
  const errors = (c: typeof whole) => c.result.report.ports.flatMap((p) => (p.weightSqnr === undefined ? [] : [p.weightSqnr]));
  assert.is(errors(whole).length, 4);
  assert.equal(errors(skipped), errors(whole));
});

test('without data it is refused', async () => {
  const code = await w.compiled('llama', down('clip: grid(20)')).then(
    () => 'none',
    (e) => (e as QcError).diagnostics[0]!.code,
  );
  assert.is(code, 'calibration-missing');
});

for (const [name, text, code] of [
  ['a law over data for a dynamic scale', 'quantize input of linear as int8 { mode: dynamic, per: token, scale: mse }', 'law-dynamic'],
  ['levels in the wrong order', 'quantize weight of linear as progressive(int4, uint8(group: 32))', 'bad-format'],
] as const)
  test(`${name} is refused`, async () => {
    const found = await w.compiled('llama', text).then(
      () => 'none',
      (e) => (e as QcError).diagnostics[0]!.code,
    );
    assert.is(found, code);
  });
test.run();
