// Recurrences in integers: what shares a scale, the state inside the Scan, the lowered model against the simulated one.
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { calibrate, dataSource } from '../../compiler/calibrate/index.ts';
import { openModel } from '../../compiler/driver/model.ts';
import { toFloat32 } from '../../compiler/graph/numeric.ts';
import type { Graph, Model } from '../../compiler/graph/types.ts';
import type { Value } from '../../compiler/host.ts';
import { compareOutputs } from '../../compiler/lower/prove.ts';
import { observers } from '../../compiler/observers/index.ts';
import type { Grain } from '../../compiler/plan/types.ts';
import { clusters, sharing } from '../../compiler/simulate/sharing.ts';
import { simulate } from '../../compiler/simulate/simulate.ts';
import type { QuantizedValue } from '../../compiler/simulated.ts';
import type { Site } from '../../compiler/sites.ts';
import { QcError } from '../../grammar/diagnostics.ts';
import { workplace } from '../compile/help.ts';
import { lowerTo, noise, quantized } from '../targets/build.ts';

const w = await workplace();
test.after(() => w.close());
const { host } = w;
const source = await openModel(host, 'test/models/mamba2/model.onnx');
test.after(() => source.close());
const data = { calib: 'test/models/mamba2/calib' };
const all = quantized(source.model, { format: 'int8', grain: { per: 'channel' } });
const layers = all.sites.sites.filter((s) => s.role === 'ssm');
const ssm = layers[0]!;

const bodyOf = (m: Model): Graph => {
  const body = m.graph.nodes.find((n) => n.op === 'Scan')!.attrs.get('body');
  if (body?.type !== 'graph') throw new Error('no body');
  return body.value;
};
const errorOf = async (work: () => Promise<unknown>): Promise<string> => {
  try {
    await work();
  } catch (e) {
    if (e instanceof QcError) return `${e.diagnostics[0]!.code}: ${e.diagnostics[0]!.message}`;
    throw e;
  }
  return 'nothing';
};

test('what shares a scale', () => {
  const shape = (port: string, per: Grain['per']) => sharing(ssm, port, { per } as Grain)?.shape.join();
  assert.equal(
    ['x', 'B', 'dt', 'z', 'state'].map((p) => [p, shape(p, 'channel'), shape(p, 'state_group'), shape(p, 'element')]),
    [
      ['x', '6,64', '6,1', '6,64'],
      ['B', '2,32', '2,1', '2,32'],
      ['dt', '6', '6', '6'],
      ['z', '384', '384', '384'],
      ['state', '6,64,1', '6,1,1', '6,64,32'],
    ],
  );
  assert.is(shape('x', 'tensor'), undefined);
  const flat = new Float64Array(384);
  // three of the six heads share B and C
  assert.equal(
    [...sharing(ssm, 'x', { per: 'state_group' })!.groups(flat, flat)].filter((_, i) => i % 64 === 0),
    [0, 0, 0, 1, 1, 1],
  );
});

test('clusters follow the order of the magnitudes, and there are no more than asked for', () => {
  const most = Float64Array.from({ length: 200 }, (_, i) => 2 ** ((i * 7) % 40) * (1 + i / 1000));
  const label = clusters(most, 16);
  const order = [...most.keys()].sort((a, b) => most[a]! - most[b]!);
  for (const [i, c] of order.entries()) if (i) assert.ok(label[c]! >= label[order[i - 1]!]!);
  assert.ok(new Set(label).size <= 16);
  assert.equal([...clusters(Float64Array.of(1, 1, 1e6, 1e6), 2)], [0, 0, 1, 1]);
});

test('the observer keeps positions apart over batches', async () => {
  const elements = observers.find((o) => o.name === 'elements')! as unknown as {
    start(p: object): unknown;
    fold(s: unknown, b: Value, c: typeof host.crunch, p: object): Promise<unknown>;
    finish(s: unknown): Record<string, Float64Array>;
  };
  const p = { last: 2 };
  const batch = (x: number[]): Value => ({
    dtype: 'float32',
    shape: [x.length / 4, 2, 2],
    bytes: new Uint8Array(Float32Array.from(x).buffer),
  });
  let s = elements.start(p);
  for (const x of [
    [1, 2, 3, 4, -1, 5, 0, 4],
    [0, 0, 9, -7],
  ])
    s = await elements.fold(s, batch(x), host.crunch, p);
  assert.equal([...elements.finish(s)['min']!], [-1, 0, 0, -7]);
  assert.equal([...elements.finish(s)['max']!], [1, 5, 9, 4]);
});

