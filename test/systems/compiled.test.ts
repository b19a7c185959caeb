/** Acceptance checks of systems.md that run through the compiler on small models, measured on data that was not seen. Numbers in comments: measured, then frozen. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { valueFrom } from '../../compiler/calibrate/values.ts';
import { attention } from '../transforms/graphs.ts';
import { N } from '../transforms/toy.ts';
import { before, gauss, measured, rms, toyLayer, weight, workplace, written } from './toy-model.ts';

const w = await workplace();
test.after(() => w.close());
const toy = await toyLayer(w);
const dB = async (text: string, on: 'calib' | 'held' = 'held') => (await measured(w, toy, text, { on })).dB;
const shown = (values: Readonly<Record<string, number>>) =>
  console.log(
    Object.entries(values)
      .map(([k, v]) => `${k} ${v.toFixed(1)}`)
      .join(', '),
  );

const plus = `recipe plus version "1.0.0" (alpha = 0.5 in 0..1 by 0.5) {
  calibrate data("calib")
  transform smooth on norm -> linear { alpha: alpha }
  quantize weight of linear as int4 { group: 32 }
  search alpha { objective: mse(output("y")), method: grid }
  evaluate mse(output("y"))
}`;
test('SmoothQuant+: one α for the model is the argmin of the loss of its output, end points included', async () => {
  const searched = await measured(w, toy, plus, { on: 'calib' });
  const losses = new Map<number, number>();
  for (const alpha of [0, 0.5, 1]) losses.set(alpha, (await measured(w, toy, plus, { on: 'calib', params: { alpha } })).dB);
  const chosen = Number(searched.result.binding['alpha']);
  assert.is(losses.get(chosen), Math.min(...losses.values()));
  const proof = searched.result.report.ledger.find((l) => l.what === 'proof of transforms')!;
  assert.ok(Number(/within ([\d.e-]+)/.exec(proof.detail)![1]) <= 1e-5);
});

test('SmoothQuant+, AWQ: four-bit weights gain 5 dB and more', async () => {
  const w4 = 'quantize weight of linear as int4 { group: 32 }';
  const found = {
    none: await dB(w4),
    smooth: await dB(`transform smooth on norm -> linear { alpha: 0.3 }\n${w4}`),
    awq: await dB(`transform scale on norm -> linear { law: awq(20) }\n${w4}`),
  };
  shown(found); // none 20.9, smooth 29.4, awq 30.7
  assert.ok(found.smooth >= found.none + 5 && found.awq >= found.none + 5);
});

test('LLMC: scales, clipping, solving lower the error in that order, 2 dB and more in all', async () => {
  const stage = (scale: string, clip: string, solve: string) =>
    dB(`${scale}\nquantize weight of linear as uint4 { per: channel${clip} }\n${solve}`, 'calib');
  const awq = 'transform scale on norm -> linear { law: awq(20) }';
  const clip = ', clip: grid(20, shrink: 0.5)';
  const found = {
    rounded: await stage('', '', ''),
    scaled: await stage(awq, '', ''),
    clipped: await stage(awq, clip, ''),
    solved: await stage(awq, clip, 'solve gptq on linear { order: hessian, static_groups: yes }'),
  };
  shown(found); // rounded 20.3, scaled 25.9, clipped 26.3, solved 28.0
  assert.ok(found.scaled >= found.rounded && found.clipped >= found.scaled && found.solved >= found.clipped);
  assert.ok(found.solved >= found.rounded + 2);
});

const weights = 'quantize weight of linear as int4 { per: channel, scale: mse(40, shrink: 0.6) }';
const split = 'transform split on norm -> linear { law: median(4) }';
const migrated = `transform migrate on norm -> linear
${weights}
quantize input of migrated as int4 { mode: static, per: channel, scale: mse(20, shrink: 0.5) }`;
test('MergeQuant: static steps near scales by token, far above one static scale; splitting brings what migration took', async () => {
  const found = {
    tensor: await dB(`${weights}\nquantize input of linear as int4 { mode: static }`),
    token: await dB(`${weights}\nquantize input of linear as int4 { mode: dynamic, per: token }`),
    migrated: await dB(migrated),
    split: await dB(`${split}\n${migrated}`),
  };
  shown(found); // tensor 12.5, token 14.6, migrated 14.4, split 18.2
  assert.ok(found.split >= found.token - 1 && found.split >= found.tensor + 3 && found.split >= found.migrated + 2);
  assert.ok((await dB(split)) >= 120, 'splitting alone is the float model within 1e-6');
});

test('MergeQuant: nothing is computed between norm and product but a saturating cast to bytes and the choice of channels', async () => {
  const { output } = await measured(w, toy, `${split}\n${migrated}`, { target: 'ort' });
  const path = await before(w, output, (op) => op.startsWith('MatMul'));
  const cast = ['Cast', 'Gather', 'Clip', 'DequantizeLinear', 'QuantizeLinear'];
  assert.equal(path.filter((op) => !cast.includes(op)).slice(1), ['Mul', 'Div'], path.join(' < '));
});

test('SVDQuant: a branch of an eighth of the rank brings 6 dB, more rank more, the full rank the float model', async () => {
  const at = (rank?: number) => {
    const branch = rank ? `transform lowrank on linear { rank: ${rank}, iterations: 4, factors: float32 }` : '';
    return dB(`transform smooth on norm -> linear
${branch}
quantize weight of linear as int4 { per: channel }
quantize input of linear as int4 { mode: dynamic, per: token }`);
  };
  const found = { none: await at(), 16: await at(16), 32: await at(32), 128: await at(N) };
  shown(found); // none 18.8, 25.8, 28.5, 127
  assert.ok(found[16] >= found.none + 6 && found[16] < found[32] && found[128] >= 100);
});

test('MixDQ: behind a constant token 50 times as large, the other tokens gain 20 dB and more in eight bits', async () => {
  const [tokens, n] = [9, 64];
  const start = gauss(n, 50, 5);
  const text = (seed: number) => {
    const x = gauss(16 * tokens * n, 1, seed);
    return {
      x: valueFrom(
        'float32',
        [16, tokens, n],
        x.map((v, i) => (Math.floor(i / n) % tokens === 0 ? start[i % n]! : v)),
      ),
    };
  };
  const model = await written(
    w,
    'text',
    (b) => {
      const y = b.op('MatMul', [b.input('x', ['batch', tokens, n]), weight(b, 'to_k.weight', [n, n], gauss(n * n, 0.1, 6))]);
      const part = (from: number, to: number, name: string) => {
        b.op('Slice', [y, b.ints(from), b.ints(to), b.ints(1)]);
        b.graph.nodes.at(-1)!.outputs[0] = name;
        return name;
      };
      return [part(0, 1, 'first'), part(1, tokens, 'y')];
    },
    { calib: text(7), held: text(8) },
  );
  const numbers = 'quantize input of linear as int8 { mode: static }\nevaluate sqnr(output("first"))';
  const plain = await measured(w, model, numbers);
  const apart = await measured(w, model, `transform token_split on linear { token: 0 }\n${numbers}`);
  const [first, rest] = [apart.result.metrics[0]!.value, apart.result.metrics[1]!.value];
  shown({ plain: plain.result.metrics[1]!.value, apart: rest, first });
  assert.ok(rest >= plain.result.metrics[1]!.value + 20);
  // The constant row is rounded once from float64: nearer than the product in float32, so equal to its rounding, not bit for bit.
  assert.ok(first >= 120);
});

test('QoQ: four-bit keys with an outlier channel gain 5 dB and more when queries take its scale', async () => {
  const [n, d, t] = [32, 32, 24];
  const heads = { heads: 2, kv: 2, d, t, rope: 'half' as const };
  const feeds = (seed: number) => {
    const none = valueFrom('float32', [1, 2, 0, d], new Float32Array(0));
    return { x: valueFrom('float32', [1, t, n], gauss(t * n, 1, seed)), past_key: none, past_value: none };
  };
  const model = await written(
    w,
    'keys',
    (b) => {
      attention(b, b.input('x', [1, t, n]), 'self_attn', n, {
        ...heads,
        past: [b.input('past_key', [1, 2, 'past', d]), b.input('past_value', [1, 2, 'past', d])],
      });
      for (const [name, out, seed] of [
        ['q', 2 * d, 1],
        ['k', 2 * d, 2],
        ['v', 2 * d, 3],
      ] as const) {
        const outlier = (c: number) => (name === 'k' && c % (d / 2) === 5 ? 12 : 1);
        weight(
          b,
          `self_attn.${name}_proj.weight`,
          [n, out],
          gauss(n * out, 0.3, seed).map((x, i) => x * outlier(i % out)),
        );
        weight(b, `self_attn.${name}_proj.bias`, [out], gauss(out, 0.1, seed + 9));
      }
      const last = b.graph.nodes.at(-1)!;
      last.outputs[0] = 'y';
      return ['y'];
    },
    { calib: feeds(11), held: feeds(12) },
  );
  const keys = 'quantize key of attention as uint4 { mode: dynamic, per: head }';
  const plain = (await measured(w, model, keys)).dB;
  const both = 'transform scale on attention.q <-> attention.k { law: smooth(0.5, 0) }';
  const paired = await measured(w, model, `${both}\n${keys}`);
  const float = (await measured(w, model, both)).dB;
  shown({ plain, paired: paired.dB, float });
  assert.ok(paired.dB >= plain + 5);
  assert.ok(float >= 110, 'pairs of a rotary embedding share their scale: the float model stays');
});

test('BF16 or Death: the three formats compile, lm_head stays, int8 is above fp8, fp8 above int4 in groups of 128', async () => {
  const rows = (seed: number) => ({ x: valueFrom('float32', [64, N], gauss(64 * N, 1, seed)) });
  const model = await written(
    w,
    'even',
    (b) => {
      const ones = new Float32Array(N).fill(1);
      const h = b.op('MatMul', [rms(b, b.input('x', ['rows', N]), 'norm', ones), weight(b, 'fc.weight', [N, N], gauss(N * N, 0.05, 4))]);
      b.op('MatMul', [rms(b, h, 'final', ones), weight(b, 'lm_head.weight', [N, 64], gauss(N * 64, 0.05, 5))]);
      b.graph.nodes.at(-1)!.outputs[0] = 'y';
      return ['y'];
    },
    { calib: rows(1), held: rows(2) },
  );
  const at = async (recipe: string) => {
    const { result, dB } = await measured(
      w,
      model,
      `use "@qrecipe/std@^0.1" as std\nrecipe r version "1.0.0" {\ncalibrate data("calib")\napply std.${recipe}()\nevaluate sqnr(output("y"))\n}`,
    );
    const typed = result.plan.slots.filter((s) => s.port === 'weight' && s.what === 'type' && s.type?.codes).map((s) => s.site.path);
    assert.equal(typed, ['fc'], recipe);
    return dB;
  };
  const found = { int8: await at('w8a8_int'), fp8: await at('w8a8_fp'), int4: await at('w4a16_int') };
  shown(found); // int8 37.6, fp8 28.4, int4 15.1
  assert.ok(found.int8 >= found.fp8 + 5 && found.fp8 >= found.int4 + 5);
});

test.run();
