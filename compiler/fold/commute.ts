/** How an order of channels goes through one operator: from each of its values that has one to the others. */
import type { Node } from '../graph/types.ts';
import { attrInt, attrInts, typeOf, type View } from '../match/view.ts';
import { type Arrangement, moved, project, reshapedOrder } from './arrangement.ts';
import { refuse } from './refuse.ts';

export interface Relation {
  readonly value: string;
  readonly order: Arrangement;
}
interface At {
  readonly view: View;
  get(value: string): Arrangement | undefined;
}
type Rule = (at: At, n: Node) => Relation[];

const label = (n: Node): string => `${n.op} "${n.name || n.outputs[0]}"`;
const mixes = (n: Node): never => refuse('mixes-channels', `${label(n)} does not commute with a new order of channels`);
const rankOf = (at: At, n: Node, value: string): number =>
  at.view.shape(value)?.length ?? refuse('layout-lost', `the shape of "${value}" at ${label(n)} is not known`);
const shapeOf = (at: At, n: Node, value: string) =>
  at.view.shape(value) ?? refuse('layout-lost', `the shape of "${value}" at ${label(n)} is not known`);
const without = (n: Node, a: Arrangement, keep: (axis: number) => boolean): Arrangement => project(a, keep) ?? mixes(n);
const some = (value: string, a: Arrangement): Relation[] => (a.axes.length ? [{ value, order: a }] : []);

/** Operands are aligned at their last axes; along an axis of size one an operand has no order. */
const elementwise: Rule = (at, n) => {
  const out = n.outputs[0]!;
  const rank = rankOf(at, n, out);
  const found: Relation[] = [];
  const result = at.get(out);
  for (const value of n.inputs) {
    if (value === '') continue;
    const shape = shapeOf(at, n, value);
    const shift = rank - shape.length;
    const own = at.get(value);
    if (own) found.push({ value: out, order: moved(own, (x) => x + shift) });
    if (result && shape.some((d) => d !== 1)) {
      const part = without(n, result, (x) => x >= shift && shape[x - shift] !== 1);
      found.push(
        ...some(
          value,
          moved(part, (x) => x - shift),
        ),
      );
    }
  }
  return found;
};

const between =
  (f: (at: At, n: Node, a: Arrangement, back: boolean) => Arrangement): Rule =>
  (at, n) => {
    const [x, y] = [n.inputs[0]!, n.outputs[0]!];
    const [a, b] = [at.get(x), at.get(y)];
    return [...(a ? some(y, f(at, n, a, false)) : []), ...(b ? some(x, f(at, n, b, true)) : [])];
  };

const transpose = between((at, n, a, back) => {
  const rank = rankOf(at, n, n.inputs[0]!);
  const perm = attrInts(n, 'perm') ?? Array.from({ length: rank }, (_, i) => rank - 1 - i);
  return moved(a, (x) => (back ? perm[x]! : perm.indexOf(x)));
});
const reshape = between((at, n, a, back) => {
  const [from, to] = [shapeOf(at, n, n.inputs[0]!), shapeOf(at, n, n.outputs[0]!)];
  return (back ? reshapedOrder(a, to, from) : reshapedOrder(a, from, to)) ?? mixes(n);
});
const expand = between((at, n, a, back) => {
  const [from, to] = [shapeOf(at, n, n.inputs[0]!), shapeOf(at, n, n.outputs[0]!)];
  const shift = to.length - from.length;
  if (!back) return moved(a, (x) => x + shift);
  return moved(
    without(n, a, (x) => x >= shift && from[x - shift] !== 1),
    (x) => x - shift,
  );
});
const reduce = between((at, n, a, back) => {
  const rank = rankOf(at, n, n.inputs[0]!);
  const listed = attrInts(n, 'axes') ?? (n.inputs[1] ? at.view.numbers(n.inputs[1]) : undefined);
  const gone = new Set((listed ?? Array.from({ length: rank }, (_, i) => i)).map((x) => (x < 0 ? x + rank : x)));
  const kept = attrInt(n, 'keepdims', 1) === 1;
  const rest = Array.from({ length: rank }, (_, i) => i).filter((x) => !gone.has(x));
  if (back) return kept ? a : moved(a, (x) => rest[x]!);
  const part = without(n, a, (x) => !gone.has(x));
  return kept ? part : moved(part, (x) => rest.indexOf(x));
});
/** Only along axes that it leaves whole. */
const slice = between((at, n, a) => {
  const [from, to] = [shapeOf(at, n, n.inputs[0]!), shapeOf(at, n, n.outputs[0]!)];
  return a.axes.every((x) => from[x] === to[x]) ? a : mixes(n);
});
const gather = between((at, n, a, back) => {
  const rank = rankOf(at, n, n.inputs[0]!);
  const axis = (attrInt(n, 'axis', 0) + rank) % rank;
  const grown = rankOf(at, n, n.inputs[1]!) - 1;
  if (at.get(n.inputs[1]!)) mixes(n);
  const to = (x: number) => (x < axis ? x : x + grown);
  if (back) return a.axes.every((x) => x < axis || x > axis + grown) ? moved(a, (x) => (x < axis ? x : x - grown)) : mixes(n);
  return a.axes.includes(axis) ? mixes(n) : moved(a, to);
});
const asIs = between((_at, _n, a) => a);

