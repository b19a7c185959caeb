import type { Role } from '../define.ts';
import type { Node } from '../graph/types.ts';
import { activation, type Draft, type Found, type Known, label, miss, type Tag } from '../match/draft.ts';
import { type Pairing, pairing } from '../match/rope.ts';
import { MOVES, seekBack, seekForward, type Trace, traceBack } from '../match/trace.ts';
import { attrFloat, attrInt, typeOf, type View } from '../match/view.ts';
import type { Miss, Port } from '../sites.ts';

/** Between the product of q and k and the softmax: scale, mask, soft cap. */
const SCORES = new Set([...MOVES, 'Add', 'Sub', 'Mul', 'Div', 'Where', 'Tanh', 'Clip', 'Max', 'Min']);
/** Between the softmax and the product with v: rows without a key, dropout, head masks. */
const PROBS = new Set([...MOVES, 'Where', 'Mul']);
const isProduct = (v: View) => (n: Node) => typeOf(n) === 'MatMul' && n.inputs.every((i) => !v.constant(i));

interface Side {
  readonly value: string;
  readonly trace: Trace;
  /** The projections that it comes from; empty when that is not clear. */
  readonly linears: readonly Draft[];
}

function side(v: View, known: Known, value: string): Side {
  const trace = traceBack(v, known, value, ['linear', 'conv', 'embedding'], ['norm']);
  const linears = trace.sources.filter((d) => d.role !== 'embedding');
  const normed = trace.nodes.some((n) => known.holding('norm', n));
  return { value, trace, linears: linears.length === 1 || !normed ? linears : [] };
}

/** A cache: past values that came in as a graph input, with the new ones appended or written into them. */
function cache(v: View, s: Side): { readonly past: string; readonly present: string } | undefined {
  for (const n of s.trace.nodes) {
    if (typeOf(n) !== 'Concat') continue;
    const past = n.inputs.map((i) => v.origin(i)).find((i) => v.isInput(i));
    if (past && n.inputs.length === 2) return { past, present: n.outputs[0]! };
  }
  const written = s.trace.ends.map((e) => v.producer(e)).find((n) => n && /^(Scatter|TensorScatter)/.test(n.op));
  const past = written && v.origin(written.inputs[0]!);
  return written && past && v.isInput(past) ? { past, present: written.outputs[0]! } : undefined;
}

const HEADS = { head: 1, token: 2, channel: 3 } as const;
const KEYS = { head: 1, channel: 2, token: 3 } as const;
/** Axes of an operand of the two products; k is usually transposed. */
function axesOf(v: View, value: string, transposed: boolean): Readonly<Record<string, number>> {
  const rank = v.shape(value)?.length ?? 4;
  if (rank === 3) return transposed ? { head: 0, channel: 1, token: 2 } : { head: 0, token: 1, channel: 2 };
  return transposed ? KEYS : HEADS;
}

/** The constant factors of products and quotients among nodes. */
function factor(v: View, nodes: readonly Node[]): number {
  const factors = nodes.map((n) => {
    const c = n.inputs.map((i) => v.scalar(i)).find((x) => x !== undefined) ?? 1;
    return typeOf(n) === 'Mul' ? c : typeOf(n) === 'Div' ? 1 / c : 1;
  });
  return factors.reduce((a, b) => a * b, 1);
}

/** The size of an axis where it is known. */
const dim = (v: View, value: string, axis: number): number | undefined => {
  const n = v.shape(value)?.at(axis);
  return typeof n === 'number' ? n : undefined;
};

/** Whether k and v are made from other tokens than q: neither input leads back to the other. */
function isCross(v: View, known: Known, q: Side, k: Side): boolean {
  const [from, to] = [q.linears[0], k.linears[0]].map((d) => d?.ports['input']?.value);
  if (from === undefined || to === undefined || v.origin(from) === v.origin(to)) return false;
  const back = (value: string) => {
    const t = traceBack(
      v,
      known,
      value,
      [],
      ['norm', 'linear', 'activation'],
      new Set([...MOVES, 'Mul', 'Add', 'Div', 'Neg', 'Concat']),
      40,
    );
    return new Set([value, ...t.ends, ...t.nodes.flatMap((n) => n.outputs)].map((x) => v.origin(x)));
  };
  const [a, b] = [back(from), back(to)];
  return ![...a].some((x) => b.has(x) && !v.constant(x));
}

