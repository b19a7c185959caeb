/** Residual streams: values that only grow by additions. x' = x + f(x), with f a branch that holds weights. */
import { isFloat } from '../graph/dtype.ts';
import type { Node } from '../graph/types.ts';
import type { Draft, Known } from './draft.ts';
import { dataInputs, MOVES } from './trace.ts';
import { typeOf, type View } from './view.ts';

/** One addition to a stream. */
export interface Residual {
  readonly add: Node;
  /** The operand that is the stream, and the one that the branch yields. */
  readonly skip: string;
  readonly branch: string;
  /** The value of the stream that the branch reads. */
  readonly from: string;
  /** The branch's nodes: those that depend on `from`, in order. */
  readonly nodes: readonly Node[];
  /** Which stream; two additions of one stream have one number. */
  readonly stream: number;
}

/** A branch longer than this is no branch: the search stays linear. */
const LONGEST = 4096;
const WEIGHTS = ['linear', 'conv', 'ssm', 'attention'] as const;

/** The nodes between one of `targets` and `value`, if `value` depends on one of them. */
function between(v: View, value: string, targets: ReadonlySet<string>): { from: string; nodes: Node[] } | undefined {
  const floor = Math.min(...[...targets].map((t) => (v.producer(t) ? v.order(v.producer(t)!) : -1)));
  const visited = new Set<Node>();
  const stack = [value];
  let from: string | undefined;
  while (stack.length > 0 && visited.size < LONGEST) {
    const at = stack.pop()!;
    const origin = v.origin(at);
    if (targets.has(origin)) {
      if (from === undefined || v.order(v.producer(origin)!) > v.order(v.producer(from)!)) from = origin;
      continue;
    }
    const n = v.producer(at);
    if (!n || visited.has(n) || v.order(n) <= floor || typeOf(n) === 'Shape') continue;
    visited.add(n);
    for (const i of n.inputs) if (i !== '') stack.push(i);
  }
  if (from === undefined || visited.size >= LONGEST) return undefined;
  const live = new Set<string>([from]);
  const nodes = [...visited]
    .sort((a, b) => v.order(a) - v.order(b))
    .filter((n) => {
      const reached = n.inputs.some((i) => live.has(i) || live.has(v.origin(i)));
      if (reached) for (const o of n.outputs) live.add(o);
      return reached;
    });
  return { from, nodes };
}

/**
 * A projection shortcut: `operand` is a linear or conv of a value (ResNet's downsampling), seen through its norm. Where that value is itself
 * normed, the sum is one of two parallel branches (attention and mlp that read one norm).
 */
function shortcut(v: View, known: Known, operand: string): string | undefined {
  const direct = known.yielding(operand);
  const inner = direct?.role === 'norm' ? known.yielding(direct.ports['input']!.value) : direct;
  if (inner?.role !== 'linear' && inner?.role !== 'conv') return undefined;
  const source = v.origin(inner.ports['input']!.value);
  return known.yielding(source)?.role === 'norm' ? undefined : source;
}

/** Every residual addition of a graph, in order. */
export function findResiduals(v: View, known: Known): Residual[] {
  const inside = new Set<Node>();
  for (const role of ['norm', 'activation', 'attention', 'softmax', 'linear'])
    for (const d of known.of(role)) for (const n of d.nodes) inside.add(n);
  const heavy = new Set(WEIGHTS.flatMap((r) => known.of(r)).flatMap((d) => d.nodes));
  const streams: string[][] = [];
  const streamOf = new Map<string, number>();
  const out: Residual[] = [];
  const enter = (value: string): number => {
    const s = streamOf.get(value);
    if (s !== undefined) return s;
    streams.push([value]);
    streamOf.set(value, streams.length - 1);
    return streams.length - 1;
  };
  const recent = (value: string): Set<string> => {
    const s = streamOf.get(value);
    return new Set(s === undefined ? [value] : [value, ...streams[s]!.slice(-4)]);
  };
  for (const add of v.nodes('Add')) {
    const operands = add.inputs.map((i) => v.origin(i));
    const type = v.dtype(add.outputs[0]!);
    if (inside.has(add) || operands.some((i) => v.constant(i)) || (type !== undefined && !isFloat(type))) continue;
    const found = [0, 1].flatMap((i) => {
      const [skip, branch] = [operands[i]!, operands[1 - i]!];
      const way = between(v, branch, recent(skip));
      return way?.nodes.some((n) => heavy.has(n)) ? [{ skip, branch, ...way }] : [];
    })[0];
    const projected = found ?? shortcuts(v, known, operands, heavy);
    if (!projected) continue;
    const stream = enter(projected.skip);
    const value = add.outputs[0]!;
    streams[stream]!.push(value);
    streamOf.set(value, stream);
    out.push({ add, ...projected, stream });
  }
  return out;
}

function shortcuts(v: View, known: Known, operands: readonly string[], heavy: ReadonlySet<Node>) {
  for (const i of [0, 1]) {
    const [skip, branch] = [operands[i]!, operands[1 - i]!];
    const source = shortcut(v, known, skip);
    const way = source === undefined ? undefined : between(v, branch, new Set([source]));
    // the longer way is the branch: a 1×1 conv beside two 3×3 ones
    const weights = way?.nodes.filter((n) => heavy.has(n) && typeOf(n) !== 'Add').length ?? 0;
    if (way && weights > 1) return { skip, branch, ...way };
  }
  return undefined;
}

/** Stream values that `value` is made of, through norms, activations, movements and modulation. */
export function streamBehind(v: View, known: Known, value: string, streams: ReadonlyMap<string, number>, depth = 16): string | undefined {
  const at = v.origin(value);
  if (streams.has(at)) return at;
  if (depth === 0) return undefined;
  const site = known.yielding(at);
  if (site?.role === 'norm' || site?.role === 'activation') return streamBehind(v, known, site.ports['input']!.value, streams, depth - 1);
  const n = v.producer(at);
  if (!n || site || !(MOVES.has(typeOf(n)) || typeOf(n) === 'Mul' || typeOf(n) === 'Add')) return undefined;
  for (const i of dataInputs(v, n)) {
    const found = streamBehind(v, known, i, streams, depth - 1);
    if (found !== undefined) return found;
  }
  return undefined;
}

/** The sites that write a value into a stream: what it comes from through movements, gates and sums. */
export function writers(v: View, known: Known, value: string, depth = 12): Draft[] {
  const at = v.origin(value);
  const site = known.yielding(at);
  if (site && ['linear', 'conv', 'norm', 'embedding', 'ssm', 'attention'].includes(site.role)) return [site];
  const n = v.producer(at);
  if (!n || depth === 0 || !(MOVES.has(typeOf(n)) || ['Mul', 'Add', 'Concat'].includes(typeOf(n)))) return [];
  return [...new Set(dataInputs(v, n).flatMap((i) => writers(v, known, i, depth - 1)))];
}
