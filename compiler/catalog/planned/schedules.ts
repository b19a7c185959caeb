/** Schedules, sources, domains and functions that the language knows and this version does not build. */
import { expression, int, num, range, record, selection } from '../../schema.ts';
import { planned } from '../entry.ts';

const steps = { steps: int({ doc: 'Sampler steps.', min: 1, max: 10000 }) };
export const samplers = [
  planned('sampler', 'ddim', 'Denoising diffusion implicit models.', steps, { cite: 'Song et al., DDIM, 2020 (arXiv:2010.02502)' }),
  planned('sampler', 'euler', 'Euler steps.', steps),
  planned('sampler', 'tcd', 'Trajectory consistency distillation.', steps),
];
export const sources = [
  planned('source', 'rollout', 'Inputs along the trajectories of a schedule.', {
    schedule: expression({ doc: 'The schedule.' }),
    seeds: int({ doc: 'Trajectories.', min: 1, default: 8 }),
  }),
  planned(
    'source',
    'density_diversity',
    'Chooses samples that are typical and samples that are rare.',
    {
      feature: selection({ doc: 'Where features are taken.' }),
      radius: num({ doc: 'Distance that counts as near.', min: 0, default: 0.3 }),
      lambda: num({ doc: 'Weight of diversity.', min: 0, default: 1 }),
    },
    { cite: 'Liu et al., EDA-DM, 2024 (arXiv:2401.04585)' },
  ),
];
export const domains = [
  planned('domain', 'segments', 'Which steps begin a segment: n segments, each within these multiples of the mean length.', {
    n: int({ doc: 'Segments.', min: 1 }),
    length: range({ doc: 'Shortest and longest, as multiples of the mean.', optional: true }),
  }),
];
export const functions = [
  planned('function', 'computed', 'Share of the work that is done, not reused.', {}, { units: ['x', '%'] }),
  planned(
    'function',
    'density',
    'Share of weights that are not zero.',
    { of: selection({ doc: 'Where.', optional: true }) },
    { units: ['x', '%'] },
  ),
  planned('function', 'kendall_tau', 'Agreement of two rankings.'),
  planned('function', 'linspace', 'Numbers at equal distances.', { from: num({ doc: 'First.' }), to: num({ doc: 'Last.' }) }),
  planned('function', 'cfg', 'Classifier-free guidance.', {
    scale: num({ doc: 'Strength.', min: 0 }),
    null: record({ doc: 'Inputs without the condition.', optional: true }),
  }),
];
