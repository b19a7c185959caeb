import type { Format } from '../define.ts';

const format: Format = {
  name: 'mxfp4',
  since: '0.1.0',
  doc: 'Microscaling fp4: e2m1 codes in blocks of 32, each block under a power of two (e8m0).',
  formula: 'x ≈ 2^e·q, e = floor(log2 max|x|) − 2',
  cite: 'OCP Microscaling Formats (MX) v1.0, 2023',
  params: {},
  resolve: () => ({
    bits: 4,
    symmetric: true,
    scaleType: 'e8m0',
    codes: { kind: 'float', name: 'e2m1' },
    grain: { per: 'group', group: 32 },
    defaultLaw: 'minmax',
  }),
};
export default format;
