import type { Format } from '../define.ts';

const format: Format = {
  name: 'nvfp4',
  since: '0.1.0',
  doc: "NVIDIA's fp4: e2m1 codes in blocks of 16, block scales in fp8 e4m3 under one float32 scale of the tensor.",
  formula: 'x ≈ g·s·q, g = max|x| / (6·448), s = e4m3(max|block| / (6·g))',
  cite: 'NVIDIA, Pretraining Large Language Models with NVFP4, 2025 (arXiv:2509.25149)',
  params: {},
  resolve: () => ({
    bits: 4,
    symmetric: true,
    scaleType: 'nv',
    codes: { kind: 'float', name: 'e2m1' },
    grain: { per: 'group', group: 16 },
    defaultLaw: 'minmax',
  }),
};
export default format;
