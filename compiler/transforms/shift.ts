import type { Transform } from '../define.ts';
import { foldAffine, shifts } from '../fold/affine.ts';
import { refuse } from '../fold/refuse.ts';
import { scaleSet } from '../fold/scale.ts';
import { edgeSets } from '../fold/scaling.ts';

const observer = { name: 'moments', args: { axis: -1 } };

const transform: Transform = {
  name: 'shift',
  since: '0.2.0',
  doc: 'Moves the centre of each channel into the biases: of the LayerNorm or linear that makes the value, and of the linears that read it (which get one where they had none). Symmetric and per-tensor ranges shrink.',
  cite: 'Wei et al., Outlier Suppression+, 2023 (arXiv:2304.09145)',
  formula: "z_k = (max x_k + min x_k) / 2; x' = x − z, b' = b + W z",
  params: {},
  stage: () => 5,
  needs: (edges) => edges.flatMap((e) => (e.to.ports['input'] ? [{ value: e.to.ports['input'].value, observer }] : [])),
  async apply(job) {
    const sets = edgeSets(job.edges).map((g) => scaleSet(job.view, job.sites, g.from, g.to, false, 'linear'));
    const seen = await job.observe(sets.map((s) => ({ value: s.readings[0]!.site.ports['input']!.value, observer })));
    for (const set of sets) {
      const from = set.producer!.site;
      if (!shifts(from)) refuse('no-bias', `${set.name}: ${from.path} has no bias to take the centre from`);
      const first = set.readings[0]!;
      const { min, max } = seen.get(first.site.ports['input']!.value, observer) as { min: Float64Array; max: Float64Array };
      const [lo, hi] = [
        new Float64Array(set.channels).fill(Number.POSITIVE_INFINITY),
        new Float64Array(set.channels).fill(Number.NEGATIVE_INFINITY),
      ];
      for (const [i, c] of first.channels.entries()) {
        lo[c] = Math.min(lo[c]!, min[i]!);
        hi[c] = Math.max(hi[c]!, max[i]!);
      }
      const z = lo.map((l, c) => (set.pinned[c]! || !Number.isFinite(l) ? 0 : (l + hi[c]!) / 2));
      foldAffine(
        job.rewriter,
        set,
        new Float64Array(set.channels).fill(1),
        z.map((x) => -x),
      );
      const largest = (f: (c: number) => number) => lo.reduce((m, _, c) => Math.max(m, f(c)), 0);
      const [before, after] = [
        largest((c) => Math.max(Math.abs(lo[c]!), Math.abs(hi[c]!))),
        largest((c) => Math.max(Math.abs(lo[c]! - z[c]!), Math.abs(hi[c]! - z[c]!))),
      ];
      job.applied({
        name: set.name,
        detail: `centres of ${set.channels} channels moved into biases; largest value ${before.toPrecision(3)} → ${after.toPrecision(3)}`,
        touched: [...set.values.keys()],
        same: set.same,
      });
    }
  },
};
export default transform;
