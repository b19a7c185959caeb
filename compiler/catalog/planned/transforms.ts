/** Transforms that the language knows and this version does not build. */
import { ref } from '../../schema.ts';
import { planned } from '../entry.ts';

export const transforms = [
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