function written(v: View, known: Known, soft: Draft): { draft: Draft; tags: Tag[] } | string | undefined {
  const pv = seekForward(v, soft.ports['output']!.value, PROBS, isProduct(v));
  if (!pv) return undefined;
  const qk = seekBack(v, soft.ports['input']!.value, SCORES, isProduct(v));
  if (!qk) return 'its scores are not a product of q and k';
  const [q, k] = [side(v, known, qk.node.inputs[0]!), side(v, known, qk.node.inputs[1]!)];
  const other = pv.node.inputs[0] === pv.value ? 1 : 0;
  const value = side(v, known, pv.node.inputs[other]!);
  const context = pv.node.outputs[0]!;
  const out = seekForward(v, context, new Set([...MOVES, 'Mul']), (n) => known.holding('linear', n) !== undefined);
  const output = out && known.holding('linear', out.node);
  const [keys, vals] = [cache(v, k), cache(v, value)];
  const rope = pairing(v, q.trace.nodes);
  const nodes = [
    ...new Set([
      ...q.trace.nodes,
      ...k.trace.nodes,
      ...value.trace.nodes,
      qk.node,
      ...qk.path,
      ...soft.nodes,
      ...pv.path,
      pv.node,
      ...(out?.path ?? []),
    ]),
  ].sort((a, b) => v.order(a) - v.order(b));
  const port = (name: string, at: string, axes: Readonly<Record<string, number>>): Port => activation(v, name, at, axes);
  const ports = {
    q: port('q', q.value, axesOf(v, q.value, false)),
    k: port('k', k.value, axesOf(v, k.value, true)),
    v: port('v', value.value, axesOf(v, value.value, false)),
    ...(keys ? { key: port('key', keys.present, HEADS) } : {}),
    ...(vals ? { value: port('value', vals.present, HEADS) } : {}),
    probs: port('probs', pv.value, { head: 1, token: 2, channel: 3 }),
    output: activation(v, 'output', output ? output.ports['input']!.value : context),
  };
  const facts = shapeFacts(v, { q, k, value, keys: keys?.present, rope, scale: factor(v, qk.path) });
  const cross = isCross(v, known, q, k);
  const mask = qk.path.some((n) => (typeOf(n) === 'Add' || typeOf(n) === 'Where') && n.inputs.every((i) => v.scalar(i) === undefined));
  const tags = [
    ...(
      [
        ['attention.q', q],
        ['attention.k', k],
        ['attention.v', value],
      ] as const
    ).flatMap(([member, s]) => s.linears.map((on) => ({ on, member }))),
    ...(output ? [{ on: output, member: 'attention.output' }] : []),
  ];
  const parts = [...new Set(tags.map((t) => t.on))];
  return {
    draft: {
      role: 'attention',
      ports,
      nodes,
      form: 'MatMul+Softmax+MatMul',
      facts: {
        ...facts,
        cross,
        mask,
        ...(keys ? { past_key: keys.past } : {}),
        ...(vals ? { past_value: vals.past } : {}),
      },
      size: 0,
      parts,
    },
    tags: cross ? [...tags, ...parts.map((on) => ({ on, member: 'attention.cross' }))] : tags,
  };
}

interface Shapes {
  readonly q: Side;
  readonly k: Side;
  readonly value: Side;
  readonly keys: string | undefined;
  readonly rope: Pairing | undefined;
  readonly scale: number;
}

/** Heads, key heads, size of a head, rotary pairing, scale; what shapes do not tell is left out. */
function shapeFacts(v: View, s: Shapes): Draft['facts'] {
  const axes = axesOf(v, s.q.value, false);
  const headDim =
    dim(v, s.q.value, axes['channel']!) ?? dim(v, s.value.value, -1) ?? (s.keys === undefined ? undefined : dim(v, s.keys, -1));
  const linear = (x: Side) => (x.linears.length === 1 ? (x.linears[0]!.facts['out'] as number) : undefined);
  const heads = dim(v, s.q.value, axes['head']!) ?? (headDim && linear(s.q) ? linear(s.q)! / headDim : undefined);
  const separate = new Set([s.q, s.k, s.value].flatMap((x) => x.linears)).size > 2;
  const kvHeads =
    (s.keys === undefined ? undefined : dim(v, s.keys, 1)) ?? (separate && headDim && linear(s.k) ? linear(s.k)! / headDim : heads);
  const repeats = s.k.trace.nodes.some((n) => typeOf(n) === 'Expand' || typeOf(n) === 'Tile');
  return {
    ...(heads ? { heads } : {}),
    ...(kvHeads ? { kv_heads: kvHeads } : {}),
    ...(headDim ? { head_dim: headDim } : {}),
    ...(s.rope ? { rope: s.rope } : {}),
    ...(s.scale === 1 ? {} : { scale: s.scale }),
    ...(repeats ? { repeat: true } : {}),
  };
}

