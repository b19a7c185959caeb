/** An encoder of sentences. */
import { lines, type Row, solve, solveFloat, w4 } from './statements.ts';

export const minilm: Readonly<Record<string, Row>> = {
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
