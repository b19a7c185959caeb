/** Solvers, objectives and searches that the language knows and this version does not build. */
import { choice, either, expression, int, list, num, ref, selection, str } from '../../schema.ts';
import { planned } from '../entry.ts';

const iterations = (n: number) => int({ doc: 'Steps of optimisation.', min: 1, max: 1_000_000, default: n });
const inputs = choice(['float', 'sequential'], {
  doc: 'Inputs of the float model, or those that went through the quantized blocks before.',
  default: 'sequential',
});
const axes = choice(['step', 'channel', 'range', 'token'], { doc: 'An axis.' });
const of = either<unknown>([selection({ doc: 'A selection.' }), choice(['layer', 'block', 'model', 'rollout'], { doc: 'A scope.' })], {
  doc: 'Where it is measured.',
  optional: true,
});

export const solvers = [
  planned(
    'solver',
    'affine',
    'A scale and an offset that bring a value back to its float one.',
    { by: list(axes, { doc: 'One pair for each of these.', optional: true }) },
    { cite: 'Liu & Zhang, CacheQuant, 2025 (arXiv:2503.01323)' },
  ),
  planned('solver', 'reconstruct', 'Tunes weights and scales of a block to its float output.', {
    tune: list(choice(['weight', 'weight_scale', 'input_scale', 'input_zero', 'bias'], { doc: 'A parameter.' }), {
      doc: 'What is tuned.',
      optional: true,
    }),
    iterations: iterations(5000),
    inputs,
  }),
];

const measure = (name: string, doc: string, params = {}) => planned('objective', name, doc, { of, ...params });
export const objectives = [
  planned(
    'objective',
    'hessian_trace',
    'Mean Hessian trace times the squared rounding error.',
    {
      probes: int({ doc: 'Random probes.', min: 1, max: 10000, default: 32 }),
      loss: choice(['self_kl', 'mse'], { doc: 'The loss whose Hessian it is.', default: 'self_kl' }),
    },
    { cite: 'Dong et al., HAWQ-V2, 2019 (arXiv:1911.03852)' },
  ),
  planned('objective', 'heads', 'Squared error on everything that reads a temporal feature.'),
  measure('ssim', 'Structural similarity of images.'),
  measure('final_mse', 'Mean squared error of the sample at the end of a rollout.'),
  measure('text_score', 'Agreement of image and text in cross-attention.'),
  planned('objective', 'judge', 'A score that a bound judge model gives.', {
    name: str({ doc: 'Name of the judge, bound on the command line.' }),
  }),
];

export const searches = [
  planned('search', 'pareto', 'Every choice on the front of size and error.', {
    pick: choice(['first', 'last', 'knee'], { doc: 'Which point of the front under the budget.', default: 'last' }),
  }),
  planned('search', 'flip', 'Flips one choice at a time while that helps.', {
    init: choice(['knapsack', 'all', 'none'], { doc: 'Where it starts.', default: 'knapsack' }),
  }),
  planned('search', 'dp', 'Exact dynamic programming over contiguous segments.'),
];

export const allocations = [
  planned('allocation', 'uniform', 'The same density everywhere.'),
  planned('allocation', 'erk', 'Erdős–Rényi kernel densities.', {
    power: num({ doc: 'Power of the ratio.', min: 0, max: 2, default: 0.5 }),
  }),
  planned('allocation', 'global', 'The smallest weights of the whole model.'),
];

export const evaluations = [
  planned(
    'evaluation',
    'arena',
    'Ranks recipes against each other, k at a time.',
    {
      entrants: list(expression({ doc: 'A recipe.' }), { doc: 'Recipes that compete.' }),
      k: int({ doc: 'How many compete at once.', min: 2, max: 16, default: 4 }),
      judge: expression({ doc: 'Who decides.' }),
      rating: ref('evaluation', { doc: 'How strength is estimated.', optional: true }),
      stop: expression({ doc: 'When it ends.', optional: true }),
    },
    { cite: 'K-Sort Arena, 2024 (arXiv:2408.14468)' },
  ),
  planned('evaluation', 'bayes', 'A normal belief about each entrant.', {
    mean: num({ doc: 'Mean at the start.', default: 25 }),
    deviation: num({ doc: 'Deviation at the start.', min: 0, default: 8.333 }),
  }),
];
