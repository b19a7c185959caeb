/** Folded weights: an expression over the tensor before, computed in float64 when it is written. */
import type { Crunch } from '../crunch.ts';
import { fromFloat32, toFloat32, toFloat64 } from '../graph/numeric.ts';
import type { Tensor } from '../graph/types.ts';
import type { EvalContext } from '../host.ts';
import { transposed } from './product.ts';
import type { Rotation } from './rotation.ts';

/** Indices from … up to `to` of an axis. */
export interface Part {
  readonly from: number;
  readonly to: number;
}

/** One step. `axis` of a tensor of any rank; `factors` has one number for each index of it; a rotation acts on blocks of its size, of all or of a part. */
export type Step =
  | { readonly kind: 'scale'; readonly axis: number; readonly factors: Float64Array }
  | { readonly kind: 'add'; readonly value: number }
  /** One number for each index of the axis. */
  | { readonly kind: 'offset'; readonly axis: number; readonly values: Float64Array }
  /** x += W v for a weight with these axes; x has one number for each output. */
  | { readonly kind: 'product'; readonly weight: Tensor; readonly reduce: number; readonly vector: Float64Array }
  | { readonly kind: 'fill'; readonly value: number }
  | { readonly kind: 'rotate'; readonly axis: number; readonly rotation: Rotation; readonly part?: Part }
  /** Takes a product away from a matrix: up [out, rank] · down [rank, reduce]; `out` is the axis of the outputs. */
  | { readonly kind: 'subtract'; readonly out: number; readonly up: Float32Array; readonly down: Float32Array; readonly rank: number }
  /** Adds the slice `from`, times a factor, to the slice `into`. */
  | { readonly kind: 'merge'; readonly axis: number; readonly from: number; readonly into: number; readonly factor: number }
  /** Takes these indices of the axis, in this order. */
  | { readonly kind: 'gather'; readonly axis: number; readonly indices: Int32Array }
  /** Takes these elements, in this order, into the same shape. */
  | { readonly kind: 'take'; readonly indices: Int32Array };

/** The shape after steps. */
export const shapeAfter = (shape: readonly number[], steps: readonly Step[]): number[] =>
  steps.reduce<number[]>((s, step) => (step.kind === 'gather' ? s.with(step.axis, step.indices.length) : s), [...shape]);

/** Steps without tensors in them. */
type Plain = Exclude<Step, { kind: 'product' }>;

/** Applies steps to numbers, in place where the shape stays. */
export async function applySteps(
  given: Float64Array,
  before: readonly number[],
  steps: readonly Plain[],
  crunch: Crunch,
): Promise<Float64Array> {
  let [x, shape] = [given, before];
  for (const s of steps) {
    if (s.kind === 'gather') {
      x = gathered(x, shape, s.axis, s.indices);
      shape = shapeAfter(shape, [s]);
      continue;
    }
    if (s.kind === 'take') {
      const old = x;
      x = Float64Array.from(s.indices, (i) => old[i]!);
      continue;
    }
    if (s.kind === 'fill') {
      x.fill(s.value);
      continue;
    }
    if (s.kind === 'add') {
      for (let i = 0; i < x.length; i++) x[i]! += s.value;
      continue;
    }
    if (s.kind === 'subtract') {
      await subtract(x, shape, s, crunch);
      continue;
    }
    const n = shape[s.axis]!;
    const inner = shape.slice(s.axis + 1).reduce((a, b) => a * b, 1);
    const outer = x.length / (n * inner);
    if (s.kind === 'offset') {
      for (let o = 0, i = 0; o < outer; o++) for (let k = 0; k < n; k++) for (let j = 0; j < inner; j++, i++) x[i]! += s.values[k]!;
      continue;
    }
    if (s.kind === 'merge') {
      for (let o = 0; o < outer; o++)
        for (let j = 0; j < inner; j++) x[(o * n + s.into) * inner + j]! += s.factor * x[(o * n + s.from) * inner + j]!;
      continue;
    }
    if (s.kind === 'scale') {
      for (let o = 0, i = 0; o < outer; o++)
        for (let k = 0; k < n; k++) {
          const f = s.factors[k]!;
          for (let j = 0; j < inner; j++, i++) x[i]! *= f;
        }
      continue;
    }
    const { from, to } = s.part ?? { from: 0, to: n };
    if (s.rotation.base) {
      await crunch.hadamard(x, { n, inner, from, to, size: s.rotation.size }, s.rotation.base);
      continue;
    }
    for (let o = 0; o < outer; o++) for (let b = from; b < to; b += s.rotation.size) rotateLines(x, (o * n + b) * inner, inner, s.rotation);
  }
  return x;
}

/** Lines that are turned together: what a cache line holds of each of their rows is read once. */
const LINES = 16;