/** A norm over the last axis; gain and shift have one number for each channel of it. */
const norm: Rule = (at, n) => {
  const rank = rankOf(at, n, n.inputs[0]!);
  if (![-1, rank - 1].includes(attrInt(n, 'axis', -1))) mixes(n);
  const found = asIs(at, n);
  const a = at.get(n.inputs[0]!) ?? at.get(n.outputs[0]!);
  if (a)
    for (const value of n.inputs.slice(1).filter((x) => x !== ''))
      found.push(
        ...some(
          value,
          moved(
            without(n, a, (x) => x === rank - 1),
            () => 0,
          ),
        ),
      );
  return found;
};

/** Parts of one axis, each of which moves within itself. */
function pieces(at: At, n: Node, whole: string, parts: readonly string[]): Relation[] {
  const shape = shapeOf(at, n, whole);
  const axis = (attrInt(n, 'axis', 0) + shape.length) % shape.length;
  const sizes = parts.map((p) => shapeOf(at, n, p)[axis]);
  const found: Relation[] = [];
  const all = at.get(whole);
  const size = shape[axis];
  let start = 0;
  for (const [i, part] of parts.entries()) {
    const own = at.get(part);
    if (own && !own.axes.includes(axis)) found.push({ value: whole, order: own });
    if (all && !all.axes.includes(axis)) found.push({ value: part, order: all });
    const length = sizes[i];
    const along = (own?.axes.includes(axis) ?? false) || (all?.axes.includes(axis) ?? false);
    if (typeof length !== 'number' || typeof size !== 'number') {
      if (along) refuse('layout-lost', `the sizes of the parts of ${label(n)} are not known`);
      continue;
    }
    const first = start;
    if (own?.axes.includes(axis)) {
      if (own.axes.length > 1) mixes(n);
      const from = new Int32Array(size).fill(-1);
      for (const [k, x] of own.from.entries()) from[first + k] = x < 0 ? -1 : first + x;
      found.push({ value: whole, order: { axes: [axis], sizes: [size], from } });
    }
    if (all?.axes.includes(axis)) {
      if (all.axes.length > 1) mixes(n);
      const from = all.from.slice(first, first + length).map((x) => (x < 0 ? -1 : x - first));
      if (from.some((x) => x < -1 || x >= length)) mixes(n);
      found.push({ value: part, order: { axes: [axis], sizes: [length], from } });
    }
    start += length;
  }
  return found;
}
const split: Rule = (at, n) => pieces(at, n, n.inputs[0]!, n.outputs);
const concat: Rule = (at, n) => pieces(at, n, n.outputs[0]!, n.inputs);

/** Axes of one value under those of the product: batch axes, rows, columns, what is summed. */
const matmul: Rule = (at, n) => {
  const [a, b, y] = [n.inputs[0]!, n.inputs[1]!, n.outputs[0]!];
  const [ra, rb, ry] = [rankOf(at, n, a), rankOf(at, n, b), rankOf(at, n, y)];
  if (ra < 2 || rb < 2) return mixes(n);
  const SUM = ry;
  const [sa, sb] = [shapeOf(at, n, a), shapeOf(at, n, b)];
  // axes of a product and of what it sums, as one space: 0 … ry − 1 are the result's, ry the summed one
  const toA = (x: number): number => (x === SUM ? ra - 1 : x === ry - 2 ? ra - 2 : x - (ry - ra));
  const toB = (x: number): number => (x === SUM ? rb - 2 : x === ry - 1 ? rb - 1 : x - (ry - rb));
  const fromA = (x: number): number => (x === ra - 1 ? SUM : x === ra - 2 ? ry - 2 : x + (ry - ra));
  const fromB = (x: number): number => (x === rb - 2 ? SUM : x === rb - 1 ? ry - 1 : x + (ry - rb));
  const found: Relation[] = [];
  const known = [
    ...[at.get(a)].flatMap((o) => (o ? [moved(o, fromA)] : [])),
    ...[at.get(b)].flatMap((o) => (o ? [moved(o, fromB)] : [])),
    ...[at.get(y)].flatMap((o) => (o ? [o] : [])),
  ];
  const batch = (x: number, rank: number, shape: typeof sa) => x < ry - 2 && x - (ry - rank) >= 0 && shape[x - (ry - rank)] !== 1;
  for (const o of known) {
    const say = (value: string, has: (x: number) => boolean, to: (x: number) => number) => {
      const kept = o.axes.filter(has);
      if (kept.length) found.push({ value, order: moved(without(n, o, has), to) });
    };
    say(a, (x) => x === SUM || x === ry - 2 || batch(x, ra, sa), toA);
    say(b, (x) => x === SUM || x === ry - 1 || batch(x, rb, sb), toB);
    say(
      y,
      (x) => x !== SUM,
      (x) => x,
    );
  }
  return found;
};

