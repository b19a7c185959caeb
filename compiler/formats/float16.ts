import type { Format } from '../define.ts';

const format: Format = {
  name: 'float16',
  since: '0.1.0',
  doc: 'Half precision (1 sign, 5 exponent, 10 mantissa bits): a cast, no scale.',
  params: {},
  resolve: () => ({ bits: 16, symmetric: true, scaleType: 'model', cast: 'float16' }),
};
export default format;
