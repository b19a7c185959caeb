import type { Format } from '../define.ts';
import { choice } from '../schema.ts';

const params = {
  kind: choice(['e4m3', 'e5m2'], { doc: 'Exponent and mantissa bits: e4m3 (to ±448) or e5m2 (to ±57344).', default: 'e4m3' }),
};

const format: Format<typeof params> = {
  name: 'fp8',
  since: '0.1.0',
  doc: 'Eight-bit floating point under a scale, saturating, ties to even.',
  formula: 'x ≈ s·q, s = max|x| / max(fp8)',
  cite: 'Micikevicius et al., FP8 Formats for Deep Learning, 2022 (arXiv:2209.05433)',
  params,
  positional: ['kind'],
  resolve: (p) => ({
    bits: 8,
    symmetric: true,
    scaleType: 'model',
    codes: { kind: 'float', name: p.kind },
    grain: { per: 'channel' },
    defaultLaw: 'minmax',
  }),
};
export default format;
