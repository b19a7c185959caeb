/** Formats, laws and matrices that the language knows and this version does not build. */
import { expression, num } from '../../schema.ts';
import { planned } from '../entry.ts';

export const formats = [
  planned('format', 'sparse', 'A share of the weights is kept, the others are zero.', {
    density: num({ doc: 'Share that stays.', min: 0, max: 1, units: ['%'] }),
  }),
  planned('format', 'nm', 'N of every M weights along the reduction are kept.', { keep: expression({ doc: 'N:M, for example 2:4.' }) }),
];

export const laws = [];

export const matrices = [];
