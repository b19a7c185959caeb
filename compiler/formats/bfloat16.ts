import type { Format } from '../define.ts';

const format: Format = {
  name: 'bfloat16',
  since: '0.1.0',
  doc: 'Brain floating point (1 sign, 8 exponent, 7 mantissa bits): a cast, no scale.',
  params: {},
  resolve: () => ({ bits: 16, symmetric: true, scaleType: 'model', cast: 'bfloat16' }),
};
export default format;
