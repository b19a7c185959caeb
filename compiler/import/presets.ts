/** Preset schemes of compressed-tensors, as the arguments that they stand for. */
import type { Data } from './data.ts';

type Plain = Readonly<Record<string, Data>>;
const int = (num_bits: number, strategy: string, more: Plain = {}): Plain => ({
  num_bits,
  type: 'int',
  symmetric: true,
  strategy,
  ...more,
});
const float = (num_bits: number, strategy: string, more: Plain = {}): Plain => ({ ...int(num_bits, strategy, more), type: 'float' });
const dynamic = { dynamic: true };
const group128 = { group_size: 128 };

const table: Readonly<Record<string, { readonly weights: Plain; readonly input_activations?: Plain }>> = {
  W8A16: { weights: int(8, 'channel') },
  W4A16: { weights: int(4, 'group', group128) },
  W4A16_ASYM: { weights: int(4, 'group', { ...group128, symmetric: false }) },
  W8A8: { weights: int(8, 'channel'), input_activations: int(8, 'token', dynamic) },
  INT8: { weights: int(8, 'channel'), input_activations: int(8, 'token', dynamic) },
  W4A8: { weights: int(4, 'group', group128), input_activations: int(8, 'token', dynamic) },
  W4AFP8: { weights: int(4, 'group', group128), input_activations: float(8, 'token', dynamic) },
  FP8: { weights: float(8, 'tensor'), input_activations: float(8, 'tensor') },
  FP8_DYNAMIC: { weights: float(8, 'channel'), input_activations: float(8, 'token', dynamic) },
  FP8_BLOCK: {
    weights: float(8, 'block', { block_structure: [128, 128] }),
    input_activations: float(8, 'group', { ...group128, ...dynamic }),
  },
  NVFP4: {
    weights: float(4, 'tensor_group', { group_size: 16 }),
    input_activations: float(4, 'tensor_group', { group_size: 16, dynamic: 'local' }),
  },
  NVFP4A16: { weights: float(4, 'tensor_group', { group_size: 16 }) },
  MXFP4: { weights: float(4, 'group', { group_size: 32 }), input_activations: float(4, 'group', { group_size: 32, ...dynamic }) },
  MXFP4A16: { weights: float(4, 'group', { group_size: 32 }) },
};

/** The group that a preset stands for; undefined: no such preset. */
export function preset(scheme: string): ReadonlyMap<string, Data> | undefined {
  const known = Object.entries(table).find(([k]) => k === scheme.toUpperCase())?.[1];
  return known && new Map(Object.entries(known).map(([k, v]) => [k, new Map(Object.entries(v))]));
}
export const presets = Object.keys(table);
