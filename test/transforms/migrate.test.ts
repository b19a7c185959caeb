/** Steps that move into norm and weight, channels that are split, scales by AWQ. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { floats } from '../../compiler/calibrate/values.ts';
import { copiesOf } from '../../compiler/fold/split.ts';
import { toFloat32 } from '../../compiler/graph/numeric.ts';
import { nodeHost } from '../../compiler/node/host.ts';
import type { QType } from '../../compiler/plan/types.ts';
import type { Site } from '../../compiler/sites.ts';
import type { Builder } from '../roles/build.ts';
import { biased, gated, layer, linear, rms } from './graphs.ts';
import { apply, built, distance, type Edge, feedsOf, int, refusal, run } from './help.ts';

const host = await nodeHost({ threads: 1 });
test.after(() => host.close());

const types =
  (input: QType | undefined, weight: QType | undefined = int(4)) =>
  (_: Site, port: string) =>
    port === 'input' ? input : weight;
const edges: Edge[] = [
  { from: 'norm', to: 'mlp.gate_proj' },
  { from: 'norm', to: 'mlp.up_proj' },
];
const model =
  (norm: typeof rms, o: { tap?: boolean } = {}) =>
  (b: Builder): string[] => {
    const y = norm(b, b.input('x', [7, 16], 'float32'), 'norm', 16);
    return [gated(b, y, 'mlp', 16, 24), ...(o.tap ? [y] : [])];
  };

for (const [name, norm] of [
  ['RMSNorm', rms],
  ['LayerNorm', layer],
] as const)
  test(`migrate: ${name} yields multiples of steps, and the model stays`, async () => {
    const b = built(model(norm));
    const after = await apply(host, b, 'migrate', { edges }, {}, types(int(8)));
    assert.match(after.applied[0]!.detail, /^16 steps .* moved from rounding into norm and the weights$/);
    assert.ok((await distance(host, b.model, after.model)) < 1e-5);
    const value = after.sites.sites.find((s) => s.path === 'mlp.up_proj')!.ports['input']!.value;
    const x = floats((await run(host, after.model, [value], feedsOf(b.model)))[value]!);
    const most = Array.from({ length: 16 }, (_, c) => Math.max(...x.filter((_v, i) => i % 16 === c).map(Math.abs)));
    for (const m of most) assert.ok(Math.abs(m - 127) < 1e-3, `${m}`);
  });

test('migrate: a law with a grid clips channels where that rounds better', async () => {
  const b = built(model(rms));
  const law = { name: 'mse', args: { steps: 20, shrink: 0.5, p: 2 } };
  const after = await apply(host, b, 'migrate', { edges }, {}, types(int(4, { law })));
  assert.match(after.applied[0]!.detail, /; \d+ channels clipped$/);
  assert.ok((await distance(host, b.model, after.model)) < 1e-5);
});

test('migrate is refused, with the reason', async () => {
  const on = (b: ReturnType<typeof built>, list: Edge[], input: QType | undefined) =>
    refusal(() => apply(host, b, 'migrate', { edges: list }, {}, types(input)));
  const b = built(model(rms));
  assert.match(await on(b, edges, undefined), /^not-quantized: .*is float; migration needs/);
  assert.match(await on(b, edges, int(8, { mode: 'dynamic', text: 'int8 dynamic' })), /^not-quantized: .*int8 dynamic/);
  assert.match(await on(b, edges, int(8, { law: { name: 'entropy', args: {} } })), /^not-quantized: .*entropy has no grid/);
  assert.match(await on(b, edges.slice(1), int(8)), /^reader-left-out: .*gate_proj/);
  assert.match(await on(built(model(rms, { tap: true })), edges, int(8)), /^model-output: /);
  const two = built((g) => [linear(g, biased(g, g.input('x', [3, 8]), 'fc1', 8, 8), 'fc2', 8, 8)]);
  assert.match(await on(two, [{ from: 'fc1', to: 'fc2' }], int(8)), /^no-producer: .*into a linear/);
});

test('split: large channels become several, the model stays', async () => {
  for (const norm of [rms, layer]) {
    const b = built(model(norm));
    const after = await apply(host, b, 'split', { edges }, { law: { name: 'median', args: { times: 2 } } });
    assert.match(after.applied[0]!.detail, /^\d+ channels split, the widest into \d+; 16 → \d+ channels$/);
    assert.ok((await distance(host, b.model, after.model)) < 1e-6, `${await distance(host, b.model, after.model)}`);
    const up = after.sites.sites.find((s) => s.path === 'mlp.up_proj')!;
    const width = after.model.graph.initializers.get(up.ports['weight']!.value)!.shape[0]!;
    assert.ok(width > 16);
    assert.is(up.ports['weight']!.shape![0], width);
    assert.is(up.ports['input']!.shape!.at(-1), width);
    // and the steps of what was split move on
    const both = await apply(host, after, 'migrate', { edges }, {}, types(int(8)));
    assert.ok((await distance(host, b.model, both.model)) < 1e-5);
  }
});
test('split: with a width, what matters least is merged, and that is said to be approximate', async () => {
  const b = built(model(rms));
  const wide = await apply(host, b, 'split', { edges }, { law: { name: 'median', args: { times: 1 } }, copies: 4 });
  const after = await apply(host, b, 'split', { edges }, { law: { name: 'median', args: { times: 1 } }, copies: 4, width: 1.2 });
  assert.is(wide.applied[0]!.approximate, undefined);
  assert.is(after.applied[0]!.approximate, true);
  assert.match(after.applied[0]!.detail, /; 16 → 19 channels, \d+ merged into others$/);
  assert.ok((await distance(host, b.model, after.model)) < 0.5);
  assert.match(await refusal(() => apply(host, b, 'split', { edges: edges.slice(1) }, {})), /^reader-left-out/);
});
test('split: copies by the median', () => {
  assert.equal(copiesOf([1, 1, 1, 3, 100], 2, 32), Int32Array.of(1, 1, 1, 2, 32));
  assert.equal(copiesOf([0, 0, 0], 2, 32), Int32Array.of(1, 1, 1));
});

test('awq: scales lower the error of quantized weights, and fold', async () => {
  const b = built(model(rms));
  const law = { name: 'awq', args: { grid: 10 } };
  const after = await apply(host, b, 'scale', { edges }, { law }, types(undefined));
  assert.ok((await distance(host, b.model, after.model)) < 1e-5);
  assert.not.match(after.applied[0]!.detail, 'scales 1.00 to 1.00');
  const error = async (m: typeof b) => {
    const up = m.sites.sites.find((s) => s.path === 'mlp.up_proj')!;
    const w = m.model.graph.initializers.get(up.ports['weight']!.value)!;
    const bytes =
      w.source.kind === 'lazy'
        ? (
            await w.source.lazy.evaluate({
              crunch: host.crunch,
              bytes: async (t) => (t.source as { bytes: Uint8Array }).bytes,
              mapped: () => undefined,
            })
          )['folded']!
        : (w.source as { bytes: Uint8Array }).bytes;
    const x = floats((await run(host, m.model, [up.ports['input']!.value], feedsOf(b.model)))[up.ports['input']!.value]!);
    const rows = toFloat32('float32', bytes);
    let sum = 0;
    for (let r = 0; r < 7; r++)
      for (let o = 0; o < 24; o++) {
        const most = Math.max(...Array.from({ length: 16 }, (_, k) => Math.abs(rows[k * 24 + o]!))) / 7;
        let y = 0;
        for (let k = 0; k < 16; k++) y += x[r * 16 + k]! * (rows[k * 24 + o]! - Math.round(rows[k * 24 + o]! / most) * most);
        sum += y * y;
      }
    return sum;
  };
  assert.ok((await error(after as never)) < (await error(b)));
  assert.match(await refusal(() => apply(host, b, 'scale', { edges }, { law }, () => undefined)), /^not-quantized: .*stays float/);
});

test.run();