const gemm: Rule = (at, n) => {
  if (attrInt(n, 'transA', 0) === 1) return mixes(n);
  const [x, w, c] = n.inputs;
  const [k, o] = attrInt(n, 'transB', 0) === 1 ? [1, 0] : [0, 1];
  const y = n.outputs[0]!;
  const [a, b, r] = [at.get(x!), at.get(w!), at.get(y)];
  const found: Relation[] = [];
  const along = (from: Arrangement | undefined, axis: number, to: number, value: string) => {
    if (from?.axes.includes(axis))
      found.push({
        value,
        order: moved(
          without(n, from, (z) => z === axis),
          () => to,
        ),
      });
  };
  along(a, 1, k, w!);
  along(a, 0, 0, y);
  along(b, k, 1, x!);
  along(b, o, 1, y);
  along(r, 1, o, w!);
  along(r, 0, 0, x!);
  if (c) along(r ?? undefined, 1, rankOf(at, n, c) - 1, c);
  return found;
};

/** Of one filter a channel, or one that sums all channels. */
const conv: Rule = (at, n) => {
  const [x, w, b] = n.inputs;
  const y = n.outputs[0]!;
  const group = attrInt(n, 'group', 1);
  const channels = shapeOf(at, n, w!)[0];
  const each = group > 1 && group === channels;
  if (group > 1 && !each) mixes(n);
  const found: Relation[] = [];
  const only = (a: Arrangement | undefined): Arrangement | undefined => (a && a.axes.join() !== '1' ? mixes(n) : a);
  const [a, r] = [only(at.get(x!)), only(at.get(y))];
  const on = (value: string, o: Arrangement, axis: number) => found.push({ value, order: { ...o, axes: [axis] } });
  const outer = each ? (r ?? a) : r;
  if (outer) {
    on(w!, outer, 0);
    if (b) on(b, outer, 0);
  }
  if (each && a) on(y, a, 1);
  if (each && r) on(x!, r, 1);
  if (!each && a) on(w!, a, 1);
  return found;
};

const rules = new Map<string, Rule>();
const all = (rule: Rule, ...types: string[]): void => {
  for (const t of types) rules.set(t, rule);
};
all(elementwise, 'Add', 'Sub', 'Mul', 'Div', 'Pow', 'Min', 'Max', 'Where', 'Greater', 'GreaterOrEqual', 'Less', 'LessOrEqual', 'Equal');
all(asIs, 'Identity', 'Cast', 'Dropout', 'Neg', 'Abs', 'Exp', 'Log', 'Sqrt', 'Reciprocal', 'Sigmoid', 'Tanh', 'Erf', 'Relu', 'LeakyRelu');
all(
  asIs,
  'Softplus',
  'Gelu',
  'com.microsoft::Gelu',
  'com.microsoft::FastGelu',
  'com.microsoft::QuickGelu',
  'HardSwish',
  'Clip',
  'Softmax',
  'Sin',
  'Cos',
);
all(transpose, 'Transpose');
all(reshape, 'Reshape', 'Squeeze', 'Unsqueeze', 'Flatten');
all(expand, 'Expand');
all(reduce, 'ReduceMean', 'ReduceSum', 'ReduceMax', 'ReduceMin', 'ReduceSumSquare', 'ReduceL2');
all(slice, 'Slice');
all(gather, 'Gather');
all(norm, 'LayerNormalization', 'RMSNormalization', 'SimplifiedLayerNormalization');
all(split, 'Split');
all(concat, 'Concat');
all(matmul, 'MatMul');
all(gemm, 'Gemm');
all(conv, 'Conv');

/** What the orders that are known at a node say of its other values. Error: Refusal mixes-channels, layout-lost. */
export const relate = (at: At, n: Node): readonly Relation[] => (rules.get(typeOf(n)) ?? ((_, node) => mixes(node)))(at, n);
