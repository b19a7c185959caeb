/** Formats, laws and matrices that the language knows and this version does not build. */
import { expression, int, num } from '../../schema.ts';
import { planned } from '../entry.ts';

export const formats = [
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
];

export const matrices = [];
