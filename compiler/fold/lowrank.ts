/** A low-rank branch beside a linear, in float: y = x R + (x V) U with R = W − V U. The residual R is what gets quantized. */
import { fromHalf, toHalf } from '../graph/numeric.ts';
import { float32s, held } from '../lower/make.ts';
import type { Site } from '../sites.ts';
import { leading } from './eigen.ts';
import type { Job, Need } from './job.ts';
import { floatRows, outputDistance, rounded } from './output-error.ts';
import { measure } from './output-space.ts';
import { refuse } from './refuse.ts';
import { roundRows } from './round-rows.ts';

const sample = { name: 'rows', args: { axis: -1, count: 256 } };
/** Rows of a wide layer that stand for all where the error is measured. */
const WIDE = 512;

export interface Branching {
  readonly rank: number;
  /** Alternations between branch and residual, at most. */
  readonly iterations: number;
  /** Member names whose readers of one value share the down factor. */
  readonly share: readonly string[];
  readonly factors: 'float16' | 'float32';
  /** The error that the branch lowers: that of the weight, or that of the output on inputs of these moments. */
  readonly error: 'weight' | 'diagonal' | 'covariance';
  /** What the first branch takes up: the weight, or what codes of the whole weight leave over. */
  readonly start: 'weight' | 'codes';
}

export const branchNeeds = (sites: readonly Site[]): Need[] =>
  sites.flatMap((s) => (s.ports['input'] ? [{ value: s.ports['input'].value, observer: sample }] : []));

interface Member {
  readonly site: Site;
  readonly w: Float32Array;
  readonly out: number;
}

/** Splits every linear. Errors: Refusal. */
export async function branchSites(job: Job, sites: readonly Site[], how: Branching): Promise<void> {
  const linears = [...new Set(sites)];
  const odd = linears.find((s) => s.role !== 'linear');
  if (odd) refuse('no-producer', `${odd.path}: a ${odd.role} takes no low-rank branch`);
  const seen = await job.observe(branchNeeds(linears));
  const groups = new Map<string, Site[]>();
  const shares = (s: Site): boolean => s.members.some((m) => how.share.includes(m.slice(m.lastIndexOf('.') + 1)));
  for (const s of linears) {
    const key = shares(s) ? s.ports['input']!.value : s.id;
    groups.set(key, [...(groups.get(key) ?? []), s]);
  }
  for (const group of groups.values()) {
    const value = group[0]!.ports['input']!.value;
    await branch(job, group, seen.get(value, sample)['rows']! as Float32Array, how);
  }
}

async function branch(job: Job, sites: readonly Site[], x: Float32Array, how: Branching): Promise<void> {
  const members: Member[] = [];
  let n = 0;
  for (const site of sites) {
    if (site.facts['transA'] === true) refuse('layout-lost', `${site.path} does not read the channels along its last axis`);
    const { rows, out, reduce } = await floatRows(job, site);
    members.push({ site, w: rows, out });
    n = reduce;
  }
  const rank = Math.min(
    how.rank,
    n,
    members.reduce((a, m) => a + m.out, 0),
  );
  let down: Float64Array | undefined;
  const space = await measure(how.error, x, n, job.ctx.crunch);
  const whole = how.start === 'codes' ? await Promise.all(members.map((m) => residualOf(job, m, m.w, n))) : undefined;
  let target = members.map((m, i) => (whole ? m.w.map((w, k) => w - whole[i]![k]!) : m.w));
  let best: { error: number; down: Float32Array; ups: Float32Array[]; round: number } | undefined;
  let first = 0;
  for (let round = 0; round < how.iterations; round++) {
    const gram = new Float64Array(n * n);
    const seen = target.map((t, i) => space.into(t, members[i]!.out));
    for (const t of seen) await job.ctx.crunch.gram(gram, t, n);
    down = await leading(job.ctx.crunch, gram, rank, down ? 3 : 16, down);
    const narrow = shrunk(space.back(down, rank), how.factors);
    const ups = seen.map((t, i) => shrunk(projected(t, space.into(narrow, rank), members[i]!.out, n, rank), how.factors));
    const parts = members.map((m, i) => minus(m.w, ups[i]!, narrow, m.out, n, rank));
    const codes = await Promise.all(members.map((m, i) => residualOf(job, m, parts[i]!, n)));
    let error = 0;
    for (const [i, m] of members.entries()) error += await errorOf(job, m, parts[i]!, codes[i]!, x, n);
    if (round === 0) first = error;
    if (best && error >= best.error) break;
    best = { error, down: narrow, ups, round };
    if (error === 0 || members.every((m) => !job.typeOf(m.site, 'weight')?.codes)) break;
    target = members.map((m, i) => m.w.map((w, k) => w - codes[i]![k]!));
  }
  emit(job, members, best!, n, rank, how.factors);
  const paths = sites.map((s) => s.path).join(', ');
  job.applied({
    name: paths,
    detail: `rank ${rank} of ${n}, ${best!.round + 1} alternations${first > 0 ? `, output error ${(best!.error / first).toPrecision(3)} of the first` : ''}${sites.length > 1 ? ', one down factor' : ''}`,
    touched: [],
    same: sites.map((s) => s.ports['output']!.value),
  });
}

