/** Acceptance checks of number formats: FlexQ, BF16 or Death, LLMC's stages, QoQ. Thresholds were measured with this generator and frozen. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Statistics } from '../../compiler/calibrate/statistics.ts';
import type { CodeFormat, QuantizeRequest, ScaleLaw } from '../../compiler/crunch.ts';
import type { SearchMethod } from '../../compiler/define.ts';
import { rowsOf, siteError } from '../../compiler/driver/errors.ts';
import { openTensors } from '../../compiler/graph/bytes.ts';
import { node } from '../../compiler/lower/make.ts';
import { nodeHost } from '../../compiler/node/host.ts';
import greedy from '../../compiler/searches/greedy.ts';
import { quantizedRows } from '../../compiler/simulate/rows.ts';
import { bytesOf, random } from '../crunch/engines.ts';
import { floats, type Kind, modelOf, qtype, quantized } from '../targets/build.ts';

const host = await nodeHost();
test.after(() => host.close());
const next = random(3);
const gauss = (n: number) => Float32Array.from({ length: n }, () => Math.sqrt(-2 * Math.log(1 - next())) * Math.cos(2 * Math.PI * next()));
const int = (bits: number): CodeFormat => ({ kind: 'int', bits, signed: true, lo: -(2 ** (bits - 1)), hi: 2 ** (bits - 1) - 1 });
const db = (x: { energy: number; error: number }) => 10 * Math.log10(x.energy / x.error);

const [rows, reduce] = [64, 512];
async function codedDb(w: Float32Array, format: CodeFormat, group?: number, columns?: (k: number) => boolean): Promise<number> {
  const r: QuantizeRequest = {
    weight: { data: bytesOf(w), dtype: 'float32', out: rows, reduce, order: 'or' },
    format,
    symmetric: true,
    grain: group ? { per: 'group', group } : { per: 'channel' },
    law: { name: 'minmax' },
    scaleType: 'float32',
    layout: 'plain',
  };
  const q = await host.crunch.quantize(r);
  if (!columns) return db(q);
  const { grain, scaleType, layout } = r;
  const v = await host.crunch.dequantize({
    codes: q.codes,
    scales: q.scales,
    out: rows,
    reduce,
    order: 'or',
    format,
    grain,
    scaleType,
    layout,
  });
  let [error, energy] = [0, 0];
  for (const [i, x] of w.entries())
    if (columns(i % reduce)) {
      error += (x - v[i]!) ** 2;
      energy += x * x;
    }
  return db({ error, energy });
}

test('BF16 or Death: on Gaussian rows int8 is above fp8, and fp8 above int4 in groups of 128', async () => {
  const w = gauss(rows * reduce);
  const [int8, fp8, int4] = [await codedDb(w, int(8)), await codedDb(w, { kind: 'float', name: 'e4m3' }), await codedDb(w, int(4), 128)];
  for (const [found, wanted] of [
    [int8, 42.5],
    [fp8, 31.5],
    [int4, 18.6],
  ] as const)
    assert.ok(Math.abs(found - wanted) < 1, `${int8} ${fp8} ${int4}`);
});

test('BF16 or Death: beside a channel 300 times as large, the others keep their precision in fp8 and lose it in int8', async () => {
  const w = gauss(rows * reduce).map((x, i) => (i % reduce === 7 ? 300 * x : x));
  const others = (k: number) => k !== 7;
  const fp8 = await codedDb(w, { kind: 'float', name: 'e4m3' }, undefined, others);
  const int8 = await codedDb(w, int(8), undefined, others);
  assert.ok(fp8 > 30.5 && int8 < 12, `${fp8} ${int8}`);
});

/** SQNR of x·Wᵀ when both are rounded. */
function productDb(bits: number, group: number): number {
  const kind: Kind = { format: 'int', args: { bits }, grain: { per: 'group', group }, mode: 'dynamic' };
  const [x, w] = [gauss(32 * reduce), gauss(32 * reduce)];
  const [qx, qw] = [quantizedRows(x, reduce, qtype(kind))!, quantizedRows(w, reduce, qtype(kind))!];
  let [error, energy] = [0, 0];
  for (let i = 0; i < 32; i++)
    for (let o = 0; o < 32; o++) {
      let [y, z] = [0, 0];
      for (let k = 0; k < reduce; k++) {
        y += x[i * reduce + k]! * w[o * reduce + k]!;
        z += qx[i * reduce + k]! * qw[o * reduce + k]!;
      }
      error += (y - z) ** 2;
      energy += y * y;
    }
  return db({ error, energy });
}

test('FlexQ: W6A6 in groups of 128 keeps 27.5 dB on Gaussian rows, between W4A4 and W8A8', () => {
  const [four, six, eight] = [productDb(4, 128), productDb(6, 128), productDb(8, 128)];
  assert.ok(six >= 27.5 && four < 17 && four > 14 && eight > 39, `${four} ${six} ${eight}`);
});

