/** Scales of channels between a producer and everything that reads it: x' = x / s, W' = s · W. */
import { toFloat32 } from '../graph/numeric.ts';
import type { EvalContext } from '../host.ts';
import { float32s } from '../lower/make.ts';
import type { View } from '../match/view.ts';
import { isDepthwise } from '../simulate/sharing.ts';
import type { Site } from '../sites.ts';
import { type Blocked, follow, type Gate, type Reading } from './flow.ts';
import { channelsOf, type Digit, type Layout, onLast } from './layout.ts';
import type { MapKind } from './pass.ts';
import { type Reason, Refusal, refuse } from './refuse.ts';
import type { Rewriter } from './rewriter.ts';

/** A producer's side: the channel of each of its outputs. */
export interface Producing {
  readonly site: Site;
  readonly channels: Int32Array;
}

/** One map: who makes the value, who reads it, over how many free scales. */
export interface ScaleSet {
  /** For messages and ledgers: `layers.0.mlp.up_proj → layers.0.mlp.down_proj`. */
  readonly name: string;
  /** Absent: an explicit multiplication before the readers. */
  readonly producer?: Producing;
  /** Reads what the scale divided. For q and k: the producer that is multiplied. */
  readonly readings: readonly Reading[];
  readonly partner?: Producing;
  /** SiLUs between: they become x·σ(s·x). */
  readonly gates?: readonly Gate[];
  readonly channels: number;
  /** 1: this channel keeps its scale, somebody else reads it. */
  readonly pinned: Uint8Array;
  /** Values that change, with where their channels lie. */
  readonly values: ReadonlyMap<string, Layout>;
  readonly caches: ReadonlyMap<string, Layout>;
  /** Values behind the map that stay as they were. */
  readonly same: readonly string[];
}

const arrow = (from: string, to: readonly Site[]): string => `${from} -> ${to.map((s) => s.path).join(', ')}`;
export const widthOf = (v: View, value: string): number | undefined => {
  const n = v.shape(value)?.at(-1);
  return typeof n === 'number' ? n : undefined;
};

/** What a site yields, where it can take 1/s into it. Errors: Refusal. */
export function producing(v: View, site: Site, digits?: readonly Digit[]): { value: string; layout: Layout; channels: Int32Array } {
  const value = site.ports['output']?.value ?? '';
  const [n, rank] = [widthOf(v, value), v.shape(value)?.length];
  if (n === undefined || rank === undefined) return refuse('layout-lost', `the width of what ${site.path} yields is not known`);
  if (site.role === 'norm') {
    if (site.facts['kind'] !== 'rms' && site.facts['kind'] !== 'layer')
      refuse('mixes-channels', `${site.path} is a ${site.facts['kind']} norm, whose channels lie elsewhere`);
    if (typeof site.facts['gain'] !== 'string') refuse('no-gain', `${site.path} has no gain to fold into`);
  } else if (site.role !== 'linear')
    refuse('no-producer', `${site.path} is ${site.role === 'embedding' ? 'an' : 'a'} ${site.role}; scales fold into linears and norms`);
  const own = digits ?? [{ size: n, stride: 1 }];
  return { value, layout: onLast(rank, own), channels: channelsOf(own) };
}

/**
 * The set around the sites that read one value. `from`: the producers that were selected; the first that takes the map wins.
 * `kind` linear: only movements lie between, so that a shift goes through as well; `gates`: a scale may go through SiLU. Errors: Refusal with the reason of every candidate.
 */
export function scaleSet(
  view: View,
  sites: readonly Site[],
  from: readonly Site[],
  to: readonly Site[],
  online: boolean,
  kind: MapKind = 'scale',
  gates = false,
): ScaleSet {
  const reasons: { reason: Reason; why: string }[] = [];
  for (const site of from) {
    try {
      const p = producing(view, site);
      const flow = follow({ view, sites, sources: [p], kind, gates, takes: (s) => to.includes(s) });
      const m = p.channels.length;
      const pinned = pin(m, flow.blocked);
      const missing = to.find((s) => !flow.readings.some((r) => r.site === s));
      const shut = flow.blocked[0];
      if (pinned.every((x) => x === 1) && shut) reasons.push(shut);
      else if (missing) reasons.push({ reason: 'no-producer', why: `${missing.path} does not read what ${site.path} yields alone` });
      else
        return {
          name: arrow(site.path, to),
          producer: { site, channels: p.channels },
          readings: flow.readings,
          ...(flow.gates.length ? { gates: flow.gates } : {}),
          channels: m,
          pinned,
          values: flow.values,
          caches: flow.caches,
          same: flow.readings.map((r) => r.site.ports['output']!.value),
        };
    } catch (e) {
      if (!(e instanceof Refusal)) throw e;
      reasons.push({ reason: e.reason, why: e.message });
    }
  }
  if (online) return explicit(view, to);
  const first = reasons[0] ?? { reason: 'no-producer' as const, why: 'no linear or norm makes it' };
  const words = [...new Set(reasons.map((r) => r.why))].join('; ') || first.why;
  return refuse(first.reason, `${arrow(from.map((s) => s.path).join(', ') || '?', to)}: ${words}`);
}

