/**
 * Caches that are quantized on the outside too: where a recipe quantizes the keys and values of attention, a decoder's cache inputs and outputs carry
 * codes, scales and zero points, so that no step holds them in float. The numbers are those of the cache that is quantized inside: a token's keys have
 * the same scale whenever they are read.
 */
import { fail } from '../../grammar/diagnostics.ts';
import type { DType, ValueInfo } from '../graph/types.ts';
import { attrInt } from '../match/view.ts';
import type { QType } from '../plan/types.ts';
import { dynamicScale, toCodes } from '../simulate/fake.ts';
import { middle } from '../simulate/params.ts';
import type { QuantizedValue, Simulated } from '../simulated.ts';
import { Editor } from './editor.ts';
import { Emit } from './emit.ts';
import { numbers } from './make.ts';

/** A cache: what came in, what goes out, and how its codes lie. */
export interface Cache {
  readonly past: string;
  readonly present: string;
  readonly type: QType;
  /** Added to codes so that they are unsigned. */
  readonly shift: number;
  /** Two codes a byte, the even channel low. */
  readonly packed: boolean;
  /** Floats of this type instead of codes. */
  readonly cast?: 'float16' | 'bfloat16';
}

const isCache = (v: QuantizedValue): boolean => v.port === 'key' || v.port === 'value';
export const pastOf = (v: QuantizedValue): string | undefined => v.site.facts[`past_${v.port}`] as string | undefined;

/** Every cache that the recipe quantizes. Error: `io-cache` (one that has no form on the outside). */
export function cachesOf(s: Simulated): readonly { readonly value: QuantizedValue; readonly cache: Cache }[] {
  const found = s.values.filter(isCache).map((value): { value: QuantizedValue; cache: Cache } => {
    const past = pastOf(value);
    const { type } = value;
    const refuse = (why: string): never =>
      fail(
        'io-cache',
        `the ${value.port} of ${value.site.path} cannot be a quantized input and output: ${why}`,
        'compile without --io quantized',
      );
    if (past === undefined) return refuse('it is no cache: nothing comes in from the step before');
    const { codes, mode, grain } = type;
    const cast = codes ? undefined : type.format.name;
    if (cast === 'float16' || cast === 'bfloat16')
      return { value, cache: { past, present: value.value, type, shift: 0, packed: false, cast } };
    if (codes?.kind !== 'int' || codes.bits > 8) return refuse(`${type.text} has no integer codes of at most 8 bits`);
    if (mode !== 'dynamic' || (grain.per !== 'head' && grain.per !== 'token'))
      return refuse('only a scale for each token and head stays as it is when tokens follow');
    return { value, cache: { past, present: value.value, type, shift: codes.signed ? 2 ** (codes.bits - 1) : 0, packed: codes.bits <= 4 } };
  });
  return found;
}

/** The parts of a cache that are inputs and outputs of their own. */
export const parts = (c: Cache): readonly ('scale' | 'zero')[] => (c.cast ? [] : c.type.symmetric ? ['scale'] : ['scale', 'zero']);

/** The simulated level with its caches as codes on the outside; their quantization is part of its graph then. */
export function withQuantizedCaches(s: Simulated): Simulated {
  const caches = cachesOf(s);
  if (caches.length === 0) return s;
  const editor = new Editor(s.model);
  editor.raise(13);
  for (const { cache } of caches) rewrite(editor, cache);
  const inside = new Set(caches.map((c) => c.value));
  return { ...s, model: editor.finish(), values: s.values.filter((v) => !inside.has(v)) };
}