test('FlexQ: the layer whose input has an outlier is promoted first', async () => {
  const layers = ['a', 'b', 'c'].map((name, i) => {
    const model = modelOf({ nodes: [node('MatMul', ['x', 'w'], ['y'])], input: [2, 256], initializers: { w: floats([256, 64], i + 1) } });
    const rows = gauss(48 * 256).map((v, k) => (name === 'b' && k % 256 === 9 ? 40 * v : v));
    const [weight] = quantized(model, { format: 'int6', grain: { per: 'group', group: 128 } }).weights;
    const need = rowsOf(weight!.site)!;
    const from = { graph: '', source: '', samples: 0, batches: 0 };
    return { name, model, statistics: new Statistics(from, [{ ...need, arrays: { rows, count: Float64Array.of(48) } }]), weight: weight! };
  });
  const reader = openTensors(host, '.');
  const sqnr = async (layer: (typeof layers)[number], bits: number) => {
    const kind: Kind = { format: 'int', args: { bits }, grain: { per: 'group', group: 128 }, mode: 'dynamic' };
    const input = { site: layer.weight.site, port: 'input', type: qtype(kind), value: 'x' };
    return db(await siteError(layer.weight, layer.statistics, reader, input));
  };
  const space = layers.map(({ name }) => ({ name, domain: [6, 8] }));
  const chosen = await (greedy as unknown as SearchMethod).run(
    space,
    async (a) => {
      const all = await Promise.all(layers.map((l) => sqnr(l, Number(a[l.name]))));
      const wide = Object.values(a).filter((b) => b === 8).length;
      return { objective: -all.reduce((x, y) => x + y, 0), feasible: wide <= 1, cost: wide, limit: 1 };
    },
    Object.fromEntries(Object.entries(greedy.params).map(([k, p]) => [k, (p as { default?: unknown }).default])) as never,
  );
  assert.equal(chosen, { a: 6, b: 8, c: 6 });
});

test('LLMC: rounding, clipping and solving lower the error in that order, by 2 dB and more in all', async () => {
  const [out, n] = [32, 192];
  const raw = gauss(4 * n * n);
  const x = raw.map((v, i) => (v + 0.8 * raw[i - (i % n) + ((i + 1) % n)]!) * (1 + (i % n) * 0.01));
  const w = gauss(out * n);
  const hessian = new Float64Array(n * n);
  await host.crunch.gram(hessian, x, n);
  const base = {
    weight: { data: bytesOf(w), dtype: 'float32', out, reduce: n, order: 'or' },
    format: int(4),
    symmetric: true,
    grain: { per: 'channel' },
    scaleType: 'float32',
  } as const;
  const loss = async (q: { codes: Uint8Array; scales: Uint8Array }) => {
    const { format, grain, scaleType } = base;
    const v = await host.crunch.dequantize({
      codes: q.codes,
      scales: q.scales,
      out,
      reduce: n,
      order: 'or',
      format,
      grain,
      scaleType,
      layout: 'plain',
    });
    let sum = 0;
    for (let o = 0; o < out; o++)
      for (let i = 0; i < n; i++)
        for (let j = 0; j < n; j++) sum += (w[o * n + i]! - v[o * n + i]!) * hessian[i * n + j]! * (w[o * n + j]! - v[o * n + j]!);
    return sum;
  };
  const clip: ScaleLaw = { name: 'mse', steps: 40, shrink: 0.5, p: 2, signed: false };
  const rounded = await loss(await host.crunch.quantize({ ...base, law: { name: 'minmax' }, layout: 'plain' }));
  const clipped = await loss(await host.crunch.quantize({ ...base, law: clip, layout: 'plain' }));
  const solved = await loss(
    await host.crunch.solve({
      ...base,
      law: clip,
      hessian,
      damp: 0.01,
      order: 'hessian',
      staticGroups: true,
      block: 128,
      descents: 0,
      rescale: false,
    }),
  );
  assert.ok(rounded >= clipped && clipped >= solved && 10 * Math.log10(rounded / solved) >= 2, `${rounded} ${clipped} ${solved}`);
});

test('QoQ: four-bit keys with one channel ten times the others gain 5 dB by smooth attention', () => {
  const [tokens, d] = [256, 64];
  const scale = Float32Array.from({ length: d }, (_, c) => (c % (d / 2) === 5 ? 12 : 1));
  const k = gauss(tokens * d).map((v, i) => v * scale[i % d]!);
  const q = gauss(32 * d);
  const type = qtype({ format: 'uint4', grain: { per: 'token' }, mode: 'dynamic', symmetric: false });
  const score = (keys: Float32Array, queries: Float32Array) => {
    const rounded = quantizedRows(keys, d, type)!;
    let [error, energy] = [0, 0];
    for (let a = 0; a < 32; a++)
      for (let t = 0; t < tokens; t++) {
        let [y, z] = [0, 0];
        for (let c = 0; c < d; c++) {
          y += queries[a * d + c]! * keys[t * d + c]!;
          z += queries[a * d + c]! * rounded[t * d + c]!;
        }
        error += (y - z) ** 2;
        energy += y * y;
      }
    return db({ error, energy });
  };
  // λ_i = λ_{i+d/2} = max(max|K_i|, max|K_{i+d/2}|)^½
  const most = Float32Array.from({ length: d }, (_, c) => Math.max(...Array.from({ length: tokens }, (_, t) => Math.abs(k[t * d + c]!))));
  const lambda = most.map((m, c) => Math.sqrt(Math.max(m, most[(c + d / 2) % d]!)));
  const [plain, smooth] = [
    score(k, q),
    score(
      k.map((v, i) => v / lambda[i % d]!),
      q.map((v, i) => v * lambda[i % d]!),
    ),
  ];
  assert.ok(smooth >= plain + 5, `${plain} ${smooth}`);
});
test.run();
