import type { Format } from '../define.ts';
import { int } from '../schema.ts';

const params = {
  bits: int({ doc: 'Bits of a code.', min: 2, max: 8, default: 4 }),
};

const format: Format<typeof params> = {
  name: 'log_sqrt2',
  since: '0.1.0',
  doc: "Powers of √2 from 1 down, and 0 for the last code: for softmax outputs, most of which are small. `mode: static` counts from 1, `mode: dynamic` from the largest of each row and keeps the row's sum. Odd codes are √2 times a power of two, so that a product is a shift and one of two scales.",
  formula: 'q = clip(round(−log_r x), 0, 2^bits − 1), x̂ = r^−q, r = √2',
  cite: 'Li et al., RepQ-ViT, 2023 (arXiv:2212.08254)',
  params,
  positional: ['bits'],
  resolve: (p) => ({ bits: p.bits, symmetric: false, scaleType: 'model', levels: { ratio: Math.SQRT2, bits: p.bits } }),
};
export default format;
