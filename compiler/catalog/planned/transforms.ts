/** Transforms that the language knows and this version does not build. */
import { choice, int, list, ref } from '../../schema.ts';
import { planned } from '../entry.ts';

const law = ref('law', { doc: 'How the map is chosen.', optional: true });
const by = choice(['step', 'range'], { doc: 'A table over the schedule instead of one value.', optional: true });

export const transforms = [
  planned(
    'transform',
    'dilate',
    'Widens unsaturated weight channels so that the activation range shrinks and the weight range stays.',
    { by },
    { cite: 'DilateQuant, 2024 (arXiv:2409.14307)' },
  ),
  planned('transform', 'shift', 'Moves the centre of each channel into the bias.', { law }),
  planned(
    'transform',
    'permute',
    'Reorders channels so that similar ones share a scale; folds, no gather remains.',
    { law },
    { cite: 'Chiang et al., Quamba2, 2025 (arXiv:2503.22879)' },
  ),
  planned(
    'transform',
    'lowrank',
    'A low-rank branch takes what the codes cannot hold.',
    {
      rank: int({ doc: 'Rank of the branch.', min: 1, max: 4096, default: 32, aliases: ['low_rank', 'svd_rank'] }),
      iterations: int({ doc: 'Alternations between branch and residual.', min: 1, max: 10000, default: 100 }),
      share: list(choice(['q', 'k', 'v', 'gate', 'up'], { doc: 'A member.' }), {
        doc: 'Members that share the down factor.',
        optional: true,
      }),
    },
    { cite: 'Li et al., SVDQuant, 2024 (arXiv:2411.05007)' },
  ),
  planned(
    'transform',
    'token_split',
    'Keeps one token in float and quantizes the rest.',
    { token: int({ doc: 'Index of the token.', min: 0, default: 0 }) },
    { cite: 'Zhao et al., MixDQ, 2024 (arXiv:2405.17873)' },
  ),
  planned(
    'transform',
    'tabulate',
    'Replaces what depends on the step alone by a table of its values.',
    { format: ref('format', { doc: 'Number type of the table.', optional: true }) },
    { cite: 'Huang et al., TFMQ-DM, 2024 (arXiv:2311.16503)' },
  ),
  planned(
    'transform',
    'reuse',
    'Takes a branch from an earlier step instead of computing it.',
    {},
    { cite: 'Huang et al., HarmoniCa, 2024 (arXiv:2410.01723)' },
  ),
];
