/** The field's scheme names: what each gives to which port. A scheme is only a shorthand; `qc explain` prints its parts. */
import type { Named } from '../define.ts';
import { either, int, type ParamsOf, type Ref, ref, type Schema } from '../schema.ts';
import type { Val } from './bind.ts';

/** One part of a scheme: a type for some ports, with the fields that a statement would have written. */
export interface Part {
  readonly ports: readonly string[];
  readonly format: { readonly name: string; readonly args: Readonly<Record<string, Val>> };
  readonly fields: Readonly<Record<string, Val>>;
  /** What convolutions get instead: they sum over channels and space, so that a token has no scale of its own there. */
  readonly kernel?: Pick<Part, 'format' | 'fields'>;
}
export interface Scheme<S extends Schema = Schema> extends Named<S> {
  parts(p: ParamsOf<S>): Part[];
}

const word = (value: string): Val => ({ kind: 'string', value });
const num = (value: number): Val => ({ kind: 'number', value });
/** Four bits and fewer: a short grid of shrunken steps gains a fifth of the error of the full range, at little cost. */
const searched: Ref = { name: 'mse', args: { steps: 12, shrink: 0.76 } };
const law = (r: Ref | undefined): Record<string, Val> => (r ? { scale: { kind: 'ref', of: 'law', name: r.name, args: argsOf(r) } } : {});
const argsOf = (r: Ref): Record<string, Val> =>
  Object.fromEntries(
    Object.entries(r.args).map(([k, v]) => [
      k,
      typeof v === 'number' ? num(v) : typeof v === 'boolean' ? { kind: 'bool', value: v } : word(String(v)),
    ]),
  );

const scale = ref('law', { doc: 'Scale law of the weights.', optional: true });
const calibrated = ref('law', { doc: 'Scale law of the activations, over the calibration data.', optional: true });
const grouped = (n: number) =>
  either<number | string>([int({ doc: 'Elements', min: 2 })], {
    doc: 'Elements of a weight group, along the reduction; convolutions and shorter reductions have one scale for each output channel.',
    default: n,
    aliases: ['group_size'],
  });

const integer = (bits: number, signed = true): Part['format'] => ({ name: `${signed ? '' : 'u'}int${bits}`, args: {} });
const weight = (format: Part['format'], fields: Record<string, Val>): Part => ({ ports: ['weight'], format, fields });
const input = (format: Part['format'], fields: Record<string, Val>): Part => ({ ports: ['input'], format, fields });
const dynamic = { mode: word('dynamic'), per: word('token') };
const int8Tokens: Part = {
  ...input(integer(8), dynamic),
  kernel: { format: integer(8, false), fields: { mode: word('dynamic'), per: word('tensor') } },
};

function weightOnly(name: string, bits: number, signed: boolean, group: number | undefined, doc: string): Scheme {
  const params: Schema = { ...(group === undefined ? {} : { group: grouped(group) }), scale };
  return {
    name,
    since: '0.1.0',
    doc,
    params,
    ...(group === undefined ? {} : { positional: ['group'] }),
    parts: (p) => [
      weight(integer(bits, signed), {
        ...(group === undefined ? { per: word('channel') } : { group: num(Number(p['group'])) }),
        ...law((p['scale'] as Ref | undefined) ?? (bits <= 4 ? searched : undefined)),
      }),
    ],
  };
}

function weightAndInput(
  name: string,
  doc: string,
  parts: (weightFields: Record<string, Val>, p: Record<string, unknown>) => Part[],
  group?: number,
): Scheme {
  const params: Schema = { ...(group === undefined ? {} : { group: grouped(group) }), scale };
  return {
    name,
    since: '0.1.0',
    doc,
    params,
    ...(group === undefined ? {} : { positional: ['group'] }),
    parts: (p) =>
      parts(
        {
          ...(group === undefined ? { per: word('channel') } : { group: num(Number(p['group'])) }),
          ...law((p['scale'] as Ref | undefined) ?? (group === undefined ? undefined : searched)),
        },
        p,
      ),
  };
}

const fp8 = { name: 'fp8', args: {} };
const blocks = (name: string, format: string, doc: string, activations: boolean): Scheme => ({
  name,
  since: '0.1.0',
  doc,
  params: {},
  parts: () => [
    weight({ name: format, args: {} }, {}),
    ...(activations ? [input({ name: format, args: {} }, { mode: word('dynamic') })] : []),
  ],
});

const W8A8_STATIC: Scheme = {
  name: 'W8A8_STATIC',
  since: '0.1.0',
  doc: '8-bit weights, a scale for each output channel; 8-bit activations with one scale found by calibration.',
  params: { scale, activation_scale: calibrated },
  parts: (p) => [
    weight(integer(8), { per: word('channel'), ...law(p['scale'] as Ref | undefined) }),
    input(integer(8, false), { mode: word('static'), per: word('tensor'), ...law(p['activation_scale'] as Ref | undefined) }),
  ],
};

export const schemes: readonly Scheme[] = [
  weightOnly('W4A16', 4, true, 128, '4-bit symmetric weights in groups; activations stay float.'),
  weightOnly('W4A16_ASYM', 4, false, 128, '4-bit weights in groups with zero points; activations stay float.'),
  weightOnly('W8A16', 8, true, undefined, '8-bit symmetric weights, a scale for each output channel; activations stay float.'),
  weightAndInput(
    'W8A8',
    '8-bit weights, a scale for each output channel; 8-bit activations, each token scaled at run time (convolutions: each tensor, with a zero point).',
    (w) => [weight(integer(8), w), int8Tokens],
  ),
  W8A8_STATIC,
  weightAndInput(
    'W4A8',
    '4-bit weights in groups; 8-bit activations, each token scaled at run time.',
    (w) => [weight(integer(4), w), int8Tokens],
    128,
  ),
  weightAndInput(
    'W4A8KV4',
    '4-bit weights in groups, 8-bit activations by token, 4-bit attention cache by head.',
    (w) => [
      weight(integer(4), w),
      int8Tokens,
      { ports: ['key', 'value'], format: integer(4, false), fields: { mode: word('dynamic'), per: word('head') } },
    ],
    128,
  ),
  weightAndInput('FP8', 'fp8 e4m3 weights by output channel and activations with one scale found by calibration.', (w) => [
    weight(fp8, w),
    input(fp8, { mode: word('static'), per: word('tensor') }),
  ]),
  weightAndInput('FP8_DYNAMIC', 'fp8 e4m3 weights by output channel and activations by token at run time.', (w) => [
    weight(fp8, w),
    input(fp8, dynamic),
  ]),
  blocks('MXFP4', 'mxfp4', 'Microscaling fp4 weights and activations, blocks of 32 under a power of two.', true),
  blocks('MXFP4A16', 'mxfp4', 'Microscaling fp4 weights; activations stay float.', false),
  blocks('NVFP4', 'nvfp4', 'NVIDIA fp4 weights and activations, blocks of 16 under fp8 scales.', true),
  blocks('NVFP4A16', 'nvfp4', 'NVIDIA fp4 weights; activations stay float.', false),
];
