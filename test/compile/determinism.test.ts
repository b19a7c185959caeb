/** Same model, statistics and recipe: same bytes, from every instruction set and from wasm. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { loadCrunch } from '../../runtime/crunch.ts';
import { workplace } from './help.ts';

const text = `calibrate data("calib") { samples: 8 }
quantize weight of linear or conv as int8 { per: channel, scale: mse(20) }
quantize input of linear or conv as uint8 { mode: static, scale: percentile(99.9) }`;

test('from the same statistics come the same bytes', async () => {
  const w = await workplace();
  const first = await w.compiled('mlp-conv', text, { data: { calib: 'test/models/mlp-conv/calib' }, target: 'ort' });
  const stats = first.result.files.find((f) => f.path.endsWith('.qstats'))!.path;
  const again = await w.compiled('mlp-conv', text, { stats, target: 'ort' });
  assert.is(again.result.files.length, 1, 'a record that was given is not written again');
  const reference = again.bytes();
  const seen: string[] = [];
  for (const isa of ['scalar', 'avx2', 'wasm']) {
    const before = process.env['QC_ISA'];
    if (isa !== 'wasm') process.env['QC_ISA'] = isa;
    const crunch = await loadCrunch(isa === 'wasm' ? { prefer: 'wasm' } : {});
    if (before === undefined) delete process.env['QC_ISA'];
    else process.env['QC_ISA'] = before;
    seen.push(`${crunch.kind} ${crunch.isa}`);
    const other = await workplace(crunch);
    assert.ok(reference.equals((await other.compiled('mlp-conv', text, { stats, target: 'ort' })).bytes()), isa);
    await other.close();
    await crunch.close();
  }
  assert.is(new Set(seen).size, seen.length, seen.join(', '));
  await w.close();
});

test('a record of another model is refused', async () => {
  const w = await workplace();
  const first = await w.compiled('mlp-conv', text, { data: { calib: 'test/models/mlp-conv/calib' } });
  const stats = first.result.files.find((f) => f.path.endsWith('.qstats'))!.path;
  let message = '';
  await w.compiled('vit', text, { stats }).catch((e: Error) => {
    message = e.message;
  });
  assert.match(message, 'stats-mismatch');
  await w.close();
});

test.run();
