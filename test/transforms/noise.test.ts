/** A fixed row before rounding: exact in float wherever it goes, and never worse than none. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { noiseRow, searchNoise } from '../../compiler/fold/noise.ts';
import { nodeHost } from '../../compiler/node/host.ts';
import { qtype } from '../targets/build.ts';
import { biased, layer, linear } from './graphs.ts';
import { apply, built, distance, refusal } from './help.ts';

const host = await nodeHost({ threads: 1 });
test.after(() => host.close());
const N = 32;
const int4 = qtype({ format: 'int4', grain: { per: 'tensor' }, mode: 'static' });
const edge = { from: 'ln', to: 'fc' };

/** Normal numbers through `f`, [rows, N]. */
function values(f: (x: number) => number): Float32Array {
  const normal = noiseRow('a sample', 512 * N, 'normal');
  return Float32Array.from(normal, f);
}
const gelu = (x: number): number => 0.5 * x * (1 + Math.tanh(0.7978845608 * (x + 0.044715 * x ** 3)));
const flat = new Float64Array(N).fill(1);
const row = noiseRow('row', N, 'uniform');
const gain = (sample: Float32Array, mean: number | { points: number }, amplitude: number | { points: number }) => {
  // Fourteen steps of .3: what the quantizer has where values lie near half of a step.
  const { gain: share } = searchNoise(sample, [-2.1, 2.1], row, flat, int4, { clip: 1, mean, amplitude });
  return -10 * Math.log10(share);
};

test('where values crowd near half a step, noise gains and a shift gains more; elsewhere nothing is lost', () => {
  const crowded = values(gelu);
  const [noise, shift] = [gain(crowded, 0, { points: 200 }), gain(crowded, { points: 100 }, { points: 200 })];
  assert.ok(noise >= 0.8, `noise ${noise} dB`);
  assert.ok(shift >= 2.5, `shift ${shift} dB`);
  assert.ok(shift >= noise);
  const plain = values((x) => x);
  assert.ok(gain(plain, { points: 40 }, { points: 40 }) >= 0);
});

test('gain by residue: noise helps where all values lie near half a step, and not where they lie near codes', () => {
  const share = (residue: number) => {
    // Thirteen steps of 1 between −7 and 7, all values at one residue.
    const sample = Float32Array.from({ length: 512 * N }, (_, i) => ((i * 7) % 13) - 6 + residue);
    return searchNoise(sample, [-7, 7], row, flat, int4, { clip: 1, mean: 0, amplitude: { points: 200 } }).gain;
  };
  const [near, third, far, most] = [share(0.2), share(0.3), share(0.4), share(0.45)];
  console.log(`error at residues .2 .3 .4 .45: ${[near, third, far, most].map((x) => x.toFixed(2)).join(' ')}`);
  assert.is(near, 1);
  assert.ok(third <= 0.95 && far <= 0.5 && most <= 0.4 && most < far && far < third);
});

test('exact in float: folded into a norm, or an addition before the reader', async () => {
  const folded = built((g) => [biased(g, layer(g, g.input('x', [1, 5, N]), 'ln', N), 'fc', N, 8)]);
  const fixed = { mean: 0.3, amplitude: 0.8 };
  const a = await apply(host, folded, 'noise', { edges: [edge] }, fixed, () => int4);
  assert.match(a.applied[0]!.detail, 'folded');
  assert.is(a.model.graph.nodes.length, folded.model.graph.nodes.length);
  assert.ok((await distance(host, folded.model, a.model)) < 1e-5);
  const fc = a.sites.sites.find((s) => s.path === 'fc')!;
  assert.is((fc.facts['fixed_input'] as readonly number[]).length, 2);

  const explicit = built((g) => {
    const up = biased(g, g.input('x', [1, 5, N]), 'up', N, N);
    return [linear(g, g.op('Mul', [up, g.op('Sigmoid', [up])]), 'fc', N, 8)];
  });
  const b = await apply(host, explicit, 'noise', { edges: [{ from: 'up', to: 'fc' }] }, fixed, () => int4);
  assert.match(b.applied[0]!.detail, 'an addition');
  assert.ok((await distance(host, explicit.model, b.model)) < 1e-5);
});

test('refused without a static integer type', async () => {
  const b = built((g) => [biased(g, layer(g, g.input('x', [1, 5, N]), 'ln', N), 'fc', N, 8)]);
  const why = 'not-quantized: ln -> fc: what is read gets no static integer type with one step';
  assert.is(await refusal(() => apply(host, b, 'noise', { edges: [edge] }, {})), why);
});

test.run();
