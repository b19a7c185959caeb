import { fail } from '../../grammar/diagnostics.ts';
import type { Transform } from '../define.ts';
import { splitEdges, splitNeeds } from '../fold/split.ts';
import { int, num, ref } from '../schema.ts';

const params = {
  law: ref('law', {
    doc: 'Which channels: median(times), those above a multiple of the median.',
    default: { name: 'median', args: { times: 4 } },
  }),
  copies: int({ doc: 'Most copies of one channel.', min: 1, max: 1024, default: 32 }),
  width: num({
    doc: 'Width afterwards at most, as a multiple of the width before; the least important channels are merged into others then, which is approximate.',
    min: 1,
    max: 4,
    units: ['x', '%'],
    optional: true,
  }),
};

const times = (law: { name: string; args: Readonly<Record<string, unknown>> }): number =>
  law.name === 'median'
    ? Number(law.args['times'] ?? 4)
    : fail('not-a-scaling', `\`${law.name}\` chooses no channels to split.`, 'Use median(4).');

const transform: Transform<typeof params> = {
  name: 'split',
  since: '0.2.0',
  doc: 'Dimension reconstruction: a channel with a large range becomes m channels of an m-th each, with the same weights, so that steps moved into the weight (`migrate`) make no column large. The norm keeps its statistics; the channels are picked behind it.',
  cite: 'MergeQuant, 2025 (arXiv:2503.07654)',
  formula: 'm_k = min(copies, ⌈max|x_k| / (times · median)⌉); x_k w_k = Σ_m (x_k / m) w_k',
  params,
  stage: () => 2,
  needs: (edges, p) => splitNeeds(edges, p.width !== undefined),
  apply: (job, p) =>
    splitEdges(job, { times: times(p.law as never), copies: p.copies, ...(p.width === undefined ? {} : { width: p.width }) }),
};
export default transform;
