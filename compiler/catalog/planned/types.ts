/** Formats, laws and matrices that the language knows and this version does not build. */
import { choice, expression, int, list, num, ref } from '../../schema.ts';
import { planned } from '../entry.ts';

const share = (doc: string, value: number) => num({ doc, min: 0, max: 1, default: value });

export const formats = [
  planned(
    'format',
    'progressive',
    'Codes of codes: the first format by channel, the second by group on its integers.',
    {
      outer: ref('format', { doc: 'The first level.' }),
      inner: ref('format', { doc: 'The second level, with its group.' }),
    },
    { cite: 'Lin et al., QServe, 2024 (arXiv:2405.04532)' },
  ),
  planned('format', 'sparse', 'A share of the weights is kept, the others are zero.', {
    density: num({ doc: 'Share that stays.', min: 0, max: 1, units: ['%'] }),
  }),
  planned('format', 'nm', 'N of every M weights along the reduction are kept.', { keep: expression({ doc: 'N:M, for example 2:4.' }) }),
];

export const laws = [
  planned('law', 'sort_cluster', 'Sorts channels in each head and clusters heads and channels.', {
    heads: int({ doc: 'Clusters of heads.', min: 1, default: 4 }),
    channels: int({ doc: 'Clusters of channels.', min: 1, default: 4 }),
  }),
  planned(
    'law',
    'grid',
    'The clip with the least error on the output, on a grid.',
    {
      steps: int({ doc: 'Points of the grid.', min: 1, max: 100000, default: 20 }),
      shrink: share('Smallest candidate as a share of the range.', 0.5),
      skip: list(choice(['q', 'k', 'v', 'gate', 'up', 'down'], { doc: 'A member.' }), {
        doc: 'Members that are not clipped.',
        optional: true,
      }),
    },
    { positional: ['steps'] },
  ),
];

export const matrices = [];
