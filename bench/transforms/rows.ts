/** The rows of docs/measured/transforms.md: schemes with and without each transform, and whole systems. */

export interface Row {
  readonly models: readonly ('llama' | 'llama-outlier' | 'minilm')[];
  readonly scheme: string;
  /** What is used beside the scheme. */
  readonly transforms: string;
  /** Its statements, or the file of recipes/systems that says them with a contract. */
  readonly recipe?: string;
  /** kl at most, or mean cosine at least. */
  readonly bar?: number | Readonly<Record<string, number>>;
  readonly system?: string;
  /** Also scored token by token through the cache. */
  readonly decode?: true;
}

const both = ['llama', 'llama-outlier'] as const;
const outliers = `transform smooth on attention.v -> attention.output
  transform smooth on mlp.up -> mlp.down`;
const rotations = `transform rotate on residual { matrix: hadamard }
  transform rotate on attention.v -> attention.output { per: head }`;
const learnt = `transform rotate on residual { init: hadamard, learn: cayley(steps: 80), objective: range_pnorm(10), holdout: 0.25 }
  transform rotate on attention.v -> attention.output { per: head, learn: cayley(steps: 80) }`;
const rotateStream = 'transform rotate on residual { matrix: hadamard }';
const online = 'transform rotate on mlp.up -> mlp.down { online: yes }';
const awq = `transform scale on attention.v -> attention.output { law: awq(20) }
  transform scale on mlp.up -> mlp.down { law: awq(20) }
  transform scale on norm -> linear { law: awq(20) }`;
const searched = 'mse(40, shrink: 0.6, signed: yes)';
const w4 = `quantize weight of linear as int4 { group: 32, scale: ${searched} }`;
const a4 = `${w4}
  quantize input of linear as int4 { mode: dynamic, group: 32, symmetric: no }`;
const perToken = (weights: string): string => `${weights}
  quantize input of linear as uint4 { mode: dynamic, per: token, scale: share(0.95) }`;
const w6 = (group: number, bits: number, fields = ''): string => `quantize weight of linear as int6 { group: ${group} }
  quantize input of linear as int${bits} { mode: dynamic, group: ${group}${fields} }`;
const solve = 'solve gptq on linear { order: hessian, cd: 2, rescale: yes }';
const solveFloat = 'solve gptq on linear { order: hessian, cd: 2, rescale: yes, target: float }';
const migrated = `transform migrate on norm -> linear { margin: 1.1 }
  quantize weight of linear as int8 { per: channel }
  quantize input of migrated as int8 { mode: static, per: channel }
  quantize input of linear and not migrated as int8 { mode: static }`;
const lines = (...parts: readonly string[]): string => parts.join('\n  ');

