import type { Target } from '../define.ts';
import { convInteger, convQdq } from '../lower/conv.ts';
import { inexpressible } from '../lower/covers.ts';
import { gatherRows } from '../lower/gather.ts';
import { lower } from '../lower/lower.ts';
import { gatherBlockQuantized, matMulNBits } from '../lower/nbits.ts';
import { dynamicQuantizeMatMul, matMulIntegerToFloat } from '../lower/tofloat.ts';
import { dequantize } from '../lower/weights.ts';

const target: Target = {
  name: 'ort',
  since: '0.1.0',
  doc: "What stock ONNX Runtime runs fastest on a CPU: MatMulNBits for weights in groups (float activations stay float), MatMulIntegerToFloat and DynamicQuantizeMatMul for integer products, QLinearConv through its quantize-dequantize form, ConvInteger, GatherBlockQuantized for embeddings. What has no such operator is expressed as for `portable`. Never another numeric type than the recipe's.",
  params: {},
  covers: inexpressible,
  lower: async (s) =>
    lower(s, [
      matMulNBits,
      gatherBlockQuantized,
      dynamicQuantizeMatMul,
      matMulIntegerToFloat,
      convInteger,
      convQdq,
      gatherRows,
      dequantize,
    ]),
};
export default target;
