import type { Target } from '../define.ts';
import { convFused, convInteger, convQdq } from '../lower/conv.ts';
import { inexpressible } from '../lower/covers.ts';
import { gatherRows } from '../lower/gather.ts';
import { lower } from '../lower/lower.ts';
import { gatherBlockQuantized, matMulNBits, matMulNBitsFast } from '../lower/nbits.ts';
import { dynamicQuantizeMatMul, matMulIntegerToFloat } from '../lower/tofloat.ts';
import { dequantize, widen } from '../lower/weights.ts';
import { choice } from '../schema.ts';

const params = {
  weights: choice(['fast', 'packed'], {
    doc: 'Where ONNX Runtime has no fast product for float activations (codes of 2 and of 5 to 8 bits, fp8, scales by channel): `fast` has it widen these weights to float once, at load; `packed` keeps them small in memory, at many times the run time. The file is the same size.',
    default: 'fast',
  }),
};

const target: Target<typeof params> = {
  name: 'ort',
  since: '0.1.0',
  doc: "What stock ONNX Runtime runs fastest on a CPU: MatMulNBits for 4-bit weights in groups (float activations stay float), MatMulIntegerToFloat and DynamicQuantizeMatMul for integer products, QLinearConv (through the quantize-dequantize form that it fuses) and ConvInteger, GatherBlockQuantized for embeddings. What has no such operator is expressed as for `portable`. Never another numeric type than the recipe's.",
  params,
  covers: inexpressible,
  lower: async (s, { weights }) => {
    const packed = weights === 'packed';
    const products = [packed ? matMulNBits : matMulNBitsFast, dynamicQuantizeMatMul, matMulIntegerToFloat];
    const others = [gatherBlockQuantized, convFused, convInteger, convQdq, gatherRows];
    return lower(s, [...products, ...others, packed ? dequantize : widen]);
  },
};
export default target;
