import type { Target } from '../define.ts';
import { convInteger, convQdq } from '../lower/conv.ts';
import { inexpressible } from '../lower/covers.ts';
import { gatherRows } from '../lower/gather.ts';
import { matMulInteger } from '../lower/integer.ts';
import { lower } from '../lower/lower.ts';
import { dequantize } from '../lower/weights.ts';

const target: Target = {
  name: 'portable',
  since: '0.1.0',
  doc: 'Standard ONNX operators only: DequantizeLinear (in blocks for groups), QuantizeLinear, MatMulInteger, ConvInteger. The operator set is raised only where a type demands it: 19 for fp8, 21 for int4, groups and int16, 25 for int2. Codes of 3 bits lie in int4, of 5 to 7 in int8.',
  params: {},
  covers: inexpressible,
  lower: async (s) => lower(s, [matMulInteger, convQdq, convInteger, gatherRows, dequantize]),
};
export default target;
