/** A transform that scales the channels of its edges under a law. */
import type { Scaling } from '../define.ts';
import type { Ref, Schema } from '../schema.ts';
import { isDepthwise } from '../simulate/sharing.ts';
import type { Site } from '../sites.ts';
import { byChannel, type Job, type Need } from './job.ts';
import { pairSet } from './pair.ts';
import { refuse } from './refuse.ts';
import { foldScale, type ScaleSet, scaleSet, weightAbsmax } from './scale.ts';

const absmax = { name: 'absmax', args: { axis: -1 } };

/** What else a transform lets scales do. */
export interface Ways {
  /** An explicit multiplication where nothing takes the scale. */
  readonly online?: boolean;
  /** Through SiLU. */
  readonly gates?: boolean;
  /** Into the filters of a depthwise convolution. */
  readonly filters?: boolean;
}

/** A statistic of channels on the axis where a site reads them. */
const observerAt = (site: Site, observer: Ref): Ref =>
  isDepthwise(site) ? { ...observer, args: { ...observer.args, axis: 1 } } : observer;

/** The edges of a statement by what is read: one set for each value, one for each pair of q and k. Errors: Refusal. */
export function setsOf(job: Job, { online = false, gates = false, filters = false }: Ways): ScaleSet[] {
  const filter = job.edges.find((e) => isDepthwise(e.to));
  if (filter && !filters) refuse('no-producer', `${filter.to.path} is a depthwise convolution, which takes scales of \`smooth\` alone`);
  const pairs = job.edges
    .filter((e) => e.tied)
    .map((e) => {
      const q = [e.from, e.to].find((s) => s.members.includes('attention.q')) ?? e.from;
      return pairSet(job.view, job.sites, q, q === e.from ? e.to : e.from);
    });
  return [...pairs, ...edgeSets(job.edges).map((g) => scaleSet(job.view, job.sites, g.from, g.to, online, 'scale', gates))];
}

/** The flowing edges by the value that is read: who may make it, who reads it. */
export function edgeSets(edges: Job['edges']): { readonly from: readonly Site[]; readonly to: readonly Site[] }[] {
  const groups = new Map<string, { from: Set<Site>; to: Set<Site> }>();
  for (const e of edges) {
    if (e.tied) continue;
    const value = e.to.ports['input']?.value ?? e.to.id;
    const group = groups.get(value) ?? { from: new Set(), to: new Set() };
    group.from.add(e.from);
    group.to.add(e.to);
    groups.set(value, group);
  }
  return [...groups.values()].map((g) => ({ from: [...g.from], to: [...g.to] }));
}

/** What a law looks at on these edges. */
export const edgeNeeds = (law: Pick<Scaling, 'observes'>, edges: Job['edges']): Need[] =>
  edges.flatMap((e) => {
    const values = e.tied ? [e.from.ports['output'], e.to.ports['output']] : [e.to.ports['input']];
    const observers = e.tied ? [absmax] : (law.observes ?? [absmax]).map((o) => observerAt(e.to, o));
    return values.flatMap((p) => (p ? observers.map((observer) => ({ value: p.value, observer })) : []));
  });

/** Chooses and folds the scales of every edge of the statement. Errors: Refusal, those of calibration. */
export async function scaleEdges<S extends Schema>(job: Job, law: Scaling<S>, args: never, ways: Ways): Promise<void> {
  const sets = setsOf(job, { ...ways, filters: law.name === 'smooth' });
  const observers = law.observes ?? [absmax];
  const needs: Need[] = sets.flatMap((s) => [
    ...s.readings.flatMap((r) => observers.map((o) => ({ value: r.site.ports['input']!.value, observer: observerAt(r.site, o) }))),
    ...(s.partner ? [s.producer!.site, s.partner.site] : []).flatMap((p) =>
      observers.map((observer) => ({ value: p.ports['output']!.value, observer })),
    ),
  ]);
  const seen = await job.observe(needs);
  for (const set of sets) {
    const s = await law.scales(
      {
        set,
        activation: (observer, name) => channelMax(set, (value, site) => seen.get(value, observerAt(site, observer))[name]!),
        weight: () =>
          set.partner
            ? Promise.resolve(ofPartner(set, (value) => seen.get(value, absmax)['absmax']!))
            : weightAbsmax(set, (n) => job.rewriter.tensor(n), job.ctx),
        observed: seen,
        job,
      },
      args,
    );
    for (let c = 0; c < set.channels; c++) if (set.pinned[c]! || !(s[c]! > 0) || !Number.isFinite(s[c]!)) s[c] = 1;
    foldScale(job.rewriter, set, s);
    report(job, set, s, law);
  }
}

/** A statistic of the scaled value, the largest over what shares a channel. */
export function channelMax(set: ScaleSet, of: (value: string, site: Site) => ArrayLike<number>): Float64Array {
  const out = new Float64Array(set.channels);
  const fold = (x: ArrayLike<number>, channels: Int32Array) => {
    for (const [i, c] of channels.entries()) out[c] = Math.max(out[c]!, x[i]!);
  };
  if (set.partner) fold(of(set.producer!.site.ports['output']!.value, set.producer!.site), set.producer!.channels);
  for (const r of set.readings) fold(of(r.site.ports['input']!.value, r.site), r.channels);
  return out;
}
function ofPartner(set: ScaleSet, of: (value: string) => ArrayLike<number>): Float64Array {
  const out = new Float64Array(set.channels);
  const x = of(set.partner!.site.ports['output']!.value);
  for (const [i, c] of set.partner!.channels.entries()) out[c] = Math.max(out[c]!, x[i]!);
  return out;
}

function report(job: Job, set: ScaleSet, s: Float64Array, law: Pick<Scaling, 'name' | 'note'>): void {
  const kept = set.pinned.reduce((a, b) => a + b, 0);
  const [lo, hi] = [Math.min(...s), Math.max(...s)];
  const through = (set.gates ?? []).map((g) => `; ${g.site.path} is x·σ(s·x)`).join('');
  const into = `${set.producer ? `folded into ${set.producer.site.path}` : 'an explicit multiplication'}${through}`;
  job.applied({
    name: set.name,
    detail: `${law.name}: ${set.channels} scales ${lo.toPrecision(3)} to ${hi.toPrecision(3)}, ${into}${kept ? `; ${kept} channels kept` : ''}${law.note ? `; ${law.note(s)}` : ''}`,
    touched: [...set.values.keys()],
    same: set.same,
    caches: new Map([...set.caches].map(([name, l]) => [name, byChannel(l, (c) => 1 / s[c]!)])),
  });
}
