import type { Format } from '../define.ts';
import { int } from '../schema.ts';

const params = {
  bits: int({ doc: 'Bits of a code.', min: 2, max: 8, default: 4 }),
};

const format: Format<typeof params> = {
  name: 'log2',
  since: '0.1.0',
  doc: "Powers of two from 1 down, and 0 for the last code: for softmax outputs, most of which are small. `mode: static` counts from 1, `mode: dynamic` from the largest of each row and keeps the row's sum. A product is a shift.",
  formula: 'q = clip(round(−log_r x), 0, 2^bits − 1), x̂ = r^−q, r = 2',
  cite: 'Miyashita et al., Convolutional Neural Networks using Logarithmic Data Representation, 2016 (arXiv:1603.01025)',
  params,
  positional: ['bits'],
  resolve: (p) => ({ bits: p.bits, symmetric: false, scaleType: 'model', levels: { ratio: 2, bits: p.bits } }),
};
export default format;
