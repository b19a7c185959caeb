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
import { times, transposed } from './product.ts';
import { Ranges } from './ranges.ts';
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
  const every = how.holdout > 0 ? Math.max(2, Math.round(1 / how.holdout)) : Number.POSITIVE_INFINITY;
  const part = (kept: boolean) => once((m) => rowsWhere(m, n, (i) => (i % every === every - 1) !== kept));
  const [learning, held] = [part(true), part(false)];
  const thin = once((m) => thinned(m, n, 512));
  const parts = e.pairs.map((p) => ({ x: learning(p.x), w: thin(p.w) }));
  const judges = e.pairs.map((p) => ({ ...p, x: how.holdout > 0 ? held(p.x) : p.x, w: thin(p.w) }));
  const ranges = new Ranges(parts, n, how.p, crunch);
  let r = matrixOf(start);
  const momentum = new Float64Array(n * n);
  const objective = (at: Float64Array) => ranges.at(new Float32Array(at));
  const judge = (at: Float64Array) => heldOut(judges, new Float32Array(at), n, how.p, e.ctx);
  let now = await objective(r);
  let best = { r, error: await judge(r), step: 0 };
  const first = { j: now.j, error: best.error };
  const history = [now.j];
  let eta = 0.2;
  for (let step = 1; step <= how.steps; step++) {
    for (let i = 0; i < momentum.length; i++) momentum[i] = 0.8 * momentum[i]! + now.g[i]!;
    const a = await skew(momentum, r, n, crunch);
    const size = length(a) / Math.sqrt(n);
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

function rowsWhere(m: Float32Array, n: number, keep: (row: number) => boolean): Float32Array {
  const picked = Array.from({ length: m.length / n }, (_, i) => i).filter(keep);
  const out = new Float32Array(picked.length * n);
  for (const [to, i] of picked.entries()) out.set(m.subarray(i * n, (i + 1) * n), to * n);
  return out;
}

/** Pairs share their rows: what is made of them is shared too. */
function once<T>(make: (m: Float32Array) => T): (m: Float32Array) => T {
  const known = new Map<Float32Array, T>();
  return (m) => {
    const made = known.get(m) ?? make(m);
    known.set(m, made);
    return made;
  };
}

function length(x: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < x.length; i++) sum += x[i]! * x[i]!;
  return Math.sqrt(sum);
}

/** J(R) on all rows of the evidence. */
export const rangeNorm = async ({ pairs, ctx }: Evidence, r: Rotation, n: number, p: number): Promise<number> =>
  (await new Ranges(pairs, n, p, ctx.crunch).at(new Float32Array(matrixOf(r)))).j;

/** A = G Rᵀ − R Gᵀ. */
async function skew(g: Float64Array, r: Float64Array, n: number, crunch: Crunch): Promise<Float64Array> {
  let top = 0;
  for (let i = 0; i < g.length; i++) top = Math.max(top, Math.abs(g[i]!));
  top ||= 1;
  const scaled = new Float32Array(g.length);
  for (let i = 0; i < g.length; i++) scaled[i] = g[i]! / top;
  const product = await times(scaled, transposed(new Float32Array(r), n), n, crunch);
  const other = transposed(product, n);
  const a = new Float64Array(g.length);
  for (let i = 0; i < a.length; i++) a[i] = top * (product[i]! - other[i]!);
  return a;
}

/** Y = R − η/2 A (R + Y) by iteration, then made orthonormal to the last bits. */
async function cayley(a: Float64Array, r: Float64Array, eta: number, n: number, crunch: Crunch): Promise<Float64Array> {
  const [half, sum] = [new Float32Array(a.length), new Float32Array(a.length)];
  for (let i = 0; i < a.length; i++) half[i] = (a[i]! * eta) / 2;
  const y = r.slice();
  for (let round = 0; round < 4; round++) {
    for (let i = 0; i < sum.length; i++) sum[i] = r[i]! + y[i]!;
    const move = await times(half, sum, n, crunch);
    for (let i = 0; i < y.length; i++) y[i] = r[i]! - move[i]!;
  }
  return crunch.orthonormal(y, n);
}

/** The relative output error of rounded rows under rounded weights, both rotated; J where the plan gives no types. */
async function heldOut(pairs: readonly Pair[], r: Float32Array, n: number, p: number, ctx: EvalContext): Promise<number> {
  if (!pairs.some((x) => x.weight?.codes)) return (await new Ranges(pairs, n, p, ctx.crunch).at(r)).j;
  const turned = once((m) => times(m, r, n, ctx.crunch));
  let total = 0;
  for (const { x: rows, w, site, weight, input } of pairs) {
    const [x, v] = [await turned(rows), await turned(w)];
    const back = weight?.codes ? await rounded({ site, type: weight, out: v.length / n, reduce: n }, v, ctx) : v;
    const zero = new Float32Array(v.length);
    const whole = await ctx.crunch.distance(v, zero, x, x, n);
    if (whole > 0) total += (await ctx.crunch.distance(v, back, x, roundRows(x, n, input), n)) / whole;
  }
  return total / pairs.length;
}
