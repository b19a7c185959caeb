import type { Transform } from '../define.ts';
import { edgeNeeds, scaleEdges } from '../fold/scaling.ts';
import smoothLaw from '../scalings/smooth.ts';
import { bool, choice, num } from '../schema.ts';

const params = {
  alpha: num({
    doc: 'How much of the difficulty moves into the weight: 0 none, 1 all.',
    min: 0,
    max: 1,
    default: 0.5,
    aliases: ['smoothing_strength'],
  }),
  by: choice(['step', 'range'], { doc: 'A table over the schedule instead of one value. Planned.', optional: true }),
  online: bool({ doc: 'An explicit multiplication where nothing before takes the scale; else that is an error.', default: false }),
  gates: bool({
    doc: 'Also through SiLU, which becomes x·σ(s·x): free inside a fused scan, else one multiplication at run time.',
    default: false,
  }),
};

const transform: Transform<typeof params> = {
  name: 'smooth',
  since: '0.1.0',
  doc: 'Divides activations by a scale for each channel and multiplies the weight by it. It folds into the norm or linear before; everything that reads the value has to take part.',
  cite: 'Xiao et al., SmoothQuant, 2023 (arXiv:2211.10438)',
  formula: 's_k = max|X_k|^α / max|W_k|^(1−α)',
  params,
  later: ['by'],
  stage: () => 4,
  needs: (edges) => edgeNeeds(smoothLaw, edges),
  apply: (job, p) => scaleEdges(job, smoothLaw, { alpha: p.alpha } as never, { online: p.online, gates: p.gates }),
};
export default transform;
