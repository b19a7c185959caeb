/** Small networks for the fold engine. */
import type { Builder } from '../roles/build.ts';

/** A gain of `n` elements, between .5 and 30. */
function gain(b: Builder, name: string, n: number): string {
  b.weight(name, [n]);
  const t = b.graph.initializers.get(name)!;
  const g = Float32Array.from({ length: n }, (_, i) => (i === 1 ? 30 : 0.5 + i / n));
  b.graph.initializers.set(name, { ...t, source: { kind: 'bytes', bytes: new Uint8Array(g.buffer) } });
  return name;
}

/** x / √(mean x² + ε) · g. */
export function rms(b: Builder, x: string, name: string, n: number): string {
  const square = b.op('Pow', [x, b.number(2)]);
  const root = b.op('Sqrt', [b.op('Add', [b.op('ReduceMean', [square], { axes: [-1] }), b.number(1e-6)])]);
  return b.op('Mul', [b.op('Div', [x, root]), gain(b, `${name}.weight`, n)]);
}
export function layer(b: Builder, x: string, name: string, n: number): string {
  return b.op('LayerNormalization', [x, gain(b, `${name}.weight`, n), b.weight(`${name}.bias`, [n])], { axis: -1 });
}
export const linear = (b: Builder, x: string, name: string, n: number, m: number): string =>
  b.op('MatMul', [x, b.weight(`${name}.weight`, [n, m])]);
export const biased = (b: Builder, x: string, name: string, n: number, m: number): string =>
  b.op('Add', [linear(b, x, name, n, m), b.weight(`${name}.bias`, [m])]);
export const gemm = (b: Builder, x: string, name: string, n: number, m: number): string =>
  b.op('Gemm', [x, b.weight(`${name}.weight`, [m, n]), b.weight(`${name}.bias`, [m])], { transB: 1 });

const SIGMOID = (b: Builder, x: string): string => b.op('Mul', [x, b.op('Sigmoid', [x])]);

/** down(silu(gate(x)) · up(x)) */
export function gated(b: Builder, x: string, p: string, n: number, m: number): string {
  const product = b.op('Mul', [SIGMOID(b, linear(b, x, `${p}.gate_proj`, n, m)), biased(b, x, `${p}.up_proj`, n, m)]);
  return linear(b, product, `${p}.down_proj`, m, n);
}

/** Rotary turning of [1, h, t, d]. */
function rope(b: Builder, x: string, t: number, d: number, pairing: 'half' | 'interleaved'): string {
  const [cos, sin] = [b.weight(`cos_${x}`, [t, d]), b.weight(`sin_${x}`, [t, d])];
  for (const [name, f] of [
    [cos, Math.cos],
    [sin, Math.sin],
  ] as const) {
    const table = Float32Array.from({ length: t * d }, (_, i) => {
      const c = i % d;
      return f(Math.floor(i / d) / 10 ** (pairing === 'half' ? c % (d / 2) : Math.floor(c / 2)));
    });
    b.graph.initializers.set(name, { ...b.graph.initializers.get(name)!, source: { kind: 'bytes', bytes: new Uint8Array(table.buffer) } });
  }
  const slice = (from: number, to: number, step: number) => b.op('Slice', [x, b.ints(from), b.ints(to), b.ints(-1), b.ints(step)]);
  let rotated: string;
  if (pairing === 'half') rotated = b.op('Concat', [b.op('Neg', [slice(d / 2, d, 1)]), slice(0, d / 2, 1)], { axis: -1 });
  else {
    const [even, odd] = [slice(0, d, 2), slice(1, d, 2)];
    const wide = (v: string) => b.op('Unsqueeze', [v, b.ints(-1)]);
    const both = b.op('Concat', [wide(b.op('Neg', [odd])), wide(even)], { axis: -1 });
    rotated = b.op('Reshape', [both, b.ints(0, 0, 0, d)]);
  }
  return b.op('Add', [b.op('Mul', [x, cos]), b.op('Mul', [rotated, sin])]);
}

export interface Heads {
  readonly heads: number;
  readonly kv: number;
  readonly d: number;
  readonly t: number;
  readonly rope?: 'half' | 'interleaved';
  /** q, k, v from one linear that is split. */
  readonly fused?: boolean;
  /** Inputs that hold past keys and values; then heads are not grouped. */
  readonly past?: readonly [key: string, value: string];
}

/** Attention over x [1, t, n] with grouped heads. */
export function attention(b: Builder, x: string, p: string, n: number, h: Heads): string {
  const { heads, kv, d, t } = h;
  const apart = (v: string, count: number) => b.op('Transpose', [b.op('Reshape', [v, b.ints(1, t, count, d)])], { perm: [0, 2, 1, 3] });
  const repeated = (v: string) => {
    if (kv === heads) return v;
    const wide = b.op('Expand', [b.op('Unsqueeze', [v, b.ints(2)]), b.ints(1, kv, heads / kv, t, d)]);
    return b.op('Reshape', [wide, b.ints(1, heads, t, d)]);
  };
  const turn = (v: string) => (h.rope ? rope(b, v, t, d, h.rope) : v);
  let parts: string[];
  if (h.fused) {
    const all = biased(b, x, `${p}.qkv_proj`, n, (heads + 2 * kv) * d);
    parts = b.ops('Split', [all, b.ints(heads * d, kv * d, kv * d)], { axis: -1 }, { outputs: 3 });
  } else
    parts = [biased(b, x, `${p}.q_proj`, n, heads * d), biased(b, x, `${p}.k_proj`, n, kv * d), biased(b, x, `${p}.v_proj`, n, kv * d)];
  const kept = (x: string, at: 0 | 1) => (h.past ? b.op('Concat', [h.past[at], x], { axis: 2 }) : x);
  const [q, k, v] = [turn(apart(parts[0]!, heads)), repeated(kept(turn(apart(parts[1]!, kv)), 0)), repeated(kept(apart(parts[2]!, kv), 1))];
  const scores = b.op('Mul', [b.op('MatMul', [q, b.op('Transpose', [k], { perm: [0, 1, 3, 2] })]), b.number(1 / Math.sqrt(d))]);
  const context = b.op('MatMul', [b.op('Softmax', [scores], { axis: -1 }), v]);
  const joined = b.op('Reshape', [b.op('Transpose', [context], { perm: [0, 2, 1, 3] }), b.ints(1, t, heads * d)]);
  return linear(b, joined, `${p}.o_proj`, heads * d, n);
}