/** Fused operators: which inputs are q, k, v and the cache, and which outputs are the cache. */
const OPS: Readonly<Record<string, { readonly past: readonly [number, number]; readonly present: readonly [number, number] }>> = {
  Attention: { past: [4, 5], present: [1, 2] },
  'com.microsoft::MultiHeadAttention': { past: [6, 7], present: [1, 2] },
  'com.microsoft::GroupQueryAttention': { past: [3, 4], present: [1, 2] },
};

function fused(v: View, known: Known, n: Node): { draft: Draft; tags: Tag[] } {
  const spec = OPS[typeOf(n)]!;
  const sides = n.inputs.slice(0, 3).map((i) => side(v, known, i));
  const output = seekForward(v, n.outputs[0]!, MOVES, (c) => known.holding('linear', c) !== undefined);
  const out = output && known.holding('linear', output.node);
  const tags = [
    ...sides.flatMap((s, i) => s.linears.map((on) => ({ on, member: `attention.${'qkv'[i]}` }))),
    ...(out ? [{ on: out, member: 'attention.output' }] : []),
  ];
  const present = (name: string, i: number) => (n.outputs[i] ? { [name]: activation(v, name, n.outputs[i]!, HEADS) } : {});
  const ports: Record<string, Port> = {
    ...Object.fromEntries(sides.map((s, i) => ['qkv'[i]!, activation(v, 'qkv'[i]!, s.value)])),
    ...present('key', spec.present[0]),
    ...present('value', spec.present[1]),
    output: activation(v, 'output', n.outputs[0]!),
  };
  const heads = attrInt(n, 'num_heads', attrInt(n, 'q_num_heads', 0));
  const kvHeads = attrInt(n, 'kv_num_heads', heads);
  const past = (i: number) => v.origin(n.inputs[spec.past[i]!] ?? '');
  const facts = {
    ...(heads ? { heads, kv_heads: kvHeads } : {}),
    ...(n.attrs.has('scale') ? { scale: attrFloat(n, 'scale', 1) } : {}),
    ...(attrInt(n, 'do_rotary', 0) ? { rope: attrInt(n, 'rotary_interleaved', 0) ? 'interleaved' : 'half' } : {}),
    ...(past(0) ? { past_key: past(0) } : {}),
    ...(past(1) ? { past_value: past(1) } : {}),
    cross: sides.length === 3 && isCross(v, known, sides[0]!, sides[1]!),
  };
  return { draft: { role: 'attention', ports, nodes: [n], form: n.op, facts, size: 0, parts: tags.map((t) => t.on) }, tags };
}

/** softmax(q kᵀ · scale + mask) v, written out or as an operator. */
const attention: Role = {
  name: 'attention',
  since: '0.1.0',
  doc: 'Attention with its projections as members; key and value are the cache, where the model has one. Facts: heads, kv_heads, head_dim, rope, scale, mask, cross.',
  formula: 'softmax(q kᵀ · scale + mask) v',
  params: {},
  ports: ['q', 'k', 'v', 'key', 'value', 'probs', 'output'],
  members: ['attention.q', 'attention.k', 'attention.v', 'attention.output', 'attention.cross'],
  after: ['linear', 'conv', 'embedding', 'norm', 'softmax'],
  match(v, known): Found {
    const drafts: Draft[] = [];
    const misses: Miss[] = [];
    const tags: Tag[] = [];
    for (const soft of known.of('softmax')) {
      const found = written(v, known, soft);
      if (typeof found === 'string') misses.push(miss('attention', soft.nodes.at(-1)!, found));
      else if (found) {
        drafts.push(found.draft);
        tags.push(...found.tags);
      }
    }
    for (const n of v.nodes(...Object.keys(OPS))) {
      const found = fused(v, known, n);
      drafts.push(found.draft);
      tags.push(...found.tags);
    }
    for (const n of v.nodes('com.microsoft::Attention')) misses.push(miss('attention', n, `${label(n)} holds its projections inside`));
    return { drafts, misses, tags };
  },
};
export default attention;
