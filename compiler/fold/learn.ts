/**
 * Rotations from data: eigenvectors of what is rotated (KLT), and rotations that are learnt by steps on the orthogonal group against the ranges that
 * quantizers will see.
 */
import type { Crunch } from '../crunch.ts';
import type { EvalContext } from '../host.ts';
import { logQsur as qsur } from '../objectives/qsur.ts';
import type { QType } from '../plan/types.ts';
import type { Site } from '../sites.ts';
import { rounded } from './output-error.ts';
import { dense, matrixOf, type Rotation } from './rotation.ts';
import { roundRows } from './round-rows.ts';

/** What meets in the rotated channels: sample rows X and weight rows W of n channels each, before the rotation. */
export interface Pair {
  readonly x: Float32Array;
  readonly w: Float32Array;
  readonly site: Site;
  readonly input?: QType;
  readonly weight?: QType;
}
export interface Evidence {
  readonly pairs: readonly Pair[];
  readonly ctx: EvalContext;
}

/** Chooses a rotation of a size; `evidence` is what meets in the rotated channels, for matrices that come from data. */
export type Choice = (size: number, evidence: () => Promise<Evidence>) => Promise<Chosen>;
export interface Chosen {
  readonly rotation: Rotation;
  /** How it was found, for the ledger. */
  readonly note?: string;
}

/** M R for rows M [count, n] and R [n, n], by products of blocks of n rows. */
export async function times(m: Float32Array, r: Float32Array, n: number, crunch: Crunch): Promise<Float32Array> {
  const count = m.length / n;
  const out = new Float32Array(m.length);
  for (let from = 0; from < count; from += n) {
    const rows = Math.min(n, count - from);
    const turned = new Float32Array(n * n);
    for (let i = 0; i < rows; i++) for (let k = 0; k < n; k++) turned[k * n + i] = m[(from + i) * n + k]!;
    const c = new Float64Array(n * n);
    await crunch.cross(c, turned, r, n);
    for (let i = 0; i < rows * n; i++) out[from * n + i] = c[i]!;
  }
  return out;
}

/** The covariance of the inputs or the weights, each pair with the same trace. */
export async function covariance({ pairs, ctx }: Evidence, of: 'inputs' | 'weights', n: number): Promise<Float64Array> {
  const sum = new Float64Array(n * n);
  for (const p of pairs) {
    const c = new Float64Array(n * n);
    await ctx.crunch.gram(c, of === 'inputs' ? p.x : p.w, n);
    let trace = 0;
    for (let i = 0; i < n; i++) trace += c[i * n + i]!;
    if (trace > 0) for (let i = 0; i < c.length; i++) sum[i]! += c[i]! / trace;
  }
  return sum;
}

/** x → x K with the eigenvectors of the covariance as the columns of K: channels become uncorrelated, the largest first. */
export async function klt(e: Evidence, of: 'inputs' | 'weights', n: number): Promise<Rotation> {
  const { vectors } = await e.ctx.crunch.eigen(await covariance(e, of, n), n);
  const k = new Float64Array(n * n);
  for (let i = 0; i < n; i++) for (let j = 0; j < n; j++) k[j * n + i] = vectors[i * n + j]!;
  return dense(`klt(${of}) ${n}`, k);
}

/** First one rotation, then the other. */
export const composed = (a: Rotation, b: Rotation): Rotation => ({
  size: a.size,
  name: `${a.name} * ${b.name}`,
  apply(x) {
    a.apply(x);
    b.apply(x);
  },
  undo(x) {
    b.undo(x);
    a.undo(x);
  },
});

/** log of QSUR a channel under a rotation, the mean of the pairs. */
export async function logQsur({ pairs, ctx }: Evidence, r: Rotation | undefined, n: number): Promise<number> {
  let total = 0;
  const matrix = r && Float32Array.from(matrixOf(r));
  for (const p of pairs) {
    const c = new Float64Array(n * n);
    await ctx.crunch.gram(c, p.x, n);
    const rows = p.x.length / n;
    const x = matrix ? await times(p.x, matrix, n, ctx.crunch) : p.x;
    total += qsur(
      (await ctx.crunch.eigen(c, n)).values.map((v) => v / rows),
      x.reduce((m, v) => Math.max(m, Math.abs(v)), 0),
    );
  }
  return total / pairs.length;
}

export interface Learning {
  readonly steps: number;
  readonly p: number;
  /** Share of the rows that only judge. */
  readonly holdout: number;
}
export interface Learnt {
  readonly rotation: Rotation;
  readonly note: string;
  /** The objective after each accepted step; it never rises. */
  readonly history: readonly number[];
}

/**
 * J(R) = Σ over pairs of Σ_i ‖x_i R‖²_p · ‖W‖² + Σ_o ‖w_o R‖²_p · ‖X‖², made smaller by Cayley steps R ← (1 + η/2 A)⁻¹ (1 − η/2 A) R with
 * A = G Rᵀ − R Gᵀ, G the exact gradient with momentum. The rotation with the least error on held-out rows is kept, the first one included.
 */
