/** Follows a channel map from where it enters a graph to everything that reads it. */
import { smallValues } from '../graph/numeric.ts';
import type { Node } from '../graph/types.ts';
import { attrInt, type View } from '../match/view.ts';
import { isDepthwise } from '../simulate/sharing.ts';
import type { Site } from '../sites.ts';
import { successor } from './carried.ts';
import { carries, channelsIn, channelsOf, type Layout } from './layout.ts';
import { isStop, type MapKind, pass } from './pass.ts';
import type { Reason } from './refuse.ts';

/** A linear that reads the mapped value: the channel of each index of its reduction. Or a depthwise convolution: the channel of each filter. */
export interface Reading {
  readonly site: Site;
  readonly channels: Int32Array;
}
/** The map stops here: these channels must stay as they are. */
export interface Blocked {
  readonly channels: Int32Array;
  readonly reason: Reason;
  readonly why: string;
}
/** A product of two mapped values (q and k): which operand this one is. */
export interface Meeting {
  readonly node: Node;
  readonly side: 0 | 1;
  readonly layout: Layout;
}
/** The sigmoid of a SiLU: it has to read what the map was before, and the product of both carries the map on (x·σ(s·x)). */
export interface Gate {
  readonly site: Site;
  readonly node: Node;
  readonly value: string;
  /** The channel of each position of the last axis. */
  readonly channels: Int32Array;
}
export interface Flow {
  readonly readings: readonly Reading[];
  readonly blocked: readonly Blocked[];
  readonly meetings: readonly Meeting[];
  readonly gates: readonly Gate[];
  /** Every value that the map changes. */
  readonly values: ReadonlyMap<string, Layout>;
  /** Inputs of the model that hold a cache of such values: they are scaled as well. */
  readonly caches: ReadonlyMap<string, Layout>;
}

export interface FlowQuestion {
  readonly view: View;
  readonly sites: readonly Site[];
  /** Where the map enters. */
  readonly sources: readonly { readonly value: string; readonly layout: Layout }[];
  readonly kind: MapKind;
  /** May this site take the map in? */
  readonly takes: (s: Site) => boolean;
  /** Does a scale go through SiLU? */
  readonly gates?: boolean;
  /** Nodes whose product undoes the map (scores of attention). */
  readonly products?: ReadonlySet<Node>;
  /** Does the map end at this node, which reads the value (a norm that keeps it)? */
  readonly ends?: (n: Node, value: string) => boolean;
}

interface Caches {
  readonly inputs: ReadonlySet<string>;
  readonly outputs: ReadonlySet<string>;
}
/** Names of cache inputs and outputs, which the model itself writes and reads; `filters`: those of these depthwise convolutions as well. */
export function cachesOf(v: View, sites: readonly Site[], filters: readonly Site[]): Caches {
  const all = sites.filter((s) => s.role === 'attention');
  const facts = (k: string) => all.flatMap((s) => (typeof s.facts[k] === 'string' ? [s.facts[k] as string] : []));
  const outputs = new Set(v.graph.outputs.map((o) => o.name));
  // What a convolution over time has seen before stands in front of what is new.
  const held = filters.flatMap((s) => {
    const joined = v.producer(s.ports['input']!.value);
    const past = joined?.op === 'Concat' ? v.origin(joined.inputs[0]!) : '';
    return v.isInput(past) && outputs.has(successor(past)) ? [past] : [];
  });
  return {
    inputs: new Set([...facts('past_key'), ...facts('past_value'), ...held]),
    outputs: new Set([
      ...all.flatMap((s) => [s.ports['key'], s.ports['value']]).flatMap((p) => (p ? [p.value] : [])),
      ...held.map(successor),
    ]),
  };
}

