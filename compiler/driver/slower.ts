/** Which parts of a compiled model are slower than the same parts of the float one: nodes between values that both compute, by measured times. */
import type { Model, Node } from '../graph/types.ts';
import type { Site } from '../sites.ts';

/** The graph with node i called `qc<i>`: what a profile's events are told apart by, also behind the fusions of ONNX Runtime. */
export const numbered = (model: Model): Model => ({
  ...model,
  graph: { ...model.graph, nodes: model.graph.nodes.map((n, i) => ({ ...n, name: `qc${i}.` })) },
});

/** An event of a profile: the name of its node, its operator, microseconds. */
export interface Timed {
  readonly name: string;
  readonly op: string;
  readonly us: number;
}

export interface Part {
  /** The path of the site that ends here, else the value's name. */
  readonly name: string;
  readonly role?: string;
  /** Microseconds of a run. */
  readonly float: number;
  readonly quantized: number;
  /** Operators that ran, those that took longest first, each with its microseconds. */
  readonly ops: readonly (readonly [op: string, us: number])[];
}

/**
 * Microseconds by node and operator of one run: the median over the runs of a profile. `made`: nodes by what they put
 * out, which is how ONNX Runtime names convolutions that it lays out anew. Events of nodes that nobody knows count to −1.
 */
export function timesOf(
  events: readonly Timed[],
  runs: number,
  made: ReadonlyMap<string, number> = new Map(),
): Map<number, Map<string, number>> {
  const all = new Map<string, number[]>();
  for (const e of events) {
    const at = /^qc(\d+)\./.exec(e.name)?.[1] ?? made.get(/^(.*?)(_nchwc)?(_token_\d+)?_kernel_time$/.exec(e.name)?.[1] ?? '') ?? -1;
    const key = `${at} ${e.op}`;
    const known = all.get(key);
    if (known) known.push(e.us);
    else all.set(key, [e.us]);
  }
  const times = new Map<number, Map<string, number>>();
  for (const [key, us] of all) {
    const [at, op] = key.split(' ') as [string, string];
    const sorted = us.sort((a, b) => a - b);
    // A node may run several times a run (a Scan's body), and several may be unnamed.
    const each = (sorted[sorted.length >> 1]! * us.length) / runs;
    const of = times.get(Number(at)) ?? new Map<string, number>();
    of.set(op, (of.get(op) ?? 0) + each);
    times.set(Number(at), of);
  }
  return times;
}

/** Nodes by the values that they put out. */
export const makers = (model: Model): Map<string, number> =>
  new Map(model.graph.nodes.flatMap((n, i) => n.outputs.map((v) => [v, i] as const)));

/** For each node the value of `shared` that it works for: the first one downstream. */
function owners(nodes: readonly Node[], shared: ReadonlySet<string>): (string | undefined)[] {
  const readers = new Map<string, number>();
  nodes.forEach((n, i) => {
    for (const v of n.inputs) if (!readers.has(v)) readers.set(v, i);
  });
  const owner: (string | undefined)[] = [];
  for (let i = nodes.length - 1; i >= 0; i--) {
    const outputs = nodes[i]!.outputs;
    const reader = outputs.map((v) => readers.get(v)).find((r) => r !== undefined);
    owner[i] = outputs.find((v) => shared.has(v)) ?? (reader === undefined ? undefined : owner[reader]);
  }
  return owner;
}

const PRODUCTS: ReadonlySet<string> = new Set(['linear', 'conv', 'embedding']);

/** Parts of both models, those first that lose most. `sites` are the float model's. */
export function partsOf(
  float: { readonly model: Model; readonly times: ReturnType<typeof timesOf> },
  quantized: { readonly model: Model; readonly times: ReturnType<typeof timesOf> },
  sites: readonly Site[],
): Part[] {
  const made = (m: Model) => new Set(m.graph.nodes.flatMap((n) => n.outputs));
  const there = made(quantized.model);
  // Cut where sites end: between them the graphs may differ in every node.
  // Several sites may end at one value: the product among them names the part.
  const ends = new Map<string, Site>();
  for (const s of [...sites].sort((x, y) => Number(PRODUCTS.has(x.role)) - Number(PRODUCTS.has(y.role)))) {
    const end = s.graph === '' ? s.ports['output']?.value : undefined;
    if (end !== undefined && there.has(end)) ends.set(end, s);
  }
  const shared = new Set([...ends.keys(), ...float.model.graph.outputs.map((o) => o.name)]);
  const sum = ({ model, times }: typeof float) => {
    const owner = owners(model.graph.nodes, shared);
    const by = new Map<string, Map<string, number>>();
    for (const [at, ops] of times) {
      const part = owner[at] ?? '';
      const of = by.get(part) ?? new Map<string, number>();
      for (const [op, us] of ops) of.set(op, (of.get(op) ?? 0) + us);
      by.set(part, of);
    }
    return by;
  };
  const [a, b] = [sum(float), sum(quantized)];
  const total = (m: Map<string, number> | undefined) => [...(m ?? new Map<string, number>()).values()].reduce((x, y) => x + y, 0);
  const parts = [...new Set([...a.keys(), ...b.keys()])].map((key): Part => {
    const site = ends.get(key);
    return {
      name: site?.path ?? (key === '' ? 'what ONNX Runtime fused across layers' : key),
      ...(site ? { role: site.role } : {}),
      float: total(a.get(key)),
      quantized: total(b.get(key)),
      ops: [...(b.get(key) ?? [])].sort((x, y) => y[1] - x[1]),
    };
  });
  return parts.sort((x, y) => y.quantized - y.float - (x.quantized - x.float));
}

/** What helps where an operator is slow, by the operator that takes longest. */
const remedies: readonly (readonly [ops: RegExp, what: string])[] = [
  [/^DequantizeLinear$/, 'weights are turned back into floats at every run: target native, or target ort with { weights: fast }'],
  [
    /^(DynamicQuantizeLinear|QuantizeLinear)$/,
    'rounding activations takes longer than the product saves: static scales, target native, or activations in float here',
  ],
  [
    /^(MatMulInteger|MatMulIntegerToFloat|DynamicQuantizeMatMul|QLinearMatMul|QGemm)$/,
    'ONNX Runtime multiplies these bytes no faster than floats here: target native, or W4A16 for this layer',
  ],
  [
    /^(QLinearConv|ConvInteger)$/,
    'convolutions of this size are no faster in bytes here: weights alone in integers, or this layer in float',
  ],
  [/^MatMulNBits$/, 'many rows at once gain nothing from four-bit weights in ONNX Runtime: target native, or integer activations'],
  [/^(Linear|CachedAttention|RmsNorm|SiluMul)/, 'see `qc doctor`: which kernel runs it; with few rows and small layers float may win'],
  [
    /^(Cast|Mul|Add|Sub|Div|Round|Clip|Reshape|Transpose|Unsqueeze|Concat|Slice|Gather|ReduceMax|Abs|Max|Min|Where)$/,
    'the type is computed with elementary operators: a coarser granularity or a static scale needs fewer of them; target native has one operator for many',
  ],
];

/** What to do about a part that is slower: what helps its operators that take longest together. */
export function remedyOf(part: Part): string {
  const sums = new Map<string, number>();
  for (const [op, us] of part.ops) {
    const what = remedies.find(([ops]) => ops.test(op))?.[1];
    if (what) sums.set(what, (sums.get(what) ?? 0) + us);
  }
  const [worst] = [...sums].sort((x, y) => y[1] - x[1]);
  return worst?.[0] ?? 'leave this layer in float: take it out of the selection with `not path("…")`';
}
