// The committed models, whole: at least 99 % of the linear and conv weights have codes, and the lowered model is the simulated one.
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { dataSource } from '../../compiler/calibrate/index.ts';
import { openModel } from '../../compiler/driver/model.ts';
import type { Value } from '../../compiler/host.ts';
import { compareOutputs, TOLERANCE } from '../../compiler/lower/prove.ts';
import { nodeHost } from '../../compiler/node/host.ts';
import { simulate } from '../../compiler/simulate/simulate.ts';
import { type Kind, lowerTo, quantized } from './build.ts';

const host = await nodeHost();
const channel = { per: 'channel' } as const;
const int8: Kind = { format: 'int8', grain: channel };
const token: Kind = { format: 'int8', grain: { per: 'token' }, mode: 'dynamic' };
const tensor: Kind = { format: 'uint8', grain: { per: 'tensor' }, mode: 'dynamic' };

const cases: [model: string, target: string, weight: Kind, input: Kind | undefined, op: string][] = [
  ['llama', 'portable', { format: 'int4', grain: { per: 'group', group: 32 } }, undefined, 'DequantizeLinear'],
  ['llama', 'ort', { format: 'int4', grain: { per: 'group', group: 32 } }, undefined, 'MatMulNBits'],
  ['llama', 'ort', int8, token, 'MatMulIntegerToFloat'],
  ['vit', 'portable', int8, token, 'MatMulInteger'],
  ['vit', 'ort', { format: 'fp8', grain: channel }, undefined, 'Cast'],
  ['mlp-conv', 'portable', int8, tensor, 'ConvInteger'],
  ['mlp-conv', 'ort', int8, { format: 'uint8', grain: { per: 'tensor' } }, 'ConvInteger'],
  ['mamba2', 'ort', int8, token, 'MatMulIntegerToFloat'],
  ['mamba2', 'portable', { format: 'int4', grain: channel }, undefined, 'DequantizeLinear'],
];

for (const [name, target, weight, input, op] of cases)
  test(`${name}, ${weight.format}${input ? ` and ${input.format}` : ''}, ${target}`, async () => {
    const source = await openModel(host, `test/models/${name}/model.onnx`);
    try {
      const all = quantized(source.model, weight, input);
      const wide = all.weights.filter((w) => w.site.role !== 'embedding');
      const s = { ...all, weights: wide };
      const sites = s.sites.sites.filter((x) => x.role === 'linear' || x.role === 'conv');
      const { model, emitted } = await lowerTo(target, s);
      const coded = sites.filter((x) => emitted.some((e) => e.site === x.id && e.initializers.length > 0));
      const share = (list: typeof sites) => list.reduce((n, x) => n + x.size, 0);
      assert.ok(share(coded) >= 0.99 * share(sites), `${share(coded)} of ${share(sites)} weights have codes`);
      assert.ok(
        emitted.some((e) => e.ops.includes(op)),
        [...new Set(emitted.flatMap((e) => e.ops))].join(' '),
      );
      const feeds: Record<string, Value>[] = [];
      for await (const batch of (await dataSource(host, `test/models/${name}/calib`)).read(source.model.graph)) {
        feeds.push({ ...batch.feeds });
        break;
      }
      const found = await compareOutputs(host, simulate(s), model, source.dir, feeds);
      const worst = Math.max(...found.map((d) => d.relative));
      assert.ok(worst <= (input ? TOLERANCE.rounded : TOLERANCE.floats), `${worst}`);
    } finally {
      await source.close();
    }
  });

test.after(() => host.close());
test.run();
