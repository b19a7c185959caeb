/** Transforms that the language knows and this version does not build. */
import { planned } from '../entry.ts';

export const transforms = [
  planned(
    'transform',
    'reuse',
    'Takes a branch from an earlier step instead of computing it.',
    {},
    { cite: 'Huang et al., HarmoniCa, 2024 (arXiv:2410.01723)' },
  ),
];
