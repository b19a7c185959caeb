/** What the record of each statement may hold, beside the parameters of the name that it speaks of. */
import { bool, choice, either, expression, int, list, num, record, ref, type Schema, selection } from '../schema.ts';

const when = expression({ doc: 'The statement holds only where this condition does.', optional: true });

/** Fields that say what numbers a port shall have. */
export const quantize: Schema = {
  mode: choice(['static', 'dynamic'], { doc: 'Activations: scales from calibration, or computed at run time.', optional: true }),
  per: choice(['tensor', 'channel', 'token', 'head', 'cluster', 'state_group', 'element'], {
    doc: 'What shares a scale. On a weight `channel` is its output axis; `cluster`, `state_group` and `element` are of a recurrence.',
    optional: true,
    aliases: ['strategy', 'granularity'],
  }),
  group: int({
    doc: 'Elements along the reduction that share a scale.',
    min: 2,
    max: 1 << 20,
    optional: true,
    aliases: ['group_size', 'block_size', 'q_group_size'],
  }),
  block: list(int({ doc: 'Rows or columns.', min: 1, max: 1 << 20 }), {
    doc: 'Rows and columns that share a scale: `[128, 128]`.',
    optional: true,
  }),
  by: choice(['step', 'range'], { doc: 'A table of parameters over the schedule.', optional: true }),
  scale: ref('law', { doc: 'How the scale is chosen.', optional: true, aliases: ['observer', 'calibrate_method'] }),
  clip: ref('law', { doc: 'How the range is clipped before the scale is taken.', optional: true }),
  symmetric: bool({ doc: 'Without a zero point.', optional: true, aliases: ['sym'] }),
  tie: either<unknown>(
    [choice(['none'], { doc: 'Members of a fused group may differ.' }), selection({ doc: 'Sites that share one type.' })],
    { doc: 'Which sites share one type; by default the members of a fused group.', optional: true },
  ),
  when,
};
export const prune: Schema = {
  allocation: ref('allocation', { doc: 'How density is shared out.', optional: true }),
  criterion: choice(['magnitude', 'activation', 'hessian'], { doc: 'Which weights go.', default: 'magnitude' }),
  when,
};
export const transform: Schema = {
  after: choice(
    [
      'rotate',
      'token_split',
      'split',
      'permute',
      'scale',
      'smooth',
      'dilate',
      'shift',
      'noise',
      'lowrank',
      'migrate',
      'reuse',
      'reparam',
      'tabulate',
    ],
    { doc: 'Runs after transforms of this kind instead of at its usual place.', optional: true },
  ),
  when,
};
export const solve: Schema = { when };
export const search: Schema = {
  objective: expression({ doc: 'What becomes small (a metric where larger is better is turned round).' }),
  budget: expression({ doc: 'What must hold, as a comparison.', optional: true }),
  method: ref('search', { doc: 'How the values are found.', default: { name: 'grid', args: {} } }),
};
export const calibrate: Schema = {
  samples: int({
    doc: 'How many samples are read, spread evenly over the files in sorted order; all if it is not given.',
    min: 1,
    max: 1_000_000,
    optional: true,
    aliases: ['num_samples', 'num_calibration_samples'],
  }),
  length: int({ doc: 'Tokens of a sample of text.', min: 1, max: 1_000_000, optional: true, aliases: ['max_seq_length'] }),
  batch: int({ doc: 'Samples of one run.', min: 1, max: 65536, optional: true }),
  select: ref('source', { doc: 'Which samples are taken.', optional: true }),
};
export const schedule: Schema = {
  sampler: ref('sampler', { doc: 'The sampler.', optional: true }),
  step: selection({ doc: 'The input that carries the step.', optional: true }),
  state: selection({ doc: 'The input that carries the state.', optional: true }),
  model: selection({ doc: 'The output that the sampler reads.', optional: true }),
  guidance: expression({ doc: 'Guidance.', optional: true }),
  ranges: list(expression({ doc: 'A range of step values.' }), { doc: 'Ranges of step values.', optional: true }),
  coefficients: record({ doc: 'Factors on model and state at each step.', optional: true }),
};
export const evaluate: Schema = {
  data: ref('source', { doc: 'The data that it is measured on.', optional: true }),
  samples: int({ doc: 'How many samples are read.', min: 1, max: 1_000_000, optional: true }),
};
/** `size >= 1M`: a weight's number of parameters. */
export const sizeOf = num({ doc: 'Parameters of the weight.', min: 0, units: ['M'] });