export async function learn(e: Evidence, start: Rotation, how: Learning): Promise<Learnt> {
  const n = start.size;
  const { crunch } = e.ctx;
  const split = (m: Float32Array, keep: boolean): Float32Array => {
    const rows = m.length / n;
    const every = how.holdout > 0 ? Math.max(2, Math.round(1 / how.holdout)) : Number.POSITIVE_INFINITY;
    const picked = Array.from({ length: rows }, (_, i) => i).filter((i) => (i % every === every - 1) !== keep);
    const out = new Float32Array(picked.length * n);
    for (const [to, i] of picked.entries()) out.set(m.subarray(i * n, (i + 1) * n), to * n);
    return out;
  };
  const parts = e.pairs.map((p) => ({ x: split(p.x, true), w: thinned(p.w, n, 512) }));
  const judges = e.pairs.map((p) => ({ ...p, x: how.holdout > 0 ? split(p.x, false) : p.x }));
  let r = matrixOf(start);
  const momentum = new Float64Array(n * n);
  const objective = (at: Float64Array) => surrogate(parts, Float32Array.from(at), n, how.p, crunch);
  const judge = (at: Float64Array) => heldOut(judges, Float32Array.from(at), n, how.p, e.ctx);
  let now = await objective(r);
  let best = { r, error: await judge(r), step: 0 };
  const first = { j: now.j, error: best.error };
  const history = [now.j];
  let eta = 0.2;
  for (let step = 1; step <= how.steps; step++) {
    for (let i = 0; i < momentum.length; i++) momentum[i] = 0.8 * momentum[i]! + now.g[i]!;
    const a = await skew(momentum, r, n, crunch);
    const size = Math.sqrt(a.reduce((s, x) => s + x * x, 0) / n);
    if (!(size > 0)) break;
    const next = await cayley(a, r, eta / size, n, crunch);
    const then = await objective(next);
    if (then.j > now.j) {
      eta /= 2;
      momentum.fill(0);
      if (eta < 1e-4) break;
      continue;
    }
    eta *= 1.1;
    [r, now] = [next, then];
    history.push(now.j);
    if (step % 4 === 0 || step === how.steps) {
      const error = await judge(r);
      if (error < best.error) best = { r, error, step };
      else if (step - best.step > 24) break;
    }
  }
  return {
    rotation: best.step === 0 ? start : dense(`learnt from ${start.name}`, best.r),
    note: `step ${best.step} of ${history.length - 1}: range norm ${(now.j / first.j).toPrecision(3)}, held-out error ${(best.error / first.error).toPrecision(3)} of the start`,
    history,
  };
}

function thinned(m: Float32Array, n: number, most: number): Float32Array {
  const rows = m.length / n;
  if (rows <= most) return m;
  const out = new Float32Array(most * n);
  for (let i = 0; i < most; i++) out.set(m.subarray(Math.floor((i * rows) / most) * n).subarray(0, n), i * n);
  return out;
}

function energy(m: Float32Array): number {
  let sum = 0;
  for (let i = 0; i < m.length; i++) sum += m[i]! * m[i]!;
  return sum;
}

/** J and its gradient Σ Xᵀ D, where row i of D is the derivative of ‖y_i‖²_p, y = x R. */
async function surrogate(parts: readonly { x: Float32Array; w: Float32Array }[], r: Float32Array, n: number, p: number, crunch: Crunch) {
  const g = new Float64Array(n * n);
  let j = 0;
  for (const part of parts) {
    const [ex, ew] = [energy(part.x), energy(part.w)];
    if (ex === 0 || ew === 0) continue;
    for (const [m, weight] of [
      [part.x, 1 / ex],
      [part.w, 1 / ew],
    ] as const) {
      const y = await times(m, r, n, crunch);
      const { sum, derivative } = await crunch.rangeNorms(y, n, p, weight);
      j += sum;
      await crunch.cross(g, m, derivative, n);
    }
  }
  return { j, g };
}

/** J(R) on all rows of the evidence. */
export const rangeNorm = async ({ pairs, ctx }: Evidence, r: Rotation, n: number, p: number): Promise<number> =>
  (await surrogate(pairs, Float32Array.from(matrixOf(r)), n, p, ctx.crunch)).j;

/** A = G Rᵀ − R Gᵀ. */
async function skew(g: Float64Array, r: Float64Array, n: number, crunch: Crunch): Promise<Float64Array> {
  const rt = Float32Array.from(r, (_, k) => r[(k % n) * n + Math.floor(k / n)]!);
  const top = g.reduce((m, x) => Math.max(m, Math.abs(x)), 0) || 1;
  const product = await times(
    Float32Array.from(g, (x) => x / top),
    rt,
    n,
    crunch,
  );
  return Float64Array.from(product, (x, k) => top * (x - product[(k % n) * n + Math.floor(k / n)]!));
}

/** Y = R − η/2 A (R + Y) by iteration, then made orthonormal to the last bits. */
async function cayley(a: Float64Array, r: Float64Array, eta: number, n: number, crunch: Crunch): Promise<Float64Array> {
  const half = Float32Array.from(a, (x) => (x * eta) / 2);
  let y = r;
  for (let i = 0; i < 4; i++) {
    const sum = Float32Array.from(r, (x, k) => x + y[k]!);
    const move = await times(half, sum, n, crunch);
    y = r.map((x, k) => x - move[k]!);
  }
  return crunch.orthonormal(y, n);
}

/** The relative output error of rounded rows under rounded weights, both rotated; J where the plan gives no types. */
async function heldOut(pairs: readonly Pair[], r: Float32Array, n: number, p: number, ctx: EvalContext): Promise<number> {
  if (!pairs.some((x) => x.weight?.codes)) return (await surrogate(pairs, r, n, p, ctx.crunch)).j;
  let total = 0;
  for (const pair of pairs) {
    const w = thinned(pair.w, n, 512);
    const [x, v] = [await times(pair.x, r, n, ctx.crunch), await times(w, r, n, ctx.crunch)];
    const back = pair.weight?.codes ? await rounded({ site: pair.site, type: pair.weight, out: v.length / n, reduce: n }, v, ctx) : v;
    const zero = new Float32Array(v.length);
    const whole = await ctx.crunch.distance(v, zero, x, x, n);
    if (whole > 0) total += (await ctx.crunch.distance(v, back, x, roundRows(x, n, pair.input), n)) / whole;
  }
  return total / pairs.length;
}