/** A multiplication before the readers: the only form where nothing takes the map, at the price of an operator. */
function explicit(v: View, to: readonly Site[]): ScaleSet {
  const filter = to.find((s) => s.role !== 'linear');
  if (filter) refuse('no-producer', `${filter.path}: nothing before takes the scale, and a ${filter.role} gets no multiplication in front`);
  const value = to[0]!.ports['input']!.value;
  const n = widthOf(v, value);
  if (n === undefined) return refuse('layout-lost', `the width of "${value}" is not known`);
  const channels = channelsOf([{ size: n, stride: 1 }]);
  return {
    name: arrow(`"${value}"`, to),
    readings: to.map((site) => ({ site, channels })),
    channels: n,
    pinned: new Uint8Array(n),
    values: new Map(),
    caches: new Map(),
    same: to.map((s) => s.ports['output']!.value),
  };
}

function pin(m: number, blocked: readonly Blocked[]): Uint8Array {
  const pinned = new Uint8Array(m);
  for (const b of blocked) for (const c of b.channels) pinned[c] = 1;
  return pinned;
}

/** Folds one set. `s` has a positive number for each channel. */
export function foldScale(rewriter: Rewriter, set: ScaleSet, s: Float64Array): void {
  const at = (channels: Int32Array, f: (x: number) => number) => Float64Array.from(channels, (c) => f(s[c]!));
  if (set.producer)
    scaleOutput(
      rewriter,
      set.producer.site,
      at(set.producer.channels, (x) => 1 / x),
    );
  else {
    const sites = set.readings.map((r) => r.site);
    const factors = at(set.readings[0]!.channels, (x) => 1 / x);
    const value = sites[0]!.ports['input']!.value;
    rewriter.insert(value, sites, 'scaled', (i) => i.op('Mul', [value, i.constant('scale', float32s(factors, [factors.length]))]));
  }
  if (set.partner)
    scaleOutput(
      rewriter,
      set.partner.site,
      at(set.partner.channels, (x) => x),
    );
  for (const r of set.readings)
    rewriter.fold(r.site, r.site.ports['weight']!.value, { kind: 'scale', axis: readAxis(r.site), factors: at(r.channels, (x) => x) });
  for (const g of set.gates ?? []) {
    const s = at(g.channels, (x) => x);
    rewriter.insertBefore(g.node, g.value, 'gate', (i) => i.op('Mul', [g.value, i.constant('gate_scale', float32s(s, [s.length]))]));
  }
}

/** The axis of a weight that lies along what is read: of a depthwise convolution its filters. */
const readAxis = (s: Site): number => s.ports['weight']!.axes[isDepthwise(s) ? 'out' : 'reduce']!;

/** Scales what a linear or norm yields. */
export function scaleOutput(rewriter: Rewriter, site: Site, factors: Float64Array): void {
  const vector = (name: string, before: number) => {
    const shape = rewriter.tensor(name)?.shape ?? [];
    if (shape.at(-1) !== factors.length) refuse('no-gain', `${name} of ${site.path} is not one number for each channel`);
    const scale = { kind: 'scale', axis: shape.length - 1, factors } as const;
    if (before === 0) rewriter.fold(site, name, scale);
    else rewriter.fold(site, name, { kind: 'add', value: before }, scale, { kind: 'add', value: -before });
  };
  if (site.role === 'norm') vector(site.facts['gain'] as string, (site.facts['gain_offset'] as number | undefined) ?? 0);
  else rewriter.fold(site, site.ports['weight']!.value, { kind: 'scale', axis: site.ports['weight']!.axes['out']!, factors });
  if (site.bias !== undefined) vector(site.bias, 0);
}

/** The largest magnitude in the weights of a set for each channel, over all readers. */
export async function weightAbsmax(set: ScaleSet, tensorOf: Rewriter['tensor'], ctx: EvalContext): Promise<Float64Array> {
  const most = new Float64Array(set.channels);
  for (const r of set.readings) {
    const t = tensorOf.call(undefined, r.site.ports['weight']!.value)!;
    const w = toFloat32(t.dtype, await ctx.bytes(t));
    const axis = readAxis(r.site);
    const inner = t.shape.slice(axis + 1).reduce((a, b) => a * b, 1);
    for (let k = 0; k < w.length; k++) {
      const c = r.channels[Math.floor(k / inner) % t.shape[axis]!]!;
      const a = Math.abs(w[k]!);
      if (a > most[c]!) most[c] = a;
    }
  }
  return most;
}
