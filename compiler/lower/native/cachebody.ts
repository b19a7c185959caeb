/** Bodies of the operators `CachedAttention…`: attention over a cache in floats, float16 or codes. */
import type { Func } from '../../graph/types.ts';
import { attended, headsOf } from './attentionbody.ts';
import { Body } from './function.ts';

/** What a cache holds: floats; floats that are rounded whenever they are read; float16; codes of a byte or of half a byte. */
export type Store = 'floats' | 'rounded' | 'half' | 'q8' | 'q4';
export interface CacheOp {
  readonly store: Store;
  /** A zero point a row, else one for all. */
  readonly zeros: boolean;
}
const names = { floats: '', rounded: 'Rounded', half: 'Half', q8: 'Q8', q4: 'Q4' } as const;
const inCodes = (s: Store): boolean => s === 'q8' || s === 'q4';
export const cacheName = ({ store, zeros }: CacheOp): string =>
  `CachedAttention${names[store]}${(inCodes(store) || store === 'rounded') && !zeros ? 'Symmetric' : ''}`;

/** Names of the caches among an operator's inputs and outputs, behind key and value. */
export const sideNames = (op: CacheOp): readonly string[] => (inCodes(op.store) ? ['scale', ...(op.zeros ? ['zero'] : [])] : []);
export const cacheAttributes = (op: CacheOp): readonly string[] =>
  inCodes(op.store) || op.store === 'rounded' ? ['lo', 'hi', 'shift', ...(op.zeros ? [] : ['top', 'middle'])] : [];

const BYTE = 2;
const FLOAT = 1;
const HALF = 10;

interface Coded {
  /** Unsigned, as floats. */
  readonly codes: string;
  readonly scale: string;
  readonly zero?: string;
}

function encoded(b: Body, x: string, op: CacheOp): Coded {
  const [lo, hi, shift] = [b.floatAttribute('lo'), b.floatAttribute('hi'), b.floatAttribute('shift')] as const;
  const tiny = b.float(1e-30);
  const unsigned = (q: string) => b.op('Add', [q, shift]);
  const codes = (scale: string, zero: string) =>
    unsigned(b.op('Clip', [b.op('Add', [b.op('Round', [b.op('Div', [x, scale])]), zero]), lo, hi]));
  if (!op.zeros) {
    const most = b.reduce('ReduceMax', b.op('Abs', [x]));
    const scale = b.op('Max', [b.op('Div', [most, b.floatAttribute('top')]), tiny]);
    return { codes: codes(scale, b.floatAttribute('middle')), scale };
  }
  const low = b.op('Min', [b.reduce('ReduceMin', x), b.float(0)]);
  const high = b.op('Max', [b.reduce('ReduceMax', x), b.float(0)]);
  const scale = b.op('Max', [b.op('Div', [b.op('Sub', [high, low]), b.op('Sub', [hi, lo])]), tiny]);
  const zero = b.op('Clip', [b.op('Round', [b.op('Sub', [lo, b.op('Div', [low, scale])])]), lo, hi]);
  return { codes: codes(scale, zero), scale, zero: unsigned(zero) };
}

function decoded(b: Body, c: Coded): string {
  const zero = c.zero ?? b.op('Add', [b.floatAttribute('middle'), b.floatAttribute('shift')]);
  return b.op('Mul', [b.op('Sub', [c.codes, zero]), c.scale]);
}

/** [batch, heads, tokens, dim] codes below 16 as bytes, the even channel low; and back, as floats. */
function packed(b: Body, codes: string): string {
  const pairs = b.op('Reshape', [codes, b.ints([0, 0, 0, -1, 2])]);
  const [even, odd] = [0, 1].map((i) => b.op('Gather', [pairs, b.index(i)], { axis: 4 })) as [string, string];
  return b.op('Cast', [b.op('Add', [even, b.op('Mul', [odd, b.float(16)])])], { to: BYTE });
}
function unpacked(b: Body, bytes: string, dim: string): string {
  const four = b.byte(4);
  const low = b.op('BitShift', [b.op('BitShift', [bytes, four], { direction: 'LEFT' }), four], { direction: 'RIGHT' });
  const high = b.op('BitShift', [bytes, four], { direction: 'RIGHT' });
  const last = b.ints([4]);
  const pairs = b.op('Concat', [b.op('Unsqueeze', [low, last]), b.op('Unsqueeze', [high, last])], { axis: 4 });
  return b.op('Cast', [b.op('Reshape', [pairs, b.op('Concat', [b.ints([0, 0, 0]), dim], { axis: 0 })])], { to: FLOAT });
}

/** Appends `fresh` [batch, kv_heads, new, dim] to the cache `side`; what attention reads. */
function cached(b: Body, op: CacheOp, side: 'key' | 'value', fresh: string, dim: string): string {
  const join = (part: string, x: string) => b.op('Concat', [`past_${side}${part}`, x], { axis: 2 }, `${side}${part}`);
  if (op.store === 'floats') return join('', fresh);
  if (op.store === 'rounded') return decoded(b, encoded(b, join('', fresh), op));
  if (op.store === 'half') return b.op('Cast', [join('', b.op('Cast', [fresh], { to: HALF }))], { to: FLOAT });
  const c = encoded(b, fresh, op);
  const bytes = join('', op.store === 'q4' ? packed(b, c.codes) : b.op('Cast', [c.codes], { to: BYTE }));
  const scale = join('_scale', c.scale);
  const zero = c.zero === undefined ? {} : { zero: b.op('Cast', [join('_zero', b.op('Cast', [c.zero], { to: BYTE }))], { to: FLOAT }) };
  const codes = op.store === 'q4' ? unpacked(b, bytes, dim) : b.op('Cast', [bytes], { to: FLOAT });
  return decoded(b, { codes, scale, ...zero });
}

/** The body of a variant. */
export function cacheBody(op: CacheOp, opset: number): Func {
  const b = new Body(opset);
  const heads = b.attribute('heads');
  const [h, kv, d] = [b.slice(heads, 0, 1), b.slice(heads, 1, 2), b.slice(heads, 2, 3)] as const;
  const zero = b.ints([0]);
  const split = (x: string, n: string) => headsOf(b, x, n, d);
  const half = b.op('Div', [d, b.ints([2])]);
  const axis = b.ints([3]);
  const turn = (x: string) => {
    const low = b.op('Slice', [x, zero, half, axis]);
    const high = b.op('Slice', [x, half, d, axis]);
    const across = b.op('Concat', [b.op('Neg', [high]), low], { axis: 3 });
    return b.op('Add', [b.op('Mul', [x, 'cos']), b.op('Mul', [across, 'sin'])]);
  };
  const key = cached(b, op, 'key', turn(split('k', kv)), d);
  const value = cached(b, op, 'value', split('v', kv), d);
  attended(b, { query: turn(split('q', h)), key, value, heads: [h, kv, d] });
  const sides = sideNames(op).flatMap((part) => [`key_${part}`, `value_${part}`]);
  const inputs = ['q', 'k', 'v', 'past_key', 'past_value', 'cos', 'sin', 'bias', ...sides.map((name) => `past_${name}`)];
  const attrs = ['heads', 'scale', ...cacheAttributes(op)];
  const holds = {
    floats: '',
    rounded: ', rounded to codes when it is read',
    half: ' in float16',
    q8: ' in codes',
    q4: ' in codes of 4 bits',
  }[op.store];
  const doc = `softmax(rope(q) rope(k)ᵀ · scale + bias) v over a cache${holds}; a row without a key is 0`;
  return b.function(cacheName(op), inputs, ['y', 'key', 'value', ...sides], attrs, doc);
}
