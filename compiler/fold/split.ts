/** Dimension reconstruction: channels with large steps become several channels that carry a share each, so that no weight column has to be large. */
import { int64s } from '../lower/make.ts';
import type { Job, Need } from './job.ts';
import { floatRows } from './output-error.ts';
import { refuse } from './refuse.ts';
import { type ScaleSet, scaleOutput } from './scale.ts';
import { setsOf } from './scaling.ts';
import type { Step } from './tensors.ts';

const absmax = { name: 'absmax', args: { axis: -1 } };
const hessian = { name: 'hessian', args: { axis: -1 } };

export interface Splitting {
  /** Channels above this multiple of the median are split. */
  readonly times: number;
  readonly copies: number;
  /** Largest width afterwards, as a multiple of the width before. */
  readonly width?: number;
}

export const splitNeeds = (edges: Job['edges'], width: boolean): Need[] =>
  edges.flatMap((e) => {
    const port = e.to.ports['input'];
    return port ? [absmax, ...(width ? [hessian] : [])].map((observer) => ({ value: port.value, observer })) : [];
  });

/** Copies of each channel: ⌈a / (times · median)⌉, at most `copies`. */
export function copiesOf(a: ArrayLike<number>, times: number, copies: number): Int32Array {
  const sorted = Float64Array.from(a).sort();
  const threshold = times * (sorted[sorted.length >> 1] ?? 0);
  return Int32Array.from(a, (x) => (threshold > 0 ? Math.min(copies, Math.max(1, Math.ceil(x / threshold))) : 1));
}

/** Splits the channels of every edge. Errors: Refusal. */
export async function splitEdges(job: Job, how: Splitting): Promise<void> {
  const sets = setsOf(job, {});
  const seen = await job.observe(splitNeeds(job.edges, how.width !== undefined));
  for (const set of sets) {
    const [first] = set.readings;
    const value = first!.site.ports['input']!.value;
    if (set.pinned.some((x) => x)) refuse('reader-left-out', `${set.name}: somebody else reads some of its channels`);
    for (const r of set.readings)
      if (r.site.ports['input']!.value !== value || r.channels.length !== set.channels || r.channels.some((c, k) => c !== k))
        refuse('layout-lost', `${set.name}: ${r.site.path} does not read the channels in their order`);
    const most = seen.get(value, absmax)['absmax']!;
    const copies = copiesOf(most, how.times, how.copies);
    const unit = unitOf(job, set);
    const limit = how.width === undefined ? undefined : Math.floor((how.width * set.channels) / unit) * unit;
    const total = copies.reduce((a, b) => a + b, 0);
    const lost = limit === undefined ? [] : await leastImportant(job, set, copies, total - limit, seen.get(value, hessian)['h']!);
    fill(copies, lost, unit, most);
    fold(job, set, value, copies, lost);
  }
}

/** The width afterwards is a multiple of this: of the readers' groups, else of 32 where it was one. */
function unitOf(job: Job, set: ScaleSet): number {
  const groups = set.readings
    .flatMap((r) => ['weight', 'input'].map((p) => job.typeOf(r.site, p)?.grain))
    .flatMap((g) => (g?.per === 'group' ? [g.group] : []));
  return Math.max(1, ...groups, set.channels % 32 === 0 ? 32 : 1);
}

/** Tops the width up to a multiple of `unit` with more copies of what is largest. */
function fill(copies: Int32Array, lost: readonly Lost[], unit: number, most: ArrayLike<number>): void {
  const gone = new Set(lost.map((l) => l.channel));
  let total = copies.reduce((a, b, c) => a + (gone.has(c) ? 0 : b), 0);
  if (total === copies.length) return;
  for (; total % unit !== 0; total++) {
    let best = -1;
    for (let c = 0; c < copies.length; c++) if (!gone.has(c) && (best < 0 || most[c]! / copies[c]! > most[best]! / copies[best]!)) best = c;
    copies[best]!++;
  }
}

/** A channel that is given up: the channel that is most like it takes its weights, times `factor`. */
interface Lost {
  readonly channel: number;
  readonly into: number;
  readonly factor: number;
}

/** The `count` channels whose loss costs the outputs least: E[x²] ‖W‖² (1 − r²), r the correlation with the channel that takes over. */
async function leastImportant(job: Job, set: ScaleSet, copies: Int32Array, count: number, h: ArrayLike<number>): Promise<Lost[]> {
  if (count <= 0) return [];
  const n = set.channels;
  const energy = new Float64Array(n);
  for (const r of set.readings) {
    const { rows, reduce } = await floatRows(job, r.site);
    for (const [i, w] of rows.entries()) energy[i % reduce]! += w * w;
  }
  const rank = Array.from({ length: n }, (_, c) => ({ c, cost: h[c * n + c]! * energy[c]! }))
    .filter(({ c }) => copies[c] === 1)
    .sort((a, b) => a.cost - b.cost || a.c - b.c)
    .slice(0, count);
  if (rank.length < count) refuse('no-gain', `${set.name}: ${count} channels would have to go, and only ${rank.length} are not split`);
  const gone = new Set(rank.map((r) => r.c));
  return rank.map(({ c }) => {
    let [into, best] = [-1, 0];
    for (let k = 0; k < n; k++) {
      const own = h[k * n + k]!;
      const like = gone.has(k) || own === 0 ? 0 : h[c * n + k]! ** 2 / own;
      if (like > best) [into, best] = [k, like];
    }
    return { channel: c, into, factor: into < 0 ? 0 : h[c * n + into]! / h[into * n + into]! };
  });
}

function fold(job: Job, set: ScaleSet, value: string, copies: Int32Array, lost: readonly Lost[]): void {
  const gone = new Set(lost.map((l) => l.channel));
  const indices = Int32Array.from([...copies].flatMap((m, c) => (gone.has(c) ? [] : Array<number>(m).fill(c))));
  const more = copies.filter((m) => m > 1).length;
  const readers = set.readings.map((r) => r.site);
  const report = (detail: string) =>
    job.applied({
      name: set.name,
      detail,
      touched: [...set.values.keys()],
      same: set.same,
      ...(lost.length ? { approximate: true as const } : {}),
    });
  if (indices.length === set.channels && lost.length === 0) {
    report('no channel is large enough to be split');
    return;
  }
  scaleOutput(
    job.rewriter,
    set.producer!.site,
    Float64Array.from(copies, (m) => 1 / m),
  );
  for (const r of readers) {
    const axis = r.ports['weight']!.axes['reduce']!;
    const merges = lost
      .filter((l) => l.into >= 0)
      .map((l): Step => ({ kind: 'merge', axis, from: l.channel, into: l.into, factor: l.factor }));
    job.rewriter.fold(r, r.ports['weight']!.value, ...merges, { kind: 'gather', axis, indices });
  }
  const shape = job.view.shape(value)!;
  job.rewriter.insert(
    value,
    readers,
    'split',
    (i) => i.op('Gather', [value, i.constant('channels', int64s([...indices]))], { axis: shape.length - 1 }),
    [...shape.slice(0, -1), indices.length],
  );
  report(
    `${more} channels split, the widest into ${copies.reduce((a, b) => Math.max(a, b), 0)}; ${set.channels} → ${indices.length} channels${lost.length ? `, ${lost.length} merged into others` : ''}`,
  );
}
