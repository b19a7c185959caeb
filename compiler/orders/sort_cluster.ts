import type { Order, OrderQuestion } from '../define.ts';
import { int } from '../schema.ts';

const params = {
  heads: int({ doc: 'Clusters of heads in each group that shares B and C.', min: 1, default: 4 }),
  channels: int({ doc: 'Clusters of channels in each cluster of heads.', min: 1, default: 4 }),
};

/** Ward's clustering of profiles, bottom up: the two clusters whose union adds the least squared distance are joined until `count` are left. */
export function ward(profiles: readonly Float64Array[], count: number): number[][] {
  let parts = profiles.map((p, i) => ({ members: [i], mean: Float64Array.from(p) }));
  const apart = (a: Float64Array, b: Float64Array) => a.reduce((s, x, i) => s + (x - b[i]!) ** 2, 0);
  while (parts.length > count) {
    let best = { i: 0, j: 1, cost: Number.POSITIVE_INFINITY };
    for (const [i, a] of parts.entries())
      for (let j = i + 1; j < parts.length; j++) {
        const b = parts[j]!;
        const [m, n] = [a.members.length, b.members.length];
        const cost = ((m * n) / (m + n)) * apart(a.mean, b.mean);
        if (cost < best.cost) best = { i, j, cost };
      }
    const [a, b] = [parts[best.i]!, parts[best.j]!];
    const [m, n] = [a.members.length, b.members.length];
    const one = { members: [...a.members, ...b.members], mean: a.mean.map((x, i) => (m * x + n * b.mean[i]!) / (m + n)) };
    parts = parts.map((p, i) => (i === best.i ? one : p)).filter((_, i) => i !== best.j);
  }
  return parts.map((p) => p.members.sort((x, y) => x - y));
}

/** Lloyd's algorithm on ascending numbers from evenly spaced runs: labels ascend with the numbers. */
export function runs(sorted: Float64Array, count: number): Int32Array {
  const k = Math.min(count, sorted.length);
  let label = Int32Array.from(sorted, (_, i) => Math.floor((i * k) / sorted.length));
  for (let round = 0; round < 50; round++) {
    const [sum, n] = [new Float64Array(k), new Float64Array(k)];
    for (const [i, l] of label.entries()) {
      sum[l]! += sorted[i]!;
      n[l]! += 1;
    }
    const centers = sum.map((s, l) => (n[l]! > 0 ? s / n[l]! : Number.POSITIVE_INFINITY));
    const next = Int32Array.from(sorted, (x) => centers.reduce((b, c, l) => (Math.abs(x - c) < Math.abs(x - centers[b]!) ? l : b), 0));
    if (next.every((l, i) => l === label[i])) break;
    label = next;
  }
  return label;
}

/**
 * Channels ascend inside each head; heads with alike profiles stand side by side inside their group; runs of a cluster's mean profile share a scale.
 * The paper averages |x| over a sample; here it is the largest one, which is what int8 scales are made of.
 */
const order: Order<typeof params> = {
  name: 'sort_cluster',
  since: '0.4.0',
  doc: 'Sorts channels in each head, clusters heads by their sorted profiles, and channels of each cluster of heads: runs of channels share a scale under `per: cluster`.',
  cite: 'Chiang et al., Quamba2, 2025 (arXiv:2503.22879)',
  formula: 'p_h = sort(max|x_h|); heads by Ward on p_h / ‖p_h‖; runs of mean p by k-means',
  params,
  positional: ['heads', 'channels'],
  order({ heads, size, groups, absmax }: OrderQuestion, p) {
    const [from, clusters] = [new Int32Array(heads * size), new Int32Array(heads * size)];
    const inside = Array.from({ length: heads }, (_, h) => {
      const own = absmax.subarray(h * size, (h + 1) * size);
      return Array.from(own.keys()).sort((a, b) => own[a]! - own[b]! || a - b);
    });
    const profile = (h: number) => Float64Array.from(inside[h]!, (c) => absmax[h * size + c]!);
    const share = heads / groups;
    let [place, cluster] = [0, 0];
    for (let g = 0; g < groups; g++) {
      const mine = Array.from({ length: share }, (_, i) => g * share + i);
      const unit = mine.map((h) => {
        const x = profile(h);
        const norm = Math.sqrt(x.reduce((s, v) => s + v * v, 0)) || 1;
        return x.map((v) => v / norm);
      });
      for (const part of ward(unit, Math.min(p.heads, share))) {
        const members = part.map((i) => mine[i]!);
        const mean = new Float64Array(size);
        for (const h of members) for (const [i, v] of profile(h).entries()) mean[i]! += v / members.length;
        const label = runs(mean, p.channels);
        for (const h of members)
          for (let i = 0; i < size; i++, place++) {
            from[place] = h * size + inside[h]![i]!;
            clusters[place] = cluster + label[i]!;
          }
        cluster += Math.min(p.channels, size);
      }
    }
    return { from, clusters, note: `${cluster} clusters` };
  },
};
export default order;