function rewrite(editor: Editor, c: Cache): void {
  const { graph } = editor.model;
  const concat = graph.nodes.find((n) => n.outputs.includes(c.present));
  const view = concat && editor.view(concat);
  // Exporters put an Identity or a Concat of one value behind the input.
  const fresh = concat?.inputs.find((i) => view?.origin(i) !== c.past);
  if (!view || concat?.op !== 'Concat' || concat.inputs.length !== 2 || fresh === undefined)
    return void fail('io-cache', `the cache ${c.past} is not a concatenation of past and new tokens`, 'compile without --io quantized');
  const float = view.dtype(c.present) ?? 'float32';
  const attrs = { axis: attrInt(concat, 'axis', 2) };
  const e = new Emit(editor, c.present);
  const read = c.cast ? castCache(e, c, fresh, attrs, c.cast, float) : codedCache(e, c, fresh, attrs, float);
  for (const n of graph.nodes) if (n !== concat) n.inputs = n.inputs.map((i) => (i === c.present ? read : i));
  editor.replace(concat, e.nodes);
  const shapes = (from: readonly ValueInfo[], name: string) =>
    outside(
      from.find((x) => x.name === name),
      c,
      name,
    );
  graph.inputs = graph.inputs.flatMap((x) => (x.name === c.past ? shapes(graph.inputs, c.past) : [x]));
  graph.outputs = graph.outputs.flatMap((x) => (x.name === c.present ? shapes(graph.outputs, c.present) : [x]));
  graph.values.delete(c.present);
}

/** The cache in narrow floats; the value that is read. */
function castCache(e: Emit, c: Cache, fresh: string, attrs: { axis: number }, cast: DType, float: DType): string {
  return e.cast(e.op('Concat', [c.past, e.cast(fresh, cast)], attrs, c.present), float);
}

/** The cache in codes; the value that is read. */
function codedCache(e: Emit, c: Cache, fresh: string, attrs: { axis: number }, float: DType): string {
  const wide = float === 'float32' ? fresh : e.cast(fresh, 'float32');
  const q = toCodes(e, wide, c.type, dynamicScale(e, wide, c.type, [-1]));
  const unsigned = (x: string) => (c.shift ? e.op('Add', [x, e.scalar(c.shift)]) : x);
  const joined = (part: string, x: string) => e.op('Concat', [`${c.past}${part}`, x], attrs, `${c.present}${part}`);
  const codes = joined('', e.cast(c.packed ? pack(e, unsigned(q.codes)) : unsigned(q.codes), 'uint8'));
  const scales = joined('_scale', q.scale);
  const zeros = c.type.symmetric ? undefined : joined('_zero', e.cast(unsigned(q.zero ?? e.scalar(0)), 'uint8'));
  const back = c.packed ? unpack(e, e.cast(codes, 'float32')) : e.cast(codes, 'float32');
  const zero = zeros ? e.cast(zeros, 'float32') : e.scalar(middle(c.type) + c.shift);
  const y = e.op('Mul', [e.op('Sub', [back, zero]), scales]);
  return float === 'float32' ? y : e.cast(y, float);
}

/** [B, H, T, D] unsigned codes below 16 to bytes [B, H, T, D/2]. */
function pack(e: Emit, codes: string): string {
  const pairs = e.op('Reshape', [codes, e.list([0, 0, 0, -1, 2])]);
  return e.op('MatMul', [pairs, e.editor.shared('qc/nibbles', () => numbers('float32', [2], [1, 16]))]);
}

function unpack(e: Emit, bytes: string): string {
  const sixteen = e.scalar(16);
  const high = e.op('Floor', [e.op('Div', [bytes, sixteen])]);
  const low = e.op('Sub', [bytes, e.op('Mul', [high, sixteen])]);
  const last = e.list([-1]);
  const pairs = e.op('Concat', [e.op('Unsqueeze', [low, last]), e.op('Unsqueeze', [high, last])], { axis: -1 });
  return e.op('Reshape', [pairs, e.list([0, 0, 0, -1])]);
}

/** The inputs or outputs that stand for a cache: codes under its name, scales (and zero points) beside it. */
function outside(info: ValueInfo | undefined, c: Cache, name: string): ValueInfo[] {
  const shape = info?.shape;
  const last = shape?.at(-1);
  const width = typeof last === 'number' ? (c.packed ? last / 2 : last) : `${name}/bytes`;
  const of = (suffix: string, dtype: DType, end: number | string): ValueInfo => ({
    name: `${name}${suffix}`,
    dtype,
    ...(shape ? { shape: [...shape.slice(0, -1), end] } : {}),
  });
  return [of('', c.cast ?? 'uint8', width), ...parts(c).map((p) => of(`_${p}`, p === 'scale' ? 'float32' : 'uint8', 1))];
}
