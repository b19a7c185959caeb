/** Rotations: of a residual stream (every writer and reader), and of the channels between a linear and the linears that read it. */
import { toFloat64 } from '../graph/numeric.ts';
import type { View } from '../match/view.ts';
import type { Site } from '../sites.ts';
import { follow, type Reading } from './flow.ts';
import type { Applied, Job } from './job.ts';
import { type Layout, onLast } from './layout.ts';
import type { Choice, Evidence, Pair } from './learn.ts';
import { floatRows } from './output-error.ts';
import { Refusal, refuse } from './refuse.ts';
import { keepingMean, type Rotation } from './rotation.ts';
import type { Part, Step } from './tensors.ts';

/** Everything that a rotation of a stream has to change. */
export interface StreamSet {
  readonly size: number;
  readonly writers: readonly Site[];
  readonly norms: readonly { readonly site: Site; readonly readers: readonly Site[] }[];
  /** Linears that read the stream without a norm. */
  readonly readers: readonly Site[];
  /** The stream's values, and those behind norms. */
  readonly values: readonly string[];
  readonly behind: readonly string[];
}

const WRITES = new Set(['linear', 'embedding']);
const identity = (r: Reading): boolean => r.channels.every((c, k) => c === k);

/** Finds who writes and reads a stream. Errors: Refusal not-a-writer, centred-norm, mixes-channels, model-output, layout-lost, in-body. */
export function streamSet(view: View, sites: readonly Site[], stream: Site): StreamSet {
  const size = view.shape(stream.ports['output']!.value)?.at(-1);
  if (typeof size !== 'number') return refuse('layout-lost', `the width of ${stream.path} is not known`);
  const own = new Set(stream.nodes);
  const norms = sites.filter((s) => s.role === 'norm');
  const writers = sites.filter((s) => s.members.includes('residual.writer') && leads(view, s, own));
  const wrong = writers.find((s) => !WRITES.has(s.role));
  if (wrong) refuse('not-a-writer', `${wrong.path}, a ${wrong.role}, writes the stream and takes no rotation`);
  if (writers.length === 0) refuse('not-a-writer', `nothing is known to write ${stream.path}`);
  const read = new Set<Site>();
  const at = (value: string): Layout => onLast(view.shape(value)?.length ?? 0, [{ size, stride: 1 }]);
  const flow = follow({
    view,
    sites,
    kind: 'linear',
    sources: writers.map((w) => ({ value: w.ports['output']!.value, layout: at(w.ports['output']!.value) })),
    takes: () => true,
    ends(n, value) {
      const norm = norms.find((s) => s.ports['input']!.value === value && s.nodes.includes(n));
      if (norm) read.add(norm);
      return norm !== undefined;
    },
  });
  const shut = flow.blocked[0];
  if (shut) refuse(shut.reason, shut.why);
  const behind: string[] = [];
  const normed = [...read].map((site) => {
    const kind = site.facts['kind'];
    if (kind !== 'rms' && kind !== 'layer')
      refuse('centred-norm', `${site.path} is a ${kind} norm, whose statistics a rotation does not keep`);
    if (site.form.startsWith('Skip')) refuse('mixes-channels', `${site.path} adds to the stream inside ${site.form}`);
    const value = site.ports['output']!.value;
    const after = follow({ view, sites, kind: 'linear', sources: [{ value, layout: at(value) }], takes: () => true });
    const stopped = after.blocked[0];
    if (stopped) refuse(stopped.reason, stopped.why);
    behind.push(...after.values.keys());
    return { site, readers: plain(after.readings) };
  });
  return { size, writers, norms: normed, readers: plain(flow.readings), values: [...flow.values.keys()], behind };
}

function plain(readings: readonly Reading[]): Site[] {
  const odd = readings.find((r) => !identity(r));
  if (odd) refuse('layout-lost', `${odd.site.path} does not read the channels in their order`);
  return readings.map((r) => r.site);
}

/** Does what the site yields reach one of these sums, through movements? */
function leads(v: View, site: Site, sums: ReadonlySet<Site['nodes'][number]>): boolean {
  let front = [site.ports['output']?.value ?? ''];
  for (let depth = 0; depth < 8 && front.length > 0; depth++) {
    const next = front.flatMap((x) => v.consumers(x));
    if (next.some((n) => sums.has(n))) return true;
    front = next.filter((n) => n.op !== 'MatMul' && n.op !== 'Gemm').flatMap((n) => n.outputs);
  }
  return false;
}

/**
 * Folds a rotation of the stream: gains go into readers, then writers and readers turn. Where a LayerNorm reads it, the rotation is one that keeps
 * the mean, so that the norm stays as it is.
 */
