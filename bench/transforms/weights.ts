/** Weights in four bits, and in eight-bit floats. */
import { awq, both, lines, online, outliers, type Row, rotations, solveFloat, w4 } from './statements.ts';

export const weights: Readonly<Record<string, Row>> = {
  w4a16: { models: both, scheme: 'W4A16 group 32, rounded', transforms: 'none', recipe: w4 },
  'w4a16-awq': {
    models: both,
    scheme: 'W4A16 group 32, rounded',
    transforms: 'awq on v -> o, up -> down, norm -> linear',
    recipe: lines(awq, w4),
  },
  'w4a16-awq-float': {
    models: both,
    scheme: 'W4A16 group 32, GPTQ toward the float model',
    transforms: 'awq on v -> o, up -> down, norm -> linear',
    recipe: lines(awq, w4, solveFloat),
    bar: { llama: 0.0033, 'llama-outlier': 0.0035 },
  },
  'w4a16-rotated-float': {
    models: both,
    scheme: 'W4A16 group 32, GPTQ toward the float model',
    transforms: 'smooth on v -> o, up -> down; Hadamard rotations',
    recipe: lines(outliers, rotations, online, w4, solveFloat),
    bar: { llama: 0.0033, 'llama-outlier': 0.0035 },
  },
  'uint4-none': {
    models: both,
    scheme: 'uint4 group 32, rounded',
    transforms: 'none',
    recipe: 'quantize weight of linear as uint4 { group: 32 }',
  },
  'smoothquant-plus': {
    models: both,
    scheme: 'uint4 group 32, rounded',
    transforms: 'std.smoothquant_plus',
    system: 'smoothquant_plus',
  },
  'llmc-gptq': {
    models: both,
    scheme: 'uint4 group 32, GPTQ',
    transforms: 'none',
    recipe: 'quantize weight of linear as uint4 { group: 32 }\n  solve gptq on linear { order: hessian }',
  },
  llmc: {
    models: both,
    scheme: 'uint4 group 32, GPTQ',
    transforms: 'std.llmc_w4a16',
    system: 'llmc',
  },
  fp8: { models: both, scheme: 'fp8, per token', transforms: 'none', recipe: 'quantize linear as FP8_DYNAMIC' },
  'fp8-static': { models: both, scheme: 'fp8, static', transforms: 'none', recipe: 'quantize linear as FP8' },
  'fp8-smooth': {
    models: ['llama-outlier'],
    scheme: 'fp8, per token',
    transforms: 'smooth on v -> o, up -> down, norm -> linear',
    recipe: lines(outliers, 'transform smooth on norm -> linear', 'quantize linear as FP8_DYNAMIC'),
  },
};