/** Follows the map. Nothing is decided here: what stops it is reported with its reason. */
export function follow(q: FlowQuestion): Flow {
  const { view: v } = q;
  const readers = new Map<Node, Site[]>();
  const takes = (s: Site): boolean => (s.role === 'lowrank' ? q.sites.some((x) => x.id === s.facts['of'] && q.takes(x)) : q.takes(s));
  for (const s of q.sites)
    if (s.role === 'linear' || s.role === 'lowrank') for (const n of s.nodes) readers.set(n, [...(readers.get(n) ?? []), s]);
  const filters = q.kind === 'scale' ? q.sites.filter((s) => isDepthwise(s) && q.takes(s)) : [];
  for (const s of filters) for (const n of s.nodes) readers.set(n, [...(readers.get(n) ?? []), s]);
  const silus = new Map(q.gates ? q.sites.filter((s) => s.form === 'SiLU').flatMap((s) => s.nodes.map((n) => [n, s] as const)) : []);
  const caches = cachesOf(v, q.sites, filters);
  const values = new Map<string, Layout>();
  const cacheInputs = new Map<string, Layout>();
  const [readings, blocked, meetings, gates]: [Reading[], Blocked[], Meeting[], Gate[]] = [[], [], [], []];
  const pending = new Map<number, Node>();
  const stop = (l: Layout, reason: Reason, why: string) => blocked.push({ channels: channelsIn(l), reason, why });
  const reach = (value: string, l: Layout) => {
    values.set(value, l);
    if (v.isOutput(value) && !caches.outputs.has(value)) stop(l, 'model-output', `"${value}" is an output of the model`);
    for (const n of v.consumers(value)) if (n.op !== 'Shape') pending.set(v.order(n), n);
  };
  for (const s of q.sources) reach(s.value, s.layout);
  while (pending.size > 0) {
    const order = Math.min(...pending.keys());
    const n = pending.get(order)!;
    pending.delete(order);
    const at = n.inputs.map((i) => values.get(i));
    const first = at.find((l) => l !== undefined);
    if (!first) {
      const inner = [...values].find(([name]) => v.consumers(name).includes(n))!;
      stop(inner[1], 'in-body', `"${inner[0]}" is read inside the body of ${n.op} "${n.name}"`);
      continue;
    }
    const index = at.indexOf(first);
    const site = (readers.get(n) ?? []).find((s) => s.ports['input']?.value === n.inputs[index]);
    if (site) {
      read(site, first, takes(site), readings, stop);
      continue;
    }
    if (q.products?.has(n) && at.filter((l) => l).length === 1) {
      meetings.push({ node: n, side: index as 0 | 1, layout: first });
      continue;
    }
    if (q.ends?.(n, n.inputs[index]!)) continue;
    const silu = n.op === 'Sigmoid' ? silus.get(n) : undefined;
    if (silu && silu.ports['input']?.value === n.inputs[0] && onlyLast(first)) {
      gates.push({ site: silu, node: n, value: n.inputs[0]!, channels: channelsOf(first.axes.at(-1)!, first.base) });
      continue;
    }
    const picked = pickedChannels(v, n, first);
    if (picked) {
      for (const c of v.consumers(n.outputs[0]!)) {
        const site = (readers.get(c) ?? []).find((s) => s.ports['input']?.value === n.outputs[0]);
        if (site && takes(site)) readings.push({ site, channels: picked });
        else stop(first, site ? 'reader-left-out' : 'layout-lost', `${site?.path ?? c.op} reads channels that were split`);
      }
      continue;
    }
    const passed = pass(v, n, at, q.kind, caches.inputs);
    if (isStop(passed)) {
      for (const l of at) if (l) stop(l, passed.reason, passed.why);
      continue;
    }
    if (n.op === 'Concat') for (const i of n.inputs) if (caches.inputs.has(v.origin(i))) cacheInputs.set(v.origin(i), passed[0]!);
    n.outputs.forEach((o, i) => {
      const l = passed[Math.min(i, passed.length - 1)];
      if (o !== '' && l && (carries(l) || channelsIn(l).length === 1)) reach(o, l);
    });
  }
  return { readings, blocked, meetings, gates, values, caches: cacheInputs };
}

/** A constant choice of channels, as `split` leaves it: the channel of each index of the result. */
function pickedChannels(v: View, n: Node, l: Layout): Int32Array | undefined {
  const digits = l.axes.at(-1)!;
  const held = n.op === 'Gather' ? v.constant(n.inputs[1]!) : undefined;
  const indices = held && !held.perm ? smallValues(held.tensor, 2 ** 20) : undefined;
  const along = attrInt(n, 'axis', 0);
  const rank = l.axes.length;
  if (!indices || (along < 0 ? along + rank : along) !== rank - 1 || v.shape(n.inputs[1]!)?.length !== 1) return undefined;
  if (l.axes.slice(0, -1).some((a) => a.length > 0) || digits.length === 0) return undefined;
  const channels = channelsOf(digits, l.base);
  return Int32Array.from(indices, (i) => channels[i]!);
}

/** No axis but the last has channels. */
const onlyLast = (l: Layout): boolean => l.axes.slice(0, -1).every((a) => a.length === 0);

function read(site: Site, l: Layout, takes: boolean, readings: Reading[], stop: (l: Layout, reason: Reason, why: string) => void): void {
  if (site.role === 'conv') {
    if (l.axes.every((a, i) => i === 1 || a.length === 0)) readings.push({ site, channels: channelsOf(l.axes[1] ?? [], l.base) });
    else stop(l, 'layout-lost', `${site.path} does not read the channels along its filters`);
    return;
  }
  const along = site.facts['transA'] !== true && onlyLast(l);
  if (!takes) stop(l, 'reader-left-out', `${site.path} reads it too and does not take part`);
  else if (!along) stop(l, 'layout-lost', `${site.path} does not read the channels along its reduction`);
  else readings.push({ site, channels: channelsOf(l.axes.at(-1)!, l.base) });
}