/** One token with states: small enough to run often. */
async function decoding(): Promise<Record<string, Value>> {
  for await (const b of (await dataSource(host, data.calib)).read(source.model.graph))
    if (b.feeds['input_ids']!.shape[1] === 1) return { ...b.feeds };
  throw new Error('no decode sample');
}

test('a state is observed at every step of its Scan', async () => {
  const feeds = await decoding();
  const next = String(ssm.facts['next']);
  const observer = { name: 'elements', args: { last: 3 } };
  const seen = await calibrate({
    host,
    model: source.model,
    dir: source.dir,
    source: {
      describe: 'one',
      async *read() {
        yield { label: 'one', feeds, samples: 1 };
      },
    },
    needs: [{ value: next, observer }],
    hash: '',
  });
  const session = await host.session(source.model, source.dir);
  const out = (await session.run(feeds))[ssm.ports['state']!.value]!;
  await session.close();
  const state = toFloat32('float32', out.bytes);
  const n = 6 * 64 * 32;
  const most = Float32Array.from({ length: n }, (_, i) =>
    Math.max(...Array.from({ length: state.length / n }, (_, b) => state[b * n + i]!)),
  );
  assert.equal([...seen.get(next, observer)['max']!], [...most]);
});

const value = (site: Site, port: string, grain: Grain, symmetric = true): QuantizedValue => {
  const shared = sharing(site, port, grain);
  const count = shared ? shared.shape.reduce((a, b) => a * b, 1) : 1;
  const codes = { kind: 'int', bits: 8, signed: symmetric, lo: symmetric ? -128 : 0, hi: symmetric ? 127 : 255 } as const;
  return {
    site,
    port,
    value: site.ports[port]!.value,
    type: {
      format: { name: 'int', args: { bits: 8 } },
      codes,
      bits: 8,
      symmetric,
      grain,
      mode: 'static',
      law: { name: 'minmax', args: {} },
      scaleType: 'model',
      text: `int8 ${grain.per} ${symmetric}`,
    },
    scale: Float32Array.from({ length: count }, (_, i) => 0.01 + (i % 7) / 200),
    zero: Float32Array.from({ length: count }, (_, i) => (symmetric ? 0 : 100 + (i % 5))),
    ...(shared ? { shape: shared.shape } : {}),
  };
};

for (const [name, grain, symmetric] of [
  ['per element', { per: 'element' }, true],
  ['with zero points', { per: 'channel' }, false],
  ['per tensor', { per: 'tensor' }, true],
] as const)
  test(`lowered as simulated: ${name}`, async () => {
    const values = layers.flatMap((s) => ['x', 'B', 'C', 'dt', 'z', 'state'].map((p) => value(s, p, grain, symmetric)));
    const s = { ...all, weights: [], values };
    const { model } = await lowerTo('portable', s);
    const body = bodyOf(model);
    assert.is(body.inputs[0]!.dtype, 'uint8');
    assert.is(body.outputs[0]!.dtype, 'uint8');
    const feeds = [await decoding()];
    const found = await compareOutputs(host, simulate(s), model, source.dir, feeds);
    assert.ok(Math.max(...found.map((d) => d.relative)) < 1e-4, JSON.stringify(found));
    const apart = await compareOutputs(host, source.model, model, source.dir, feeds);
    assert.ok(Math.max(...apart.map((d) => d.relative)) > 1e-3, 'nothing was rounded');
  });

