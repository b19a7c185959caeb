import type { Target } from '../define.ts';
import { convInteger, convQdq } from '../lower/conv.ts';
import { inexpressible } from '../lower/covers.ts';
import { gatherRows } from '../lower/gather.ts';
import { lower } from '../lower/lower.ts';
import { nativeEmbedding } from '../lower/native/embedding.ts';
import { finishLinears } from '../lower/native/finish.ts';
import { fuse } from '../lower/native/fuse.ts';
import { withGrowing } from '../lower/native/in-place.ts';
import { nativeLinear } from '../lower/native/linear.ts';
import { fuseStates } from '../lower/native/ssm/fuse.ts';
import { matMulNBits } from '../lower/nbits.ts';
import { dynamicQuantizeMatMul, matMulIntegerToFloat } from '../lower/tofloat.ts';
import { dequantize } from '../lower/weights.ts';

const target: Target = {
  name: 'native',
  since: '0.1.0',
  doc: 'Operators of `qc.v1` for linear layers with integer weights, in the layout that our kernels read, for embeddings in integers, for selective scans and causal convolutions with their states, and for norms, activations and attention in float, each with a reference body of standard operators: any ONNX Runtime runs the file, and where our library of operators is registered its kernels do. Everything else as for `ort`, packed.',
  params: {},
  covers: inexpressible,
  lower: async (s) => {
    const products = [nativeLinear, matMulNBits, dynamicQuantizeMatMul, matMulIntegerToFloat];
    const states = fuseStates(s);
    const { model, emitted } = lower(states.simulated, [...products, nativeEmbedding, convInteger, convQdq, gatherRows, dequantize]);
    const finished = states.finish({ model: finishLinears(fuse(model)), emitted });
    return { ...finished, model: withGrowing(finished.model) };
  },
};
export default target;
