/** Which elements of an activation share a static scale: by channel, cluster, state group or element, of a recurrence or a depthwise convolution. */
import { fail } from '../../grammar/diagnostics.ts';
import type { Grain } from '../plan/types.ts';
import type { Ref } from '../schema.ts';
import type { Site } from '../sites.ts';

/** Clusters of channels: four of heads by four of channels in Quamba2. */
const CLUSTERS = 16;

/** Sizes of a value's last axes that are not batch or time, and how scales lie on them. */
export interface Sharing {
  /** What to observe: the extremes of each position. */
  readonly observer: Ref;
  readonly dims: readonly number[];
  /** The scales' shape; it broadcasts against the value. */
  readonly shape: readonly number[];
  /** For each position the scale that it takes, given the extremes of positions. */
  groups(min: ArrayLike<number>, max: ArrayLike<number>): Int32Array;
}

/** A convolution with one filter a channel: no sum mixes channels, so each may have its own scale. */
export const isDepthwise = (site: Site): boolean => site.role === 'conv' && site.facts['depthwise'] === true;

/** Of a recurrence's ports, and the input of a depthwise convolution: can this grain have static scales there? */
export const shares = (site: Site, port: string, grain: Grain): boolean =>
  (site.role === 'ssm' && ['channel', 'cluster', 'state_group', 'element'].includes(grain.per)) ||
  (isDepthwise(site) && port === 'input' && grain.per === 'channel');

/** How a port's elements share scales; undefined where one scale is for all. Error: `grain-axis`, where a size is not known. */
export function sharing(site: Site, port: string, grain: Grain): Sharing | undefined {
  if (!shares(site, port, grain)) return undefined;
  const all = site.ports[port]?.shape ?? [];
  const conv = site.role === 'conv';
  // [batch, time, …], the state [batch, …], a convolution's input [batch, channel, time]
  const own = conv ? all.slice(1, 2) : all.slice(port === 'state' ? 1 : 2);
  const dims = own.filter((d): d is number => typeof d === 'number');
  if (dims.length !== own.length || dims.length === 0)
    return fail('grain-axis', `${port} of ${site.path}: the size of an axis is not known, so scales per ${grain.per} cannot lie on it`);
  const size = dims.reduce((a, b) => a * b, 1);
  const observer = conv ? { name: 'moments', args: { axis: 1 } } : { name: 'elements', args: { last: dims.length } };
  const inner = port === 'state' ? dims.at(-1)! : 1;
  const each = (f: (i: number) => number): Int32Array => Int32Array.from({ length: size }, (_, i) => f(i));
  const channels = port === 'state' ? [...dims.slice(0, -1), 1] : dims;
  if (grain.per === 'element') return { observer, dims, shape: dims, groups: () => each((i) => i) };
  if (grain.per === 'channel')
    return { observer, dims, shape: conv ? [...dims, 1] : channels, groups: () => each((i) => Math.floor(i / inner)) };
  if (grain.per === 'cluster') {
    // A permutation that sorted the channels has also said where its clusters end.
    const sorted = site.facts[`clusters_${port}`];
    if (Array.isArray(sorted) && sorted.length * inner === size)
      return { observer, dims, shape: channels, groups: () => each((i) => sorted[Math.floor(i / inner)]!) };
    return {
      observer,
      dims,
      shape: channels,
      groups(min, max) {
        const most = new Float64Array(size / inner);
        for (let i = 0; i < size; i++) {
          const c = Math.floor(i / inner);
          most[c] = Math.max(most[c]!, Math.abs(min[i]!), Math.abs(max[i]!));
        }
        const label = clusters(most, CLUSTERS);
        return each((i) => label[Math.floor(i / inner)]!);
      },
    };
  }
  const count = groupsOf(site);
  const first = dims[0]!;
  const share = first % count === 0 ? first / count : first;
  const behind = size / first;
  return {
    observer,
    dims,
    shape: [first, ...dims.slice(1).map(() => 1)],
    groups: () => each((i) => Math.floor(Math.floor(i / behind) / share)),
  };
}

/** Groups of a recurrence that share B and C: the axis before the last of B as [batch, time, group, state]. */
export function groupsOf(site: Site): number {
  const shape = site.ports['B']?.shape;
  const n = shape?.length === 4 ? shape[2] : 1;
  return typeof n === 'number' ? n : 1;
}

/** Labels of at most `k` clusters of magnitudes: Lloyd's algorithm on their logarithms from evenly spaced quantiles, so labels follow the order. */
export function clusters(most: Float64Array, k: number): Int32Array {
  const logs = most.map((m) => Math.log(Math.max(m, 1e-30)));
  const sorted = Float64Array.from(logs).sort();
  let centers = Float64Array.from({ length: k }, (_, i) => sorted[Math.floor(((i + 0.5) * sorted.length) / k)]!);
  const label = new Int32Array(logs.length);
  for (let round = 0; round < 50; round++) {
    const [sum, count] = [new Float64Array(k), new Float64Array(k)];
    let moved = round === 0;
    for (const [i, x] of logs.entries()) {
      let best = 0;
      for (let c = 1; c < k; c++) if (Math.abs(x - centers[c]!) < Math.abs(x - centers[best]!)) best = c;
      moved ||= label[i] !== best;
      label[i] = best;
      sum[best]! += x;
      count[best]! += 1;
    }
    if (!moved) break;
    centers = centers.map((old, c) => (count[c]! > 0 ? sum[c]! / count[c]! : old));
  }
  return label;
}
