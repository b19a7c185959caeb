/** A low-rank branch beside a linear, in float: y = x R + (x V) U with R = W − V U. The residual R is what gets quantized. */
import { toHalf } from '../graph/numeric.ts';
import { float32s, held } from '../lower/make.ts';
import type { Site } from '../sites.ts';
import type { Job, Need } from './job.ts';
import { floatRows, rounded } from './output-error.ts';
import { measure } from './output-space.ts';
import { transposed } from './product.ts';
import { refuse } from './refuse.ts';
import { roundRows } from './round-rows.ts';
import { uniform } from './uniform.ts';

const sample = { name: 'rows', args: { axis: -1, count: 256 } };
/** Outputs of a wide layer that stand for all where the error is measured. */
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
  /** Its rows of what the group shares. */
  readonly from: number;
  readonly out: number;
}

/** The linears that one branch is for: their weights below one another. */
interface Group {
  readonly members: readonly Member[];
  /** [out, n] */
  readonly w: Float32Array;
  readonly n: number;
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

/** Rows beyond the rank that are iterated too, at least; the sum is whole for the blocks of the products. */
const MORE = 8;
const BLOCK = 16;
/** Power steps from a start that knows nothing, and from the branch of the round before. */
const [FIRST, NEXT] = [4, 2];
/** The alternation ends when the error has not fallen by this share in so many rounds: from round to round it wavers as codes jump. */
const [GAIN, PATIENCE] = [0.002, 2];

async function branch(job: Job, sites: readonly Site[], x: Float32Array, how: Branching): Promise<void> {
  const group = await gathered(job, sites);
  const { members, w, n } = group;
  const { crunch } = job.ctx;
  const rank = Math.min(how.rank, n, w.length / n);
  const count = Math.min(n, Math.ceil((rank + MORE) / BLOCK) * BLOCK);
  const space = await measure(how.error, x, n, crunch);
  const next = uniform(1);
  let start: Float32Array = Float32Array.from({ length: count * n }, () => next() - 0.5);
  const rounds = members.map((m) =>
    roundRows(x, n, job.typeOf(m.site, 'input'), m.site.members.includes('migrated') ? 'channel' : 'tensor'),
  );
  // Layers of millions of weights: rounds share their arrays, which nobody collects in time.
  const [rest, room] = [new Float32Array(w.length), new Float32Array(w.length)];
  let codes = how.start === 'codes' ? await codesOf(job, group, w, room) : undefined;
  let best: { error: number; down: Float32Array; up: Float32Array; round: number } | undefined;
  let [first, stands] = [0, 0];
  for (let round = 0; round < how.iterations; round++) {
    const found = await crunch.lowRank({
      weight: w,
      n,
      ...(codes ? { codes } : {}),
      start,
      rank,
      steps: round === 0 ? FIRST : NEXT,
      half: how.factors === 'float16',
      ...(space ? { space } : {}),
      rest,
    });
    start = found.basis;
    codes = await codesOf(job, group, rest, room);
    let error = 0;
    for (const [i, m] of members.entries())
      error += await crunch.distance(few(part(rest, m, n), m, n), few(part(codes, m, n), m, n), x, rounds[i]!, n);
    if (round === 0) first = error;
    stands = best && error > best.error * (1 - GAIN) ? stands + 1 : 0;
    if (!best || error < best.error) best = { error, down: found.down, up: found.up, round };
    if (stands === PATIENCE) break;
    if (error === 0 || members.every((m) => !job.typeOf(m.site, 'weight')?.codes)) break;
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

async function gathered(job: Job, sites: readonly Site[]): Promise<Group> {
  const members: Member[] = [];
  const parts: Float32Array[] = [];
  let [n, from] = [0, 0];
  for (const site of sites) {
    if (site.facts['transA'] === true) refuse('layout-lost', `${site.path} does not read the channels along its last axis`);
    const { rows, out, reduce } = await floatRows(job, site);
    members.push({ site, from, out });
    parts.push(rows);
    from += out;
    n = reduce;
  }
  if (parts.length === 1) return { members, w: parts[0]!, n };
  const w = new Float32Array(from * n);
  for (const [i, p] of parts.entries()) w.set(p, members[i]!.from * n);
  return { members, w, n };
}

const part = (a: Float32Array, m: Member, width: number): Float32Array => a.subarray(m.from * width, (m.from + m.out) * width);

/** What the codes of rows [out, n] stand for, in `to`; the rows themselves where the plan leaves them in float. */
async function codesOf(job: Job, { members, n }: Group, rows: Float32Array, to: Float32Array): Promise<Float32Array> {
  for (const m of members) {
    const type = job.typeOf(m.site, 'weight');
    const [own, into] = [part(rows, m, n), part(to, m, n)];
    if (type?.codes) await rounded({ site: m.site, type, out: m.out, reduce: n }, own, job.ctx, into);
    else into.set(own);
  }
  return to;
}

/** Of more rows than that, WIDE evenly spread: the error of the output on the sample is measured on them. */
function few(rows: Float32Array, m: Member, n: number): Float32Array {
  if (m.out <= WIDE) return rows;
  const out = new Float32Array(WIDE * n);
  for (let i = 0; i < WIDE; i++) out.set(rows.subarray(Math.floor((i * m.out) / WIDE) * n).subarray(0, n), i * n);
  return out;
}

function emit(
  job: Job,
  members: readonly Member[],
  { down, up }: { down: Float32Array; up: Float32Array },
  n: number,
  rank: number,
  factors: Branching['factors'],
): void {
  const value = members[0]!.site.ports['input']!.value;
  const stored = (values: Float32Array, shape: readonly number[]) =>
    factors === 'float32' ? float32s(values, shape) : held('float16', shape, new Uint8Array(Uint16Array.from(values, toHalf).buffer));
  let name = '';
  const wide = (i: { op: (op: string, inputs: readonly string[], attrs?: Readonly<Record<string, number>>) => string }, c: string) =>
    factors === 'float32' ? c : i.op('Cast', [c], { to: 1 });
  const shape = job.view.shape(value);
  const { out, added } = job.rewriter.beside(
    value,
    members.map((m) => m.site),
    'lowrank',
    (i) => {
      name = i.constant('down', stored(transposed(down, rank, n), [n, rank]));
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
  for (const m of members) {
    const own = part(up, m, rank);
    const { axes } = m.site.ports['weight']!;
    job.rewriter.fold(m.site, m.site.ports['weight']!.value, { kind: 'subtract', out: axes['out']!, up: own, down, rank });
    job.rewriter.behind(m.site, 'lowrank', (i, y) =>
      i.op('Add', [y, i.op('MatMul', [out, wide(i, i.constant('up', stored(transposed(own, m.out, rank), [rank, m.out])))])]),
    );
  }
}
