/** Inputs of convolutions as a matrix, and moments that wait in files. */
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ofFloats } from '../../compiler/calibrate/values.ts';
import { Folding } from '../../compiler/driver/moments.ts';
import { Shelf } from '../../compiler/driver/shelf.ts';
import { nodeHost } from '../../compiler/node/host.ts';
import { unfolded } from '../../compiler/simulate/unfold.ts';
import { random } from '../crunch/engines.ts';

test('the matrix times the kernel is the convolution', () => {
  const next = random(3);
  const [batch, channels, h, w] = [2, 3, 5, 6] as const;
  const p = { kernel: [3, 2], strides: [2, 1], dilations: [1, 2], pads: [1, 0, 1, 1] };
  const x = Float32Array.from({ length: batch * channels * h * w }, next);
  const kernel = Float32Array.from({ length: channels * 6 }, next);
  const rows = unfolded(ofFloats([batch, channels, h, w], x), p);
  assert.is(rows.channels, channels * 6);
  const [oh, ow] = [3, 5];
  assert.is(rows.x.length, batch * oh * ow * channels * 6);
  const at = (b: number, c: number, y: number, z: number) =>
    y < 0 || y >= h || z < 0 || z >= w ? 0 : x[((b * channels + c) * h + y) * w + z]!;
  for (let b = 0, row = 0; b < batch; b++)
    for (let y = 0; y < oh; y++)
      for (let z = 0; z < ow; z++, row++) {
        let direct = 0;
        for (let c = 0; c < channels; c++)
          for (let i = 0; i < 3; i++)
            for (let j = 0; j < 2; j++) direct += kernel[(c * 3 + i) * 2 + j]! * at(b, c, 2 * y + i - 1, z + 2 * j);
        const product = kernel.reduce((s, k, i) => s + k * rows.x[row * kernel.length + i]!, 0);
        assert.ok(Math.abs(direct - product) < 1e-5, `${b} ${y} ${z}: ${direct} ${product}`);
      }
});

test('moments are the same bits however they wait, in memory or in files, which are written again and few', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'qc-shelf-'));
  const host = await nodeHost();
  const n = 24;
  const next = random(8);
  const batches = Array.from({ length: 30 }, (_, i) => Float32Array.from({ length: (3 + i) * n }, () => next() - 0.5));
  const of = async (limit: number) => {
    const shelf = new Shelf(host, async () => dir, limit);
    const folding = new Folding(host.crunch, shelf, n);
    for (const x of batches)
      await folding.add(
        x,
        x.map((v) => 2 * v),
      );
    const waiting = shelf.bytes;
    const m = await folding.finish();
    assert.is(shelf.bytes, 0);
    return { m, waiting, files: shelf.files };
  };
  const [a, b] = [await of(1 << 30), await of(0)];
  assert.ok(a.waiting > 0 && a.files === 0);
  assert.ok(b.waiting === 0 && b.files > 2 && b.files < batches.length, `${b.files}`);
  assert.is(readdirSync(dir).length, b.files);
  assert.is(
    a.m.rows,
    batches.reduce((s, x) => s + x.length / n, 0),
  );
  assert.equal(a.m, b.m);
  assert.ok(Math.abs(a.m.cross![5]! - 2 * a.m.hessian[5]!) < 1e-9);
  await host.close();
  rmSync(dir, { recursive: true });
});
test.run();