export async function rotateStream(job: Job, stream: Site, choose: Choice): Promise<void> {
  const set = streamSet(job.view, job.sites, stream);
  const centred = set.norms.some((n) => n.site.facts['kind'] === 'layer');
  const chosen = await choose(set.size, () => streamEvidence(job, set));
  const rotation = centred ? keepingMean(chosen.rotation) : chosen.rotation;
  const turn = (site: Site, axis: number, ...before: Step[]) =>
    job.rewriter.fold(site, site.ports['weight']!.value, ...before, { kind: 'rotate', axis, rotation });
  for (const w of set.writers) {
    const { axes } = w.ports['weight']!;
    turn(w, (w.role === 'embedding' ? axes['reduce'] : axes['out'])!);
    if (w.bias !== undefined) turnVector(job, w, w.bias, rotation);
  }
  for (const r of set.readers) turn(r, r.ports['weight']!.axes['reduce']!);
  for (const { site, readers } of set.norms) {
    const gain = await gainOf(job, site, set.size);
    if (site.bias !== undefined) moveShift(job, site, gain, rotation);
    for (const r of readers) {
      const axis = r.ports['weight']!.axes['reduce']!;
      turn(r, axis, ...(gain ? [{ kind: 'scale', axis, factors: gain } as const] : []));
    }
  }
  job.applied({
    name: stream.path,
    detail: `${rotation.name}: ${set.writers.length} writers and ${set.norms.reduce((n, x) => n + x.readers.length, set.readers.length)} readers turned, ${set.norms.length} gains moved into readers${chosen.note ? `; ${chosen.note}` : ''}`,
    touched: [...set.values, ...set.behind],
    same: [...set.readers, ...set.norms.flatMap((n) => n.readers)].map((r) => r.ports['output']!.value),
    mapped: new Map(set.values.map((v) => [v, unturn(rotation)])),
  });
}

const sample = { name: 'rows', args: { axis: -1, count: 256 } };

/** Rows behind each norm and of its readers' weights, with the gain on the side of the weights. */
async function streamEvidence(job: Job, set: StreamSet): Promise<Evidence> {
  const norms = set.norms.filter((n) => n.readers.length > 0);
  const seen = await job.observe(norms.map((n) => ({ value: n.site.ports['output']!.value, observer: sample })));
  const pairs: Pair[] = [];
  for (const { site, readers } of norms) {
    const gain = (await gainNumbers(job, site, set.size)) ?? new Float64Array(set.size).fill(1);
    const shift = site.bias === undefined ? undefined : await numbersOf(job, site.bias);
    const rows = seen.get(site.ports['output']!.value, sample)['rows']!;
    const x = Float32Array.from(rows, (v, i) => (v - (shift?.[i % set.size] ?? 0)) / (gain[i % set.size]! || 1));
    for (const r of readers) {
      const { rows: w } = await floatRows(job, r);
      pairs.push(
        pairOf(
          job,
          r,
          x,
          w.map((v, i) => v * gain[i % set.size]!),
        ),
      );
    }
  }
  return { pairs, ctx: job.ctx };
}

/** Blocks of what the readers of an edge see, and of their weights. */
export async function edgeEvidence(job: Job, readers: readonly Site[]): Promise<Evidence> {
  const seen = await job.observe(readers.map((r) => ({ value: r.ports['input']!.value, observer: sample })));
  const pairs: Pair[] = [];
  for (const r of readers) {
    const { rows: w } = await floatRows(job, r);
    pairs.push(pairOf(job, r, seen.get(r.ports['input']!.value, sample)['rows'] as Float32Array, w));
  }
  return { pairs, ctx: job.ctx };
}

function pairOf(job: Job, site: Site, x: Float32Array, w: Float32Array): Pair {
  const [input, weight] = [job.typeOf(site, 'input'), job.typeOf(site, 'weight')];
  return { x, w, site, ...(input ? { input } : {}), ...(weight ? { weight } : {}) };
}

const numbersOf = async (job: Job, name: string): Promise<Float64Array> => {
  const t = job.rewriter.tensor(name);
  return t ? toFloat64(t.dtype, await job.ctx.bytes(t)) : refuse('not-constant', `${name} is no constant`);
};

/** The norm's gain as numbers. */
async function gainNumbers(job: Job, norm: Site, size: number): Promise<Float64Array | undefined> {
  const name = norm.facts['gain'];
  if (typeof name !== 'string') return undefined;
  const offset = (norm.facts['gain_offset'] as number | undefined) ?? 0;
  const g = (await numbersOf(job, name)).map((x) => x + offset);
  if (g.length !== 1 && g.length !== size) refuse('layout-lost', `the gain of ${norm.path} is not one number for each channel`);
  return g.length === 1 ? new Float64Array(size).fill(g[0]!) : g;
}

/** The norm's gain as numbers; afterwards it is one everywhere. */
async function gainOf(job: Job, norm: Site, size: number): Promise<Float64Array | undefined> {
  const g = await gainNumbers(job, norm, size);
  if (g)
    job.rewriter.fold(norm, norm.facts['gain'] as string, {
      kind: 'fill',
      value: 1 - ((norm.facts['gain_offset'] as number | undefined) ?? 0),
    });
  return g;
}

