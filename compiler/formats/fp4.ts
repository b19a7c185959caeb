import type { Format } from '../define.ts';

const format: Format = {
  name: 'fp4',
  since: '0.1.0',
  doc: 'Four-bit floating point e2m1 (0, .5, 1, 1.5, 2, 3, 4, 6 and their negatives) under a scale; one scale per group of 32 unless asked otherwise.',
  formula: 'x ≈ s·q, s = max|x| / 6',
  cite: 'OCP Microscaling Formats (MX) v1.0, 2023, §5.3.3',
  params: {},
  resolve: () => ({
    bits: 4,
    symmetric: true,
    scaleType: 'model',
    codes: { kind: 'float', name: 'e2m1' },
    grain: { per: 'group', group: 32 },
    defaultLaw: 'minmax',
  }),
};
export default format;
