import type { Transform } from '../define.ts';
import { scaleEdges } from '../fold/scaling.ts';
import dilateLaw from '../scalings/dilate.ts';
import { bool, choice } from '../schema.ts';

const params = {
  by: choice(['step', 'range'], { doc: 'A table over the schedule instead of one value. Planned.', optional: true }),
  online: bool({ doc: 'An explicit multiplication where nothing before takes the scale; else that is an error.', default: false }),
};

const transform: Transform<typeof params> = {
  name: 'dilate',
  since: '0.2.0',
  doc: 'Widens unsaturated weight channels: activations shrink, and the range of each output channel of the weight stays as it is. No data is needed. The ledger says how many channels are saturated; it helps where a layer has far fewer outputs than inputs.',
  cite: 'Liu et al., DilateQuant, 2024 (arXiv:2409.14307)',
  formula: "x' = x / s, W' = s · W, s_k ≥ 1 the largest with max and min of every row of W' unchanged",
  params,
  later: ['by'],
  stage: () => 4,
  apply: (job, p) => scaleEdges(job, dilateLaw, {} as never, { online: p.online }),
};
export default transform;
