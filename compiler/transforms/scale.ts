import { fail } from '../../grammar/diagnostics.ts';
import type { Scaling, Transform } from '../define.ts';
import { edgeNeeds, scaleEdges } from '../fold/scaling.ts';
import { scalings } from '../scalings/index.ts';
import { bool, choice, ref } from '../schema.ts';

const params = {
  law: ref('law', { doc: 'How the scales are chosen: smooth(α, β).', default: { name: 'smooth', args: { alpha: 0.5 } } }),
  by: choice(['step', 'range'], { doc: 'A table over the schedule instead of one value. Planned.', optional: true }),
  online: bool({ doc: 'An explicit multiplication where nothing before takes the scale; else that is an error.', default: false }),
  gates: bool({
    doc: 'Also through SiLU, which becomes x·σ(s·x): free inside a fused scan, else one multiplication at run time.',
    default: false,
  }),
};

function lawOf(name: string): Scaling {
  const law = (scalings as readonly Scaling[]).find((s) => s.name === name);
  return law ?? fail('not-a-scaling', `\`${name}\` chooses steps of a quantizer, not scales of channels.`, 'Use smooth(α, β).');
}

const transform: Transform<typeof params> = {
  name: 'scale',
  since: '0.1.0',
  doc: 'A scale for each channel of an edge, chosen by a law. `attention.q <-> attention.k` scales both so that scores stay (SmoothAttention).',
  formula: "x' = x / s, W' = s · W",
  params,
  later: ['by'],
  stage: () => 4,
  needs: (edges, p) => edgeNeeds(lawOf(p.law.name), edges),
  apply(job, p) {
    const law = lawOf(p.law.name);
    const args = Object.fromEntries(Object.entries(law.params).map(([k, x]) => [k, p.law.args[k] ?? x.default]));
    return scaleEdges(job, law, args as never, { online: p.online, gates: p.gates });
  },
};
export default transform;
