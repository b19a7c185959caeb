import type { Law } from '../define.ts';

const law: Law = {
  name: 'absmax_signed',
  since: '0.1.0',
  doc: "The value of largest magnitude falls on the lowest code with its sign, so all codes −8…7 are used. The law of onnxruntime's MatMulNBits quantizer.",
  formula: 's = x[argmax |x|] / lo',
  cite: 'onnxruntime/core/mlas/lib/q4_dq.cpp, range2scale',
  params: {},
  crunch: () => ({ name: 'signed_absmax' }),
};
export default law;
