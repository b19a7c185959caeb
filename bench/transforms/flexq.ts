/** Six-bit weights. */
import { both, learnt, lines, online, outliers, type Row, rotations, solve, w6 } from './statements.ts';

export const flexq: Readonly<Record<string, Row>> = {
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
};