test('a whole compile: the state is carried in codes, and one scale an element is closer than one a tensor', async () => {
  const text = (per: string) => `calibrate data("calib") { samples: 2 }
quantize x, dt of ssm as int8 { mode: static, per: channel }
quantize B, C of ssm as int8 { mode: static, per: state_group }
quantize z of ssm as int8 { mode: static, per: cluster }
quantize input of conv as int8 { mode: static, per: channel }
quantize weight of conv as int8 { per: channel }
quantize state of ssm as int8 { mode: static, per: ${per}, scale: minmax(margin: 1.1) }
evaluate kl(output("logits"))`;
  const kl: number[] = [];
  for (const per of ['tensor', 'element']) {
    const { result } = await w.compiled('mamba2', text(per), { data });
    assert.ok(result.ok);
    kl.push(result.metrics[0]!.value as number);
  }
  assert.ok(kl[1]! < kl[0]! / 3, kl.join(' '));
});

test('Quamba2: clusters of channels hold x at least 10 dB better than one scale, close to a scale a channel', async () => {
  // Channels of three decades, as systems.md measures; a channel has its own spread.
  const [rows, heads, width] = [256, 6, 64];
  const n = heads * width;
  const seed = noise(rows * n, 5);
  const spread = Float64Array.from({ length: n }, (_, c) => 10 ** ((((c * 37) % n) / n) * 3 - 1.5));
  const x = seed.map((v, i) => v * spread[i % n]!);
  const most = Float64Array.from({ length: n }, (_, c) => Math.max(...Array.from({ length: rows }, (_, r) => Math.abs(x[r * n + c]!))));
  const quality = (per: Grain['per']): number => {
    const group =
      sharing(ssm, 'x', { per } as Grain)?.groups(
        most.map((m) => -m),
        most,
      ) ?? new Int32Array(n);
    const steps = new Float64Array(n);
    for (const [c, g] of group.entries()) steps[g] = Math.max(steps[g]!, most[c]! / 127);
    const sqnr = Array.from({ length: n }, (_, c) => {
      let [signal, error] = [0, 0];
      for (let r = 0; r < rows; r++) {
        const [v, step] = [x[r * n + c]!, steps[group[c]!]!];
        signal += v * v;
        error += (v - step * Math.round(v / step)) ** 2;
      }
      return 10 * Math.log10(signal / error);
    });
    return sqnr.reduce((a, b) => a + b, 0) / n;
  };
  const [tensor, cluster, channel] = [quality('tensor'), quality('cluster'), quality('channel')];
  assert.ok(cluster >= tensor + 10, `${tensor} ${cluster}`);
  assert.ok(cluster >= channel - 6, `${cluster} ${channel}`);
});

test('MambaQuant and Quamba2 of the standard library: transforms are proved equal, every part gets its codes', async () => {
  const { result } = await w.compiled(
    'mamba2',
    'use "@qrecipe/std@^0.1" as std\nrecipe r version "1.0.0" {\n  calibrate data("calib") { samples: 2 }\n  apply std.mambaquant()\n}\n',
    { data },
  );
  const proof = result.report.ledger.find((l) => l.what === 'proof of transforms')!;
  assert.match(proof.detail, /equal those of the float model within \d\.\de-[67]/);
  const ports = new Set(result.plan.slots.map((s) => `${s.site.role}.${s.port}`));
  const wanted = [
    'linear.weight',
    'linear.input',
    'conv.weight',
    'conv.input',
    ...['x', 'B', 'C', 'dt', 'z', 'state'].map((p) => `ssm.${p}`),
  ];
  assert.equal(
    wanted.filter((p) => !ports.has(p)),
    [],
  );
});

test('what cannot be said is an error', async () => {
  const of = (statement: string) => errorOf(() => w.compiled('mamba2', `calibrate data("calib") { samples: 1 }\n${statement}`, { data }));
  assert.match(
    await of('quantize state of ssm as int8 { mode: dynamic, per: tensor }'),
    /^target-refuses: .*a state is carried in its codes/,
  );
  assert.match(await of('quantize x of ssm as int8 { mode: dynamic, per: element }'), /^target-refuses: .*comes from calibration/);
  assert.match(
    await of('quantize input of linear as int8 { mode: static, per: element }'),
    /^target-refuses: .*are for the ports of a recurrence/,
  );
  assert.match(await of('quantize x of ssm as int8 { mode: static, per: channel, scale: mse }'), /^law-activation/);
  assert.match(await of('quantize weight of linear as int8 { scale: minmax(margin: 1.5) }'), /^margin-place/);
});

test.run();