/** Factors in the precision in which they are stored. */
const shrunk = (x: Float64Array, to: 'float16' | 'float32'): Float32Array =>
  Float32Array.from(x, (v) => (to === 'float16' ? fromHalf(toHalf(v)) : v));

/** U [out, rank] with U V the best for M [out, n], where the rows of V [rank, n] are orthogonal. */
export function projected(m: Float32Array, v: Float32Array, out: number, n: number, rank: number): Float64Array {
  const up = new Float64Array(out * rank);
  const norms = Float64Array.from({ length: rank }, (_, r) => v.subarray(r * n, (r + 1) * n).reduce((s, x) => s + x * x, 0));
  for (let o = 0; o < out; o++)
    for (let r = 0; r < rank; r++) {
      let sum = 0;
      for (let k = 0; k < n; k++) sum += m[o * n + k]! * v[r * n + k]!;
      up[o * rank + r] = norms[r]! > 0 ? sum / norms[r]! : 0;
    }
  return up;
}

/** W − U V as float32 [out, n]. */
function minus(w: Float32Array, up: Float32Array, down: Float32Array, out: number, n: number, rank: number): Float32Array {
  const left = Float32Array.from(w);
  const row = new Float64Array(n);
  for (let o = 0; o < out; o++) {
    row.fill(0);
    for (let r = 0; r < rank; r++) {
      const u = up[o * rank + r]!;
      for (let k = 0; k < n; k++) row[k]! += u * down[r * n + k]!;
    }
    for (let k = 0; k < n; k++) left[o * n + k] = w[o * n + k]! - row[k]!;
  }
  return left;
}

/** What the residual's codes stand for; the residual itself where the plan leaves it in float. */
function residualOf(job: Job, m: Member, part: Float32Array, n: number): Promise<Float32Array> {
  const type = job.typeOf(m.site, 'weight');
  return type?.codes ? rounded({ site: m.site, type, out: m.out, reduce: n }, part, job.ctx) : Promise.resolve(part);
}

/** ‖x R − Q(x) Q(R)‖² on the sample. */
function errorOf(job: Job, m: Member, part: Float32Array, codes: Float32Array, x: Float32Array, n: number): Promise<number> {
  const few = Math.min(m.out, WIDE);
  const pick = (a: Float32Array): Float32Array => {
    if (few === m.out) return a;
    const out = new Float32Array(few * n);
    for (let i = 0; i < few; i++) out.set(a.subarray(Math.floor((i * m.out) / few) * n).subarray(0, n), i * n);
    return out;
  };
  const steps = m.site.members.includes('migrated') ? 'channel' : 'tensor';
  const y = roundRows(x, n, job.typeOf(m.site, 'input'), steps);
  return outputDistance(pick(part), pick(codes), x, y, n, job.ctx);
}

function emit(
  job: Job,
  members: readonly Member[],
  { down, ups }: { down: Float32Array; ups: readonly Float32Array[] },
  n: number,
  rank: number,
  factors: Branching['factors'],
): void {
  const value = members[0]!.site.ports['input']!.value;
  const stored = (values: Float32Array, shape: readonly number[]) =>
    factors === 'float32' ? float32s(values, shape) : held('float16', shape, new Uint8Array(Uint16Array.from(values, toHalf).buffer));
  const turned = (x: Float32Array, rows: number, cols: number) => x.map((_, k) => x[(k % rows) * cols + Math.floor(k / rows)]!);
  let name = '';
  const wide = (i: { op: (op: string, inputs: readonly string[], attrs?: Readonly<Record<string, number>>) => string }, c: string) =>
    factors === 'float32' ? c : i.op('Cast', [c], { to: 1 });
  const shape = job.view.shape(value);
  const { out, added } = job.rewriter.beside(
    value,
    members.map((m) => m.site),
    'lowrank',
    (i) => {
      name = i.constant('down', stored(turned(down, rank, n), [n, rank]));
      return i.op('MatMul', [value, wide(i, name)]);
    },
    shape && [...shape.slice(0, -1), rank],
  );
  const [first] = members;
  job.rewriter.add({
    id: `lowrank:${first!.site.path}`,
    path: `${first!.site.path}.lowrank`,
    role: 'lowrank',
    members: [],
    graph: first!.site.graph,
    ports: {
      weight: { name: 'weight', kind: 'weight', value: name, shape: [n, rank], axes: { reduce: 0, out: 1 } },
      input: first!.site.ports['input']!,
      output: { name: 'output', kind: 'activation', value: out, axes: { channel: -1 } },
    },
    nodes: added,
    form: 'MatMul',
    facts: { of: first!.site.id },
    tied: `lowrank:${first!.site.path}`,
    ...(first!.site.block === undefined ? {} : { block: first!.site.block }),
    size: n * rank,
  });
  for (const [k, m] of members.entries()) {
    const { axes } = m.site.ports['weight']!;
    job.rewriter.fold(m.site, m.site.ports['weight']!.value, { kind: 'subtract', out: axes['out']!, up: ups[k]!, down, rank });
    job.rewriter.behind(m.site, 'lowrank', (i, own) =>
      i.op('Add', [own, i.op('MatMul', [out, wide(i, i.constant('up', stored(turned(ups[k]!, m.out, rank), [rank, m.out])))])]),
    );
  }
}