/** Turns the `inner` lines that begin at `at`, element k of line j at `at + k · inner + j`. */
function rotateLines(x: Float64Array, at: number, inner: number, rotation: Rotation): void {
  const { size } = rotation;
  if (inner === 1) {
    rotation.apply(x.subarray(at, at + size));
    return;
  }
  // lines a power of two apart would share a place in the cache
  const stride = size + 8;
  const held = new Float64Array(Math.min(LINES, inner) * stride);
  const lines = Array.from({ length: Math.min(LINES, inner) }, (_, c) => held.subarray(c * stride, c * stride + size));
  for (let j = 0; j < inner; j += LINES) {
    const width = Math.min(LINES, inner - j);
    for (let k = 0; k < size; k++) {
      const row = at + k * inner + j;
      for (let c = 0; c < width; c++) held[c * stride + k] = x[row + c]!;
    }
    for (let c = 0; c < width; c++) rotation.apply(lines[c]!);
    for (let k = 0; k < size; k++) {
      const row = at + k * inner + j;
      for (let c = 0; c < width; c++) x[row + c] = held[c * stride + k]!;
    }
  }
}

async function subtract(x: Float64Array, shape: readonly number[], s: Extract<Step, { kind: 'subtract' }>, crunch: Crunch): Promise<void> {
  const [out, reduce] = [shape[s.out]!, shape[1 - s.out]!];
  if (s.out === 0) return crunch.minusProduct(x, s.up, s.down, reduce);
  return crunch.minusProduct(x, transposed(s.down, s.rank, reduce), transposed(s.up, out, s.rank), out);
}

function gathered(x: Float64Array, shape: readonly number[], axis: number, indices: Int32Array): Float64Array {
  const n = shape[axis]!;
  const inner = shape.slice(axis + 1).reduce((a, b) => a * b, 1);
  const outer = x.length / (n * inner);
  const out = new Float64Array(outer * indices.length * inner);
  for (let o = 0, at = 0; o < outer; o++)
    for (const i of indices) {
      out.set(x.subarray((o * n + i) * inner, (o * n + i + 1) * inner), at);
      at += inner;
    }
  return out;
}

/** W v, with the sums in order of the reduction. */
async function product(s: Extract<Step, { kind: 'product' }>, ctx: EvalContext): Promise<Plain> {
  const w = toFloat64(s.weight.dtype, await ctx.bytes(s.weight));
  const n = s.vector.length;
  const outer = s.reduce === 0;
  const values = new Float64Array(w.length / n);
  for (let i = 0; i < w.length; i++) {
    const [k, o] = outer ? [Math.floor(i / values.length), i % values.length] : [i % n, Math.floor(i / n)];
    values[o]! += w[i]! * s.vector[k]!;
  }
  return { kind: 'offset', axis: 0, values };
}

/** Numbers that are kept as room for the next tensor: fresh memory costs more than the steps. */
const ROOM = 1 << 24;
let room: Float64Array | undefined;

/** What `work` makes of the elements of a tensor, which it may change. */
async function inScratch(t: Tensor, bytes: Uint8Array, work: (x: Float64Array) => Promise<Uint8Array>): Promise<Uint8Array> {
  const count = t.shape.reduce((a, b) => a * b, 1);
  if (t.dtype !== 'float32' || count > ROOM) return work(toFloat64(t.dtype, bytes, count));
  const mine = room && room.length >= count ? room : new Float64Array(count);
  // another tensor at the same time takes memory of its own
  room = undefined;
  const x = mine.subarray(0, count);
  x.set(toFloat32(t.dtype, bytes, count));
  const made = await work(x);
  room = mine;
  return made;
}

/** Folded tensors up to these bytes are kept once they are computed: sessions and encoders ask for them again. */
const KEPT = 1 << 20;
const floats = new Set(['float32', 'float16', 'bfloat16', 'float64']);

/** The tensor after `steps`, in the type that it had. `key` is unique to the fold. */
export function folded(t: Tensor, steps: readonly Step[], key: string): Tensor {
  if (!floats.has(t.dtype)) throw new Error(`${key}: folding needs floats, not ${t.dtype}`);
  let kept: Record<string, Uint8Array> | undefined;
  const evaluate = async (ctx: EvalContext): Promise<Record<string, Uint8Array>> => {
    if (kept) return kept;
    const plain = await Promise.all(steps.map((s) => (s.kind === 'product' ? product(s, ctx) : s)));
    const bytes = await inScratch(t, await ctx.bytes(t), async (x) =>
      fromFloat32(t.dtype as 'float32', await applySteps(x, t.shape, plain, ctx.crunch)),
    );
    if (bytes.length <= KEPT) kept = { folded: bytes };
    return { folded: bytes };
  };
  return { dtype: t.dtype, shape: shapeAfter(t.shape, steps), source: { kind: 'lazy', lazy: { key, part: 'folded', evaluate } } };
}
