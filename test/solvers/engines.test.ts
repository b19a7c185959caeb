/** One layer on every engine: the same bytes, and a loss below rounding to nearest. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { CodeFormat, SolveRequest } from '../../compiler/crunch.ts';
import { bytesOf, engines, random } from '../crunch/engines.ts';

const all = await engines();
const [, first] = all[0]!;
const INT4: CodeFormat = { kind: 'int', bits: 4, signed: true, lo: -8, hi: 7 };
const UINT4: CodeFormat = { kind: 'int', bits: 4, signed: false, lo: 0, hi: 15 };
const UINT3: CodeFormat = { kind: 'int', bits: 4, signed: false, lo: 0, hi: 7 };

/** Rows of inputs whose neighbouring columns are correlated. */
function inputs(rows: number, n: number): Float32Array {
  const next = random(5);
  const raw = Float32Array.from({ length: rows * n }, () => next() + next() - 1);
  return raw.map((v, i) => (v + 0.9 * raw[i - (i % n) + ((i + 1) % n)]!) * (1 + (i % n) * 0.05));
}

async function layer(out: number, n: number, rest: Partial<SolveRequest> = {}): Promise<SolveRequest> {
  const x = inputs(4 * n, n);
  const next = random(9);
  const w = Float32Array.from({ length: out * n }, () => next() + next() + next() - 1.5);
  const hessian = new Float64Array(n * n);
  await first.gram(hessian, x, n);
  return {
    weight: { data: bytesOf(w), dtype: 'float32', out, reduce: n, order: 'or' },
    format: INT4,
    symmetric: true,
    grain: { per: 'group', group: 32 },
    law: { name: 'mse', steps: 12, shrink: 0.76, p: 2.4, signed: true },
    scaleType: 'float32',
    hessian,
    damp: 0.01,
    order: 'hessian',
    staticGroups: true,
    block: 128,
    descents: 0,
    rescale: false,
    ...rest,
  };
}

test('every engine gives the same bytes', async () => {
  const n = 96;
  const cross = new Float64Array(n * n);
  await first.cross(
    cross,
    inputs(4 * n, n),
    inputs(4 * n, n).map((v) => v * 0.97 + 0.001),
    n,
  );
  const variants: Partial<SolveRequest>[] = [
    {},
    { order: 'natural', staticGroups: false },
    { descents: 2, rescale: true },
    { cross, descents: 1 },
    { format: UINT3, symmetric: false, grain: { per: 'channel' }, law: { name: 'minmax' }, descents: 1, rescale: true },
    { scaleType: 'float16', rescale: true },
    {
      format: UINT4,
      symmetric: false,
      scaleType: 'int8',
      outer: { bound: 119, type: 'float32' },
      law: { name: 'mse', steps: 12, shrink: 0.76, p: 2.4, signed: false },
      descents: 1,
      rescale: true,
    },
  ];
  for (const [i, v] of variants.entries()) {
    const request = await layer(37, n, v);
    const results = await Promise.all(all.map(([, c]) => c.solve(request)));
    for (const [k, r] of results.entries()) assert.equal(r, results[0], `variant ${i}, ${all[k]![0]}`);
  }
});

test('both orders of a matrix give the same codes', async () => {
  const request = await layer(20, 64);
  const w = new Float32Array((request.weight.data as Uint8Array).buffer);
  const turned = w.map((_, i) => w[(i % 20) * 64 + Math.floor(i / 20)]!);
  const ro = { ...request, weight: { ...request.weight, data: bytesOf(turned), order: 'ro' as const } };
  assert.equal(await first.solve(ro), await first.solve(request));
});

/** Σ over rows of (w − ŵ)·H·(w − ŵ)ᵀ. */
async function loss(
  r: SolveRequest,
  q: { codes: Uint8Array; scales: Uint8Array; zeros?: Uint8Array; rowSteps?: Uint8Array },
): Promise<number> {
  const { out, reduce: n } = r.weight;
  const w = new Float32Array((r.weight.data as Uint8Array).buffer);
  const v = await first.dequantize({
    ...q,
    out,
    reduce: n,
    order: 'or',
    format: r.format,
    grain: r.grain,
    scaleType: r.scaleType,
    ...(r.outer ? { outer: r.outer } : {}),
    layout: 'plain',
  });
  let sum = 0;
  for (let o = 0; o < out; o++)
    for (let i = 0; i < n; i++)
      for (let j = 0; j < n; j++) sum += (w[o * n + i]! - v[o * n + i]!) * r.hessian[i * n + j]! * (w[o * n + j]! - v[o * n + j]!);
  return sum;
}

test('the loss on the Hessian is below that of rounding to nearest, and falls with descent and rescaling', async () => {
  const progressive = { format: UINT4, symmetric: false, scaleType: 'int8', outer: { bound: 119, type: 'float32' } } as const;
  const asymmetric = { symmetric: false, law: { name: 'minmax' } as const };
  // Integer steps seldom move.
  const stepped = { ...progressive, law: { name: 'minmax' } as const };
  for (const rest of [{}, asymmetric, { grain: { per: 'channel' } as const }, stepped]) {
    const r = await layer(24, 96, rest);
    const nearest = await first.quantize({ ...r, layout: 'plain' });
    const losses = [await loss(r, nearest)];
    for (const more of [{}, { descents: 2 }, { descents: 2, rescale: true }])
      losses.push(await loss(r, await first.solve({ ...r, ...more })));
    for (let i = 1; i < losses.length; i++)
      assert.ok(rest === stepped ? losses[i]! <= losses[i - 1]! : losses[i]! < losses[i - 1]!, losses.join(' '));
    assert.ok(losses[1]! < 0.8 * losses[0]!, losses.join(' '));
  }
});

test('a Hessian that is not positive definite is damped more', async () => {
  const r = await layer(8, 32, { damp: 0 });
  r.hessian.fill(1);
  const done = await first.solve(r);
  assert.ok(done.damping > 0 && done.damping < 1, String(done.damping));
});

test('a column without inputs is rounded to nearest', async () => {
  const r = await layer(8, 32, { law: { name: 'minmax' } });
  for (let i = 0; i < 32; i++) r.hessian[5 * 32 + i] = r.hessian[i * 32 + 5] = 0;
  const done = await first.solve(r);
  const nearest = await first.quantize({ ...r, layout: 'plain' });
  const column = (c: Uint8Array) => Array.from({ length: 8 }, (_, o) => (c[o * 32 + 5]! << 28) >> 28);
  assert.is(done.dead, 1);
  assert.equal(column(done.codes), column(nearest.codes));
});

for (const [name, change, code] of [
  ['NaN in the Hessian', { hessian: new Float64Array(32 * 32).fill(Number.NaN) }, 'hessian-nan'],
  ['groups that move in the order of the Hessian', { staticGroups: false }, 'solve-order'],
] as const)
  test(`${name} is refused`, async () => {
    const r = await layer(8, 32, change);
    for (const [, c] of all) {
      const error = await c.solve(r).then(
        () => undefined,
        (e: unknown) => e as { diagnostics?: { code: string }[] },
      );
      assert.is(error?.diagnostics?.[0]?.code, code);
    }
  });

test.after(async () => {
  for (const [, c] of all) await c.close();
});
test.run();
