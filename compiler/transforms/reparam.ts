import { fail } from '../../grammar/diagnostics.ts';
import { clips } from '../clips/index.ts';
import type { ChannelHistogram, Clip, Transform } from '../define.ts';
import { foldAffine, shifts } from '../fold/affine.ts';
import type { Job } from '../fold/job.ts';
import { refuse } from '../fold/refuse.ts';
import { type ScaleSet, scaleSet } from '../fold/scale.ts';
import { edgeSets } from '../fold/scaling.ts';
import { choice, ref } from '../schema.ts';

const params = {
  from: choice(['channel'], { doc: 'Granularity before.', default: 'channel' }),
  to: choice(['tensor'], { doc: 'Granularity after.', default: 'tensor' }),
  clip: ref('law', { doc: 'How the range of each channel is clipped.', default: { name: 'dual', args: {} } }),
};

const observer = { name: 'histograms', args: {} };

function clipOf(name: string): Clip {
  const found = (clips as unknown as readonly Clip[]).find((c) => c.name === name);
  return found ?? fail('not-a-clip', `\`${name}\` is no clip by channel.`, `Use ${clips.map((c) => c.name).join(', ')}.`);
}

/** The histogram of channel c among those of a value. */
function channel(arrays: Readonly<Record<string, ArrayLike<number>>>, c: number): ChannelHistogram {
  const n = arrays['lo']!.length;
  const counts = arrays['counts'] as Float64Array;
  const bins = counts.length / n;
  const of = (name: string) => arrays[name]![c]!;
  return { counts: counts.subarray(c * bins, (c + 1) * bins), lo: of('lo'), hi: of('hi'), min: of('min'), max: of('max') };
}

/** Lowest and highest kept value of every channel of a set. */
function ranges(set: ScaleSet, arrays: Readonly<Record<string, ArrayLike<number>>>, law: Clip, steps: number, args: never) {
  const lo = new Float64Array(set.channels).fill(Number.POSITIVE_INFINITY);
  const hi = new Float64Array(set.channels).fill(Number.NEGATIVE_INFINITY);
  for (const [i, c] of set.readings[0]!.channels.entries()) {
    const r = law.range(channel(arrays, i), steps, args);
    lo[c] = Math.min(lo[c]!, r.lo);
    hi[c] = Math.max(hi[c]!, r.hi);
  }
  return { lo, hi };
}

/** Steps of the codes that the readers' input gets. Error: Refusal not-quantized, where the plan gives it no integers. */
function stepsOf(job: Job, set: ScaleSet): { steps: number; symmetric: boolean } {
  const type = job.typeOf(set.readings[0]!.site, 'input');
  if (type?.codes?.kind !== 'int' || type.mode !== 'static')
    return refuse('not-quantized', `${set.name}: what is read gets no static integer type, so there is no step to level`);
  return { steps: type.codes.hi - type.codes.lo, symmetric: type.symmetric };
}

/**
 * With steps s_c and zero points z_c by channel, s̃ and z̃ their means: x' = x / r + e with r_c = s_c / s̃ and e_c = s̃ (z_c − z̃) has the codes
 * under (s̃, z̃) that x has under (s_c, z_c). A producer without a bias (RMSNorm), or a symmetric type, only scales.
 */
const transform: Transform<typeof params> = {
  name: 'reparam',
  since: '0.1.0',
  doc: "Scales and zero points by channel become one of each: the differences fold into the norm's gain and bias and into the reader's weight and bias.",
  cite: 'Li et al., RepQ-ViT, 2023 (arXiv:2212.08254); RepQuant, 2024 (arXiv:2402.05628)',
  formula: "x' = x / r + e, W' = W · diag(r), b' = b − W (r e); r_c = s_c / s̃, e_c = s̃ (z_c − z̃)",
  params,
  stage: () => 4,
  needs: (edges) => edges.flatMap((e) => (e.to.ports['input'] ? [{ value: e.to.ports['input'].value, observer }] : [])),
  async apply(job, p) {
    const law = clipOf(p.clip.name);
    const args = Object.fromEntries(Object.entries(law.params).map(([k, x]) => [k, p.clip.args[k] ?? x.default])) as never;
    const sets = edgeSets(job.edges).map((g) => scaleSet(job.view, job.sites, g.from, g.to, false, 'linear'));
    const seen = await job.observe(sets.map((s) => ({ value: s.readings[0]!.site.ports['input']!.value, observer })));
    for (const set of sets) {
      const { steps, symmetric } = stepsOf(job, set);
      const arrays = seen.get(set.readings[0]!.site.ports['input']!.value, observer);
      const { lo, hi } = ranges(set, arrays, law, steps, args);
      const moves = !symmetric && set.producer !== undefined && shifts(set.producer.site);
      const { r, e } = levelled(lo, hi, set.pinned, moves);
      foldAffine(job.rewriter, set, r, e);
      const spread = [Math.min(...r), Math.max(...r)].map((x) => x.toPrecision(3));
      job.applied({
        name: set.name,
        detail: `steps of ${set.channels} channels, ${spread[0]} to ${spread[1]} of their mean, become one${moves ? ', zero points too' : ''}`,
        touched: [...set.values.keys()],
        same: set.same,
      });
    }
  },
};

/** r and e from the range of each channel. Without shifts the range is taken as symmetric. Channels without any range keep their place. */
function levelled(lo: Float64Array, hi: Float64Array, pinned: Uint8Array, moves: boolean): { r: Float64Array; e: Float64Array } {
  const free = Array.from(lo.keys()).filter((c) => !pinned[c] && hi[c]! > lo[c]!);
  const width = (c: number) => (moves ? hi[c]! - lo[c]! : 2 * Math.max(Math.abs(hi[c]!), Math.abs(lo[c]!)));
  const mean = (f: (c: number) => number) => free.reduce((sum, c) => sum + f(c), 0) / Math.max(1, free.length);
  const meanWidth = mean(width);
  const r = new Float64Array(lo.length).fill(1);
  const e = new Float64Array(lo.length);
  for (const c of free) r[c] = width(c) / meanWidth;
  if (!moves) return { r, e };
  // In units of the common width, a range's place is where its lower end lies: −z.
  const place = mean((c) => lo[c]! / width(c));
  for (const c of free) e[c] = meanWidth * (place - lo[c]! / width(c));
  return { r, e };
}
export default transform;