/** A LayerNorm yields x̂γ + β; with a gain of one it has to yield x̂R + (β/γ)R. */
function moveShift(job: Job, norm: Site, gain: Float64Array | undefined, rotation: Rotation): void {
  if (gain?.some((g) => g === 0)) refuse('no-gain', `the gain of ${norm.path} is zero in some channel, which its shift cannot pass`);
  if (gain) job.rewriter.fold(norm, norm.bias!, { kind: 'scale', axis: 0, factors: gain.map((g) => 1 / g) });
  turnVector(job, norm, norm.bias!, rotation);
}

function turnVector(job: Job, site: Site, name: string, rotation: Rotation, part?: Part): void {
  const shape = job.rewriter.tensor(name)?.shape ?? [];
  const n = shape.at(-1);
  if (n === undefined || (part ? n < part.to : n % rotation.size))
    refuse('layout-lost', `${name} of ${site.path} is not one number for each channel`);
  job.rewriter.fold(site, name, { kind: 'rotate', axis: shape.length - 1, rotation, ...(part ? { part } : {}) });
}

const blocks =
  (rotation: Rotation, step: (r: Rotation) => (x: Float64Array) => void) =>
  (x: Float32Array): void => {
    const row = new Float64Array(rotation.size);
    for (let at = 0; at < x.length; at += rotation.size) {
      row.set(x.subarray(at, at + rotation.size));
      step(rotation)(row);
      x.set(row, at);
    }
  };
const unturn = (r: Rotation) => blocks(r, (x) => x.undo);

/**
 * Rotates what one linear yields, or the part of it that is read, in blocks (a head, or the whole) and turns it back in the linears that read it:
 * value and output of attention, the low-rank dt of Mamba. Errors: Refusal.
 */
export async function rotateEdge(job: Job, from: Site, to: readonly Site[], per: 'tensor' | 'head', choose: Choice): Promise<void> {
  const name = `${from.path} -> ${to.map((s) => s.path).join(', ')}`;
  if (from.role !== 'linear') refuse('no-producer', `${name}: a ${from.role} takes no rotation`);
  const value = from.ports['output']!.value;
  const width = job.view.shape(value)?.at(-1);
  if (typeof width !== 'number') throw new Refusal('layout-lost', `${name}: the width of what ${from.path} yields is not known`);
  const rank = job.view.shape(value)!.length;
  const flow = follow({
    view: job.view,
    sites: job.sites,
    kind: 'linear',
    sources: [{ value, layout: onLast(rank, [{ size: width, stride: 1 }]) }],
    takes: (s) => to.includes(s),
  });
  const part = readPart(flow.readings, width);
  const shut = flow.blocked.find((b) => !part || b.channels.some((c) => c >= part.from && c < part.to));
  if (shut) refuse(shut.reason, `${name}: ${shut.why}`);
  const size = per === 'head' ? headOf(job, from) : part ? part.to - part.from : width;
  const readers = flow.readings.map((r) => r.site);
  const { rotation, note } = await choose(size, () => edgeEvidence(job, readers));
  const first = part?.from ?? 0;
  const whole = (channels: Int32Array): boolean =>
    channels.every((c, k) => (c - first) % size === k % size && c - ((c - first) % size) === channels[k - (k % size)]!);
  for (const r of flow.readings)
    if (r.channels.length % size || !whole(r.channels)) refuse('layout-lost', `${name}: ${r.site.path} does not read whole heads`);
  const axis = from.ports['weight']!.axes['out']!;
  job.rewriter.fold(from, from.ports['weight']!.value, { kind: 'rotate', axis, rotation, ...(part ? { part } : {}) });
  if (from.bias !== undefined) turnVector(job, from, from.bias, rotation, part);
  for (const r of flow.readings)
    job.rewriter.fold(r.site, r.site.ports['weight']!.value, { kind: 'rotate', axis: r.site.ports['weight']!.axes['reduce']!, rotation });
  const applied: Applied = {
    name,
    detail: `${rotation.name} in ${part ? `${size} of ${width} channels` : `each of ${width / size} blocks`}${note ? `; ${note}` : ''}`,
    touched: [...flow.values.keys()],
    same: readers.map((r) => r.ports['output']!.value),
    caches: new Map([...flow.caches.keys()].map((c) => [c, blocks(rotation, (x) => x.apply)])),
  };
  job.applied(applied);
}

/** The part of the width that is read, where everything reads the same; undefined: all of it. */
function readPart(readings: readonly Reading[], width: number): Part | undefined {
  const all = readings.flatMap((r) => [...r.channels]);
  if (all.length === 0) return undefined;
  const [from, to] = [Math.min(...all), Math.max(...all) + 1];
  return from === 0 && to === width ? undefined : { from, to };
}

export function headOf(job: Job, v: Site): number {
  const dims = new Set(
    job.sites.filter((s) => s.role === 'attention' && s.block === v.block).map((s) => s.facts['head_dim'] as number | undefined),
  );
  const [d] = [...dims];
  return dims.size === 1 && d ? d : refuse('layout-lost', `the size of a head of ${v.path} is not known`);
}
