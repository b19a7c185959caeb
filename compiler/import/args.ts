/** "Quantization arguments" of compressed-tensors, as llm-compressor and checkpoints write them: one number type for weights, inputs, outputs or the cache. */
import type { Expr } from '../../grammar/ast.ts';
import { call, type Fields, list, name, number, quantize } from './ast.ts';
import { type Data, isList, isMapping } from './data.ts';
import type { Draft } from './draft.ts';
import type { Reader } from './reader.ts';

/** What the numbers of a port are. */
export interface Args {
  readonly format: Expr;
  readonly fields: Fields;
  /** The same in words that can be compared with presets. */
  readonly key: string;
  /** Activations: found at run time. */
  readonly dynamic: boolean;
  /** The column order that a solver shall take, as the source spells it. */
  readonly actorder?: Data;
}

const laws: Readonly<Record<string, Expr | undefined>> = {
  minmax: undefined,
  static_minmax: undefined,
  memoryless_minmax: undefined,
  mse: call('mse'),
  memoryless_mse: call('mse'),
};

/** The integer format with this many bits; words where the language has one. */
export const integer = (bits: number, signed: boolean): Expr =>
  [2, 3, 4, 5, 6, 7, 8, 16].includes(bits) ? name(`${signed ? '' : 'u'}int${bits}`) : call('int', [bits], signed ? {} : { signed: false });

/** Says nothing: null, or an empty mapping. */
const empty = (d: Data | undefined): boolean => d === null || (isMapping(d) && d.size === 0);

const pair = (d: Data | undefined): readonly [number, number] | undefined => {
  const two = isList(d) ? d : typeof d === 'string' ? d.split(/[x,]/i).map(Number) : [];
  const [r, c] = two;
  return two.length === 2 && Number.isInteger(r) && Number.isInteger(c) ? [r as number, c as number] : undefined;
};

/** Reads the arguments; what has no equal is told and gives undefined. */
export function readArgs(r: Reader, port: 'weight' | 'activation', draft: Draft): Args | undefined {
  const bits = r.int(2, 16, 'num_bits') ?? 8;
  const type = r.word('type') ?? 'int';
  const symmetric = r.flag('symmetric') ?? true;
  const size = r.int(-1, 1 << 20, 'group_size');
  const block = pair(r.take('block_structure'));
  const dynamic = r.take('dynamic');
  const actorder = r.take('actorder');
  const said = r.word('strategy');
  const strategy = said ?? (size !== undefined && size > 0 ? 'group' : size === -1 ? 'channel' : block ? 'block' : 'tensor');
  const observer = r.word('observer');
  for (const k of ['scale_dtype', 'zp_dtype', 'observer_kwargs']) if (empty(r.peek(k))) r.take(k);
  const moving = dynamic === true || dynamic === 'local';
  const mode = port === 'weight' ? {} : { mode: moving ? 'dynamic' : 'static' };

  const fields = ((): Fields | undefined => {
    switch (strategy) {
      case 'tensor':
      case 'channel':
      case 'token':
        return { ...mode, per: strategy };
      case 'attn_head':
        return { ...mode, per: 'head' };
      case 'group':
      case 'tensor_group':
        return { ...mode, group: size !== undefined && size > 1 ? size : 128 };
      case 'block':
        return block ? { ...mode, block: list(number(block[0]), number(block[1])) } : undefined;
      default:
        return undefined;
    }
  })();
  const float = type === 'float';
  const small = float && bits === 4;
  const format = small ? name(size === 32 ? 'mxfp4' : 'nvfp4') : float ? (bits === 8 ? name('fp8') : undefined) : integer(bits, symmetric);
  r.rest(draft);
  if (!fields || !format) {
    draft.lost(r.path, undefined, `no equal for ${type} of ${bits} bits by ${strategy}`);
    return undefined;
  }
  const scale = observer === undefined || !Object.hasOwn(laws, observer) ? undefined : laws[observer];
  if (observer !== undefined && !Object.hasOwn(laws, observer)) draft.lost(r.at('observer'), observer, 'minmax is used');
  const own = small ? mode : { ...fields, ...(scale ? { scale } : {}) };
  const grain = 'group' in fields ? `g${String(fields['group'])}` : block ? 'block' : String(fields['per']);
  const key = `${type}${bits}${float || symmetric ? '' : 'a'}/${small ? '' : grain}${port === 'weight' ? '' : moving ? '/dynamic' : '/static'}${scale ? '/mse' : ''}`;
  return { format, fields: own, key, dynamic: moving, ...(actorder === undefined || actorder === null ? {} : { actorder }) };
}

/** Schemes of the language, by what they are made of. */
const schemes: Readonly<Record<string, (group: number) => Expr>> = {
  'int4/g': (g) => call('W4A16', [], { group: g, scale: 'minmax' }),
  'int4a/g': (g) => call('W4A16_ASYM', [], { group: g, scale: 'minmax' }),
  'int8/channel': () => name('W8A16'),
  'int8/channel+int8/token/dynamic': () => name('W8A8'),
  'int4/g+int8/token/dynamic': (g) => call('W4A8', [], { group: g, scale: 'minmax' }),
  'int8/channel+int8a/tensor/static': () => name('W8A8_STATIC'),
  'float8/channel+float8/token/dynamic': () => name('FP8_DYNAMIC'),
  'float8/channel+float8/tensor/static': () => name('FP8'),
  'float4/+float4//dynamic': (g) => name(g === 32 ? 'MXFP4' : 'NVFP4'),
  'float4/': (g) => name(g === 32 ? 'MXFP4A16' : 'NVFP4A16'),
};

/** Weights and inputs of a selection: a scheme where the language has that very one, else a statement for each port. */
export function quantizeBoth(of: Expr, weight: Args | undefined, input: Args | undefined, draft: Draft, ...notes: string[]): void {
  const group = Number(
    /\/g(\d+)/.exec(weight?.key ?? '')?.[1] ?? (weight?.format.kind === 'name' && weight.format.name === 'mxfp4' ? 32 : 16),
  );
  const key = [weight?.key, input?.key]
    .filter((k) => k !== undefined)
    .join('+')
    .replace(/^(int\d+a?)\/g\d+/, '$1/g');
  const scheme = weight && Object.hasOwn(schemes, key) ? schemes[key] : undefined;
  if (scheme) {
    draft.add(quantize([], of, scheme(group)), ...notes);
    return;
  }
  if (weight) draft.add(quantize(['weight'], of, weight.format, weight.fields), ...notes);
  if (input) draft.add(quantize(['input'], of, input.format, input.fields), ...(weight ? [] : notes));
}
