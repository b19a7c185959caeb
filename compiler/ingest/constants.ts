/** Constants of a quantized graph: which are weights in codes, and how codes become floats. */
import { bitsOf, elements } from '../graph/dtype.ts';
import { fromFloat32, toFloat64 } from '../graph/numeric.ts';
import type { DType, Graph, Node, Tensor } from '../graph/types.ts';
import type { EvalContext } from '../host.ts';
import { attrInt } from '../match/view.ts';
import type { WeightFacts } from './facts.ts';

/** A weight behind a constant expression; `scales` is 0 while its codes are not scaled. */
export interface Weight extends WeightFacts {
  /** The initializer that holds the codes. */
  readonly name: string;
  readonly tensor: Tensor;
  /** int32 sums of a bias. */
  readonly bias?: true;
  readonly done: boolean;
}

const coded: Partial<Record<DType, { readonly format: WeightFacts['format']; readonly symmetric: boolean }>> = {
  int8: { format: 'int', symmetric: true },
  uint8: { format: 'int', symmetric: false },
  int4: { format: 'int', symmetric: true },
  uint4: { format: 'int', symmetric: false },
  int2: { format: 'int', symmetric: true },
  uint2: { format: 'int', symmetric: false },
  int16: { format: 'int', symmetric: true },
  uint16: { format: 'int', symmetric: false },
  float8e4m3fn: { format: 'fp8', symmetric: true },
  float8e5m2: { format: 'fp8_e5m2', symmetric: true },
};
const passing = new Set(['Cast', 'Reshape', 'Transpose', 'Identity', 'Unsqueeze', 'Squeeze', 'Flatten']);

/** Constants of one graph and of those around it. */
export class Constants {
  private readonly producers: Map<string, Node>;
  private readonly memo = new Map<string, boolean>();
  private readonly graph: Graph;
  readonly context: Pick<EvalContext, 'bytes'>;
  readonly outer: Constants | undefined;

  constructor(graph: Graph, ctx: Pick<EvalContext, 'bytes'>, outer?: Constants) {
    this.graph = graph;
    this.context = ctx;
    this.outer = outer;
    this.producers = new Map(graph.nodes.flatMap((n) => n.outputs.map((o): [string, Node] => [o, n])));
  }

  /** The initializer, or the value of a Constant node. */
  tensor(value: string): Tensor | undefined {
    const held = this.graph.initializers.get(value);
    if (held) return held;
    const n = this.producers.get(value);
    const a = n?.op === 'Constant' ? n.attrs.get('value') : undefined;
    if (a?.type === 'tensor') return a.value;
    return n || this.graph.inputs.some((i) => i.name === value) ? undefined : this.outer?.tensor(value);
  }
  producer(value: string): Node | undefined {
    return this.producers.get(value) ?? (this.graph.inputs.some((i) => i.name === value) ? undefined : this.outer?.producer(value));
  }
  /** Does the value depend on initializers alone? */
  is(value: string): boolean {
    const known = this.memo.get(value);
    if (known !== undefined) return known;
    this.memo.set(value, false);
    const n = this.producers.get(value);
    const yes =
      value !== '' &&
      (this.graph.initializers.has(value) ||
        n?.op === 'Constant' ||
        (n
          ? n.inputs.length > 0 &&
            n.attrs.size < 16 &&
            n.inputs.every((i) => i === '' || this.is(i)) &&
            !/^(Random|If|Loop|Scan)/.test(n.op)
          : false) ||
        (!n && !this.graph.inputs.some((i) => i.name === value) && this.outer?.is(value) === true));
    this.memo.set(value, yes);
    return yes;
  }

  /** The float initializer behind a constant expression that only moves it. */
  private held(value: string): { name: string; tensor: Tensor } | undefined {
    const t = this.tensor(value);
    if (t) return t.dtype === 'float32' || t.dtype === 'float16' ? { name: value, tensor: t } : undefined;
    const n = this.producer(value);
    return n && passing.has(n.op) ? this.held(n.inputs[0] ?? '') : undefined;
  }

  /** All numbers of a constant, if there are at most `most`. */
  async numbers(value: string, most = 1 << 20): Promise<Float64Array | undefined> {
    const t = this.tensor(value);
    if (t) return elements(t.shape) <= most && t.source.kind !== 'strings' ? this.decode(t) : undefined;
    const n = this.producer(value);
    return n && passing.has(n.op) ? this.numbers(n.inputs[0] ?? '', most) : undefined;
  }
  private async decode(t: Tensor): Promise<Float64Array | undefined> {
    const count = elements(t.shape);
    const bytes = await this.context.bytes(t);
    const bits = bitsOf(t.dtype);
    if (bits >= 8) {
      try {
        return toFloat64(t.dtype, bytes, count);
      } catch {
        return undefined;
      }
    }
    const per = 8 / bits;
    const mask = 2 ** bits - 1;
    return Float64Array.from({ length: count }, (_, i) => ((bytes[Math.floor(i / per)] ?? 0) >> ((i % per) * bits)) & mask);
  }
  /** The one number that a constant holds everywhere. */
  async uniform(value: string): Promise<number | undefined> {
    const all = await this.numbers(value);
    return all?.length && all.every((x) => x === all[0]) ? all[0] : undefined;
  }

