// Site by site on equal inputs: rounding does not add up, a wrong scale is named.
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { dataSource } from '../../compiler/calibrate/index.ts';
import { openModel } from '../../compiler/driver/model.ts';
import { prove } from '../../compiler/driver/proof.ts';
import type { Run } from '../../compiler/driver/run.ts';
import type { CompileOptions } from '../../compiler/driver/types.ts';
import type { Reader } from '../../compiler/graph/bytes.ts';
import { toFloat64 } from '../../compiler/graph/numeric.ts';
import type { Model, Tensor } from '../../compiler/graph/types.ts';
import type { Value } from '../../compiler/host.ts';
import { numbers } from '../../compiler/lower/make.ts';
import { compareSites, siteTolerance } from '../../compiler/lower/segments.ts';
import { nodeHost } from '../../compiler/node/host.ts';
import type { Planned } from '../../compiler/plan/plan.ts';
import { simulate } from '../../compiler/simulate/simulate.ts';
import { type Kind, lowerTo, quantized } from './build.ts';

const host = await nodeHost({ threads: 1 });
const weights: Kind = { format: 'int8', grain: { per: 'channel' } };
const token: Kind = { format: 'int8', grain: { per: 'token' }, mode: 'dynamic' };
const tensor: Kind = { format: 'uint8', grain: { per: 'tensor' }, mode: 'dynamic' };
const fixed: Kind = { format: 'uint8', grain: { per: 'tensor' } };
const four: Kind = { format: 'int4', grain: { per: 'tensor' } };

const cases: [model: string, target: string, input: Kind | undefined][] = [
  ['vit', 'portable', token],
  ['vit', 'ort', fixed],
  ['vit', 'ort', four],
  ['mlp-conv', 'portable', tensor],
  ['mlp-conv', 'ort', fixed],
  ['llama', 'ort', token],
  ['llama', 'ort', undefined],
];

for (const [name, target, input] of cases)
  test(`${name}, ${input ? `${input.format} ${input.grain.per}` : 'weights'}, ${target}`, async () => {
    const source = await openModel(host, `test/models/${name}/model.onnx`);
    try {
      const s = quantized(source.model, weights, input);
      const { model, emitted } = await lowerTo(target, s);
      const calib = `test/models/${name}/calib`;
      const feeds: Record<string, Value>[] = [];
      for await (const batch of (await dataSource(host, calib, { samples: 4 })).read(source.model.graph)) feeds.push({ ...batch.feeds });
      const compare = (m: Model) => compareSites(host, simulate(s), m, s.sites, source.dir, feeds[0]!);
      const found = await compare(model);
      const limit = siteTolerance(s);
      assert.ok(found.length >= source.sites.blocks.length, `${found.length} pieces`);
      const worst = found.reduce((a, b) => (a.relative > b.relative ? a : b));
      assert.ok(worst.relative <= limit, `${worst.name} ${worst.relative}`);

      const site = s.weights.filter((w) => w.site.role === 'linear').at(-3)!.site;
      const held = emitted.find((e) => e.site === site.id)!.initializers;
      const wrong = new Map(model.graph.initializers);
      const scale = held.find((i) => wrong.get(i)?.dtype === 'float32' && /scale/.test(i))!;
      assert.ok(scale, held.join());
      wrong.set(scale, await scaled(wrong.get(scale)!, 1.25, source.reader));
      const broken: Model = { ...model, graph: { ...model.graph, initializers: wrong } };
      const named = (await compare(broken)).filter((d) => !(d.relative <= limit));
      assert.equal(
        named.map((d) => d.name),
        [site.id],
      );

      if (input !== token) return;
      const proof = (m: Model) =>
        prove({
          plan: {} as Planned,
          source,
          simulated: s,
          lowered: { model: m, emitted },
          options: { host, data: { eval: calib } } as unknown as CompileOptions,
          run: { note: () => {} } as unknown as Run,
        }).then(
          () => '',
          (e: Error) => e.message,
        );
      assert.is(await proof(model), '');
      assert.match(await proof(broken), `not-proved: ${site.id}: "`);
    } finally {
      await source.close();
    }
  });

const scaled = async (t: Tensor, factor: number, reader: Reader): Promise<Tensor> =>
  numbers(
    'float32',
    t.shape,
    Float32Array.from(toFloat64('float32', await reader.bytes(t)), (x) => x * factor),
  );

test.after(() => host.close());
test.run();