export const rows: Readonly<Record<string, Row>> = {
  w8a8: { models: both, scheme: 'W8A8 per token', transforms: 'none', recipe: 'quantize linear as W8A8', bar: 0.00026 },
  'w8a8-smooth': {
    models: both,
    scheme: 'W8A8 per token',
    transforms: 'std.w8a8_smooth',
    recipe: 'apply std.w8a8_smooth()',
    bar: 0.00026,
  },
  'w8a8-rotated': {
    models: both,
    scheme: 'W8A8 per token',
    transforms: 'std.llm_w8a8_rotated',
    recipe: 'apply std.llm_w8a8_rotated()',
    bar: 0.00026,
  },
  'w8a8-rotated-gptq': {
    models: both,
    scheme: 'W8A8 per token',
    transforms: 'std.llm_w8a8_rotated, GPTQ',
    recipe: lines('apply std.llm_w8a8_rotated()', solve),
    bar: 0.00026,
  },
  'w8a8-learnt-gptq': {
    models: both,
    scheme: 'W8A8 per token',
    transforms: 'as std.llm_w8a8_rotated with learnt rotations, GPTQ',
    recipe: lines(outliers, learnt, online, 'quantize linear as W8A8', solve),
    bar: 0.00026,
  },
  'w8a8-zero': {
    models: both,
    scheme: 'W8A8 per token',
    transforms: 'std.llm_w8a8_rotated, GPTQ, activations with zero points',
    recipe: lines('apply std.llm_w8a8_rotated()', 'quantize input of linear as uint8 { mode: dynamic, per: token, symmetric: no }', solve),
    bar: 0.00026,
  },
  'w8a8-learnt-zero': {
    models: both,
    scheme: 'W8A8 per token',
    transforms: 'std.llm_w8a8_learnt',
    recipe: 'apply std.llm_w8a8_learnt()',
    bar: 0.00026,
  },
  'w8a8-static': { models: both, scheme: 'W8A8 static', transforms: 'none', recipe: 'quantize linear as W8A8_STATIC', bar: 0.0007 },
  'w8a8-migrated': {
    models: both,
    scheme: 'W8A8 static, norm inputs migrated',
    transforms: 'std.w8a8_migrated',
    system: 'w8a8_migrated',
    bar: 0.0007,
  },
  'w8a8-migrated-rounded': {
    models: both,
    scheme: 'W8A8 static, norm inputs migrated',
    transforms: 'as std.w8a8_migrated, ranges by extremes, weights rounded',
    recipe: lines(outliers, rotateStream, online, migrated),
    bar: 0.0007,
  },
  'w8a8-migrated-gptq': {
    models: both,
    scheme: 'W8A8 static, norm inputs migrated',
    transforms: 'as std.w8a8_migrated, ranges of the other inputs by their extremes',
    recipe: lines(outliers, rotateStream, online, migrated, solve),
    bar: 0.0007,
  },
  'w8a8-migrated-float': {
    models: both,
    scheme: 'W8A8 static, norm inputs migrated',
    transforms: 'as std.w8a8_migrated, ranges by extremes, GPTQ toward the float model',
    recipe: lines(outliers, rotateStream, online, migrated, solveFloat),
    bar: 0.0007,
  },
  'w8a8-migrated-learnt': {
    models: both,
    scheme: 'W8A8 static, norm inputs migrated',
    transforms: 'as std.w8a8_migrated, ranges by extremes, rotations learnt',
    recipe: lines(outliers, learnt, online, migrated, solve),
    bar: 0.0007,
  },
  'w8a8-migrated-heads': {
    models: both,
    scheme: 'W8A8 static, norm inputs migrated',
    transforms: 'as std.w8a8_migrated, ranges by extremes, heads rotated',
    recipe: lines(outliers, rotations, online, migrated, solve),
    bar: 0.0007,
  },
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
  w4a4: { models: both, scheme: 'W4A4 group 32, GPTQ', transforms: 'none', recipe: lines(a4, solve), bar: 0.0205 },
  'w4a4-hadamard': {
    models: both,
    scheme: 'W4A4 group 32, GPTQ',
    transforms: 'smooth on v -> o, up -> down; Hadamard rotations',
    recipe: lines(outliers, rotations, online, a4, solve),
    bar: 0.0205,
  },
  'w4a4-ostquant': {
    models: both,
    scheme: 'W4A4 group 32, GPTQ',
    transforms: 'std.ostquant (learnt rotations)',
    system: 'ostquant',
    bar: 0.0205,
  },
  'w4a4-ostquant-selected': {
    models: both,
    scheme: 'W4A4 group 32, GPTQ',
    transforms: 'as std.ostquant, the best of 3 starts of the stream by kl_top(1000)',
    recipe: lines(outliers, learnt.replace('holdout: 0.25', 'holdout: 0.25, select: kl_top(1000), restarts: 3'), online, a4, solve),
    bar: 0.0205,
  },
  'w4a4-token': {
    models: both,
    scheme: 'W4A4 group 32 and per token, GPTQ',
    transforms: 'none',
    recipe: lines(perToken(w4), solve),
    bar: 0.03,
  },
  'w4a4-token-learnt': {
    models: both,
    scheme: 'W4A4 group 32 and per token, GPTQ',
    transforms: 'learnt rotations as in std.ostquant',
    recipe: lines(outliers, learnt, online, perToken(w4), solve),
    bar: 0.03,
  },
  'w4a4-static': {
    models: both,
    scheme: 'W4A4 static by channel behind norms, GPTQ',
    transforms: 'one static scale instead',
    recipe: lines(
      'quantize weight of linear as int4 { per: channel, scale: mse(40, shrink: 0.6) }',
      'quantize input of linear as int4 { mode: static }',
      'solve gptq on linear { order: hessian }',
    ),
  },
  mergequant: {
    models: both,
    scheme: 'W4A4 static by channel behind norms, GPTQ',
    transforms: 'std.mergequant',
    system: 'mergequant',
  },
  'w4a4-svd32': {
    models: both,
    scheme: 'W4A4 group 32, GPTQ',
    transforms: 'std.svdquant, rank 32',
    recipe: 'apply std.svdquant(rank: 32)',
    bar: 0.0058,
  },
  'w4a4-svd16': {
    models: both,
    scheme: 'W4A4 group 32, GPTQ',
    transforms: 'std.svdquant, rank 16',
    recipe: 'apply std.svdquant(rank: 16)',
    bar: 0.0065,
  },
  'w4a4-svd32-rotated': {
    models: both,
    scheme: 'W4A4 group 32, GPTQ',
    transforms: 'std.svdquant_rotated, rank 32',
    system: 'svdquant',
    bar: 0.0058,
  },
  'w4a4-svd16-rotated': {
    models: both,
    scheme: 'W4A4 group 32, GPTQ',
    transforms: 'std.svdquant_rotated, rank 16',
    recipe: 'apply std.svdquant_rotated(rank: 16)',
    bar: 0.0065,
  },
  'w4a4-svd-learnt': {
    models: both,
    scheme: 'W4A4 group 32, GPTQ',
    transforms: 'as std.ostquant, then lowrank 32',
    recipe: lines('apply std.ostquant()', 'transform lowrank on linear { rank: 32, share: [q, k, v, gate, up] }'),
    bar: 0.0058,
  },
  'w4a4-svd-learnt-covariance': {
    models: both,
    scheme: 'W4A4 group 32, GPTQ',
    transforms: 'as std.ostquant, then lowrank 32 by the error of the output (QERA)',
    recipe: lines('apply std.ostquant()', 'transform lowrank on linear { rank: 32, share: [q, k, v, gate, up], error: covariance }'),
    bar: 0.0058,
  },
  'w4a4-svd16-learnt': {
    models: both,
    scheme: 'W4A4 group 32, GPTQ',
    transforms: 'as std.ostquant, then lowrank 16',
    recipe: lines('apply std.ostquant()', 'transform lowrank on linear { rank: 16, share: [q, k, v, gate, up] }'),
    bar: 0.0065,
  },
  qoq: {
    models: both,
    scheme: 'QoQ W4A8KV4 group 32, GPTQ toward the float model',
    transforms: 'std.qoq',
    system: 'qoq',
    bar: 0.008,
    decode: true,
  },
  'w8a8-fp': {
    models: both,
    scheme: 'fp8, per token',
    transforms: 'std.w8a8_fp (lm_head float)',
    system: 'w8a8_fp',
  },
  'w8a8-int': {
    models: both,
    scheme: 'W8A8 per token',
    transforms: 'std.w8a8_int (lm_head float) behind smooth on v -> o, up -> down',
    system: 'w8a8_int',
  },
  'w4a16-int': {
    models: both,
    scheme: 'W4A16 group 32, GPTQ',
    transforms: 'std.w4a16_int (lm_head float)',
    system: 'w4a16_int',
  },
  flexq: {
    models: both,
    scheme: 'W6A6 group 32, GPTQ',
    transforms: 'smooth on v -> o, up -> down, norm -> linear, α .6',
    system: 'flexq',
    bar: 0.0014,
  },
  'flexq32-learnt': {
    models: both,
    scheme: 'W6A6 group 32, GPTQ',
    transforms: 'learnt rotations, activations with zero points',
    recipe: lines(outliers, learnt, online, w6(32, 6, ', symmetric: no'), solve),
    bar: 0.0014,
  },
  'flexq32-rotated': {
    models: both,
    scheme: 'W6A6 group 32, GPTQ',
    transforms: 'smooth on v -> o, up -> down; Hadamard rotations',
    recipe: lines(outliers, rotations, online, w6(32, 6), solve),
    bar: 0.0014,
  },
  'flexq32-learnt-mse': {
    models: both,
    scheme: 'W6A6 group 32, GPTQ',
    transforms: 'std.flexq_rotated',
    recipe: 'apply std.flexq_rotated(bits: 6)',
    bar: 0.0014,
  },
  'flexq128-learnt-mse': {
    models: both,
    scheme: 'W6A6 group 128, GPTQ',
    transforms: 'std.flexq_rotated',
    recipe: 'apply std.flexq_rotated(group: 128, bits: 6)',
    bar: 0.0024,
  },
  'flexq128-learnt': {
    models: both,
    scheme: 'W6A6 group 128, GPTQ',
    transforms: 'learnt rotations, activations with zero points',
    recipe: lines(outliers, learnt, online, w6(128, 6, ', symmetric: no'), solve),
    bar: 0.0024,
  },
  'flexq68-learnt': {
    models: both,
    scheme: 'W6A8 group 32, GPTQ',
    transforms: 'std.flexq_rotated',
    recipe: 'apply std.flexq_rotated()',
    bar: 0.0004,
  },
  'flexq68-rotated': {
    models: both,
    scheme: 'W6A8 group 32, GPTQ',
    transforms: 'smooth on v -> o, up -> down; Hadamard rotations',
    recipe: lines(outliers, rotations, online, w6(32, 8), solve),
    bar: 0.0004,
  },
  'minilm-w8a8': { models: ['minilm'], scheme: 'W8A8 per token', transforms: 'none', recipe: 'quantize linear as W8A8', bar: 0.999 },
  'minilm-w8a8-zero': {
    models: ['minilm'],
    scheme: 'W8A8 per token',
    transforms: 'smooth on any -> linear, α searched on calibration data, an explicit multiplication; activations with zero points',
    system: 'minilm_w8a8',
    bar: 0.999,
  },
  'minilm-static': { models: ['minilm'], scheme: 'W8A8 static', transforms: 'none', recipe: 'quantize linear as W8A8_STATIC', bar: 0.993 },
  'minilm-static-zero': {
    models: ['minilm'],
    scheme: 'W8A8 static',
    transforms: 'none; activations with zero points',
    recipe: 'quantize weight of linear as int8 { per: channel }\n  quantize input of linear as uint8 { mode: static }',
    bar: 0.993,
  },
  'minilm-static-folded': {
    models: ['minilm'],
    scheme: 'W8A8 static',
    transforms: 'smooth on v -> o; activations with zero points',
    recipe: `transform smooth on attention.v -> attention.output { alpha: 0.7 }
  quantize weight of linear as int8 { per: channel }\n  quantize input of linear as uint8 { mode: static }`,
    bar: 0.993,
  },
  'minilm-static-online': {
    models: ['minilm'],
    scheme: 'W8A8 static',
    transforms: 'smooth on any -> linear, α .7, an explicit multiplication; activations with zero points',
    recipe: `transform smooth on any -> linear { alpha: 0.7, online: yes }
  quantize weight of linear as int8 { per: channel }\n  quantize input of linear as uint8 { mode: static }`,
    bar: 0.9976,
  },
  'minilm-static-searched': {
    models: ['minilm'],
    scheme: 'W8A8 static',
    transforms: 'smooth on any -> linear, α searched on calibration data, an explicit multiplication; activations with zero points',
    system: 'minilm_w8a8_static',
    bar: 0.9976,
  },
  'minilm-w4-awq-float': {
    models: ['minilm'],
    scheme: 'W4A16 group 32, GPTQ toward the float model',
    transforms: 'awq on any -> linear, an explicit multiplication',
    recipe: lines('transform scale on any -> linear { law: awq(20), online: yes }', w4, solveFloat),
    bar: 0.9875,
  },
  'minilm-static-solved': {
    models: ['minilm'],
    scheme: 'W8A8 static',
    transforms: 'smooth on any -> linear, α .8, an explicit multiplication; ranges by mse; GPTQ; activations with zero points',
    recipe: `transform smooth on any -> linear { alpha: 0.8, online: yes }
  quantize weight of linear as int8 { per: channel }
  quantize input of linear as uint8 { mode: static, scale: mse(40, shrink: 0.5) }
  ${solve}`,
    bar: 0.9976,
  },
  'minilm-w4-awq': {
    models: ['minilm'],
    scheme: 'W4A16 group 32, GPTQ',
    transforms: 'awq on any -> linear, an explicit multiplication',
    recipe: lines('transform scale on any -> linear { law: awq(20), online: yes }', w4, solve),
    bar: 0.9875,
  },
};