  /** Scales: how many, in which form. */
  scales(value: string): { count: number; shape: readonly number[]; kind: 'model' | 'e8m0' | 'nv' } | undefined {
    const t = this.tensor(value);
    if (t) return { count: elements(t.shape), shape: t.shape, kind: 'model' };
    const n = this.producer(value);
    if (!n) return undefined;
    const inner = (i: number) => this.scales(n.inputs[i] ?? '');
    if (passing.has(n.op) || n.op === 'Gather' || n.op === 'Sub') return inner(0);
    if (n.op === 'Pow') {
      const x = inner(1);
      return x && { ...x, kind: 'e8m0' };
    }
    if (n.op === 'DequantizeLinear') {
      const x = inner(0);
      return x && { ...x, kind: 'nv' };
    }
    if (n.op === 'Mul') {
      const [a, b] = [inner(0), inner(1)];
      return a && b ? (a.count >= b.count ? a : b) : (a ?? b);
    }
    return undefined;
  }

  /** Symmetric: no zero point, or one in the middle of the codes. */
  async symmetric(zero: string | undefined, w: Weight): Promise<boolean> {
    if (zero === undefined || zero === '') return w.symmetric;
    const all = await this.uniform(zero);
    if (all === undefined) return false;
    return w.symmetric ? all === 0 : all === 2 ** (w.bits - 1);
  }

  /** The weight that a constant expression stands for; undefined where it is none. */
  async weight(value: string, depth = 12): Promise<Weight | undefined> {
    if (depth === 0 || !this.is(value)) return undefined;
    const t = this.tensor(value);
    if (t) {
      const bits = bitsOf(t.dtype);
      if (t.dtype === 'int32') return { name: value, tensor: t, format: 'int', bits, symmetric: true, scales: 0, bias: true, done: false };
      if (t.dtype === 'float16' || t.dtype === 'bfloat16')
        return { name: value, tensor: t, format: t.dtype, bits, symmetric: true, scales: 0, done: false };
      const c = coded[t.dtype];
      return c && { name: value, tensor: t, ...c, bits, scales: 0, done: false };
    }
    const n = this.producer(value);
    if (!n) return undefined;
    const of = (i: number) => this.weight(n.inputs[i] ?? '', depth - 1);
    switch (n.op) {
      case 'Cast': {
        const w = await of(0);
        const widened = (w?.format === 'float16' || w?.format === 'bfloat16') && attrInt(n, 'to', 1) === 1;
        return w && (widened ? { ...w, done: true } : w);
      }
      case 'Gather': {
        // Sixteen values looked up by codes: fp4.
        const table = this.tensor(n.inputs[0] ?? '');
        const w = table && elements(table.shape) === 16 ? await of(1) : undefined;
        return w && { ...w, format: 'mxfp4', bits: 4, symmetric: true };
      }
      case 'DequantizeLinear': {
        const w = await of(0);
        const s = this.scales(n.inputs[1] ?? '');
        if (!w || !s || w.done) return undefined;
        const block = attrInt(n, 'block_size', 0);
        const symmetric = await this.symmetric(n.inputs[2], w);
        return { ...w, symmetric, scales: s.count, scaleShape: s.shape, ...(block ? { block } : {}), done: true };
      }
      case 'QuantizeLinear': {
        // Weights that are rounded at run time, as training tools export them.
        const held = this.held(n.inputs[0] ?? '');
        const c = coded[this.tensor(n.inputs[2] ?? '')?.dtype ?? 'uint8'];
        const dtype = this.tensor(n.inputs[2] ?? '')?.dtype ?? 'uint8';
        return held && c && { ...held, ...c, bits: bitsOf(dtype), scales: 0, done: false };
      }
      case 'Sub': {
        const w = await of(0);
        return w && !w.done ? { ...w, symmetric: await this.symmetric(n.inputs[1], { ...w, symmetric: false }) } : undefined;
      }
      case 'Mul': {
        const [a, b] = [await of(0), await of(1)];
        const at = a && !a.done && a.format !== 'float16' && a.format !== 'bfloat16' ? 0 : 1;
        const w = at === 0 ? a : b;
        const s = this.scales(n.inputs[1 - at] ?? '');
        if (!w || w.done || !s) return undefined;
        const format = w.format === 'mxfp4' && s.kind === 'nv' ? 'nvfp4' : w.format;
        return { ...w, format, scales: s.count, scaleShape: s.shape, done: true };
      }
      default:
        return passing.has(n.op) ? of(0) : undefined;
    }
  }

  /** The floats that a small quantized constant stands for: numbers that roles look at, such as an epsilon. */
  async small(value: string): Promise<Tensor | undefined> {
    const n = this.producer(value);
    const codes = n?.op === 'DequantizeLinear' ? this.tensor(n.inputs[0] ?? '') : undefined;
    if (!n || !codes || elements(codes.shape) > 64) return undefined;
    const [q, s, z] = await Promise.all([
      this.numbers(n.inputs[0] ?? ''),
      this.numbers(n.inputs[1] ?? ''),
      this.numbers(n.inputs[2] ?? ''),
    ]);
    if (!q || s?.length !== 1) return undefined;
    const floats = q.map((x) => (x - (z?.[0] ?? 0)) * s[0]!);
    return { dtype: 'float32', shape: codes.shape, source: { kind: 'bytes', bytes: fromFloat32('float32', floats) } };
  }
}
