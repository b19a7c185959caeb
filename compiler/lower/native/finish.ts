/** What stands behind a linear operator becomes its last step: a bias, a low-rank branch, a residual, a gate, rounding to codes. */
import type { Model, Node, Tensor } from '../../graph/types.ts';
import { allNodes } from '../../graph/walk.ts';
import { attrInt, typeOf, type View } from '../../match/view.ts';
import { Editor } from '../editor.ts';
import { node } from '../make.ts';
import { declareLinear, type LinearOp, linearInputs, linearName, linearOp } from './body.ts';
import { DOMAIN } from './function.ts';
import { COLUMNS } from './pack.ts';

/** A linear operator with what it has taken in so far. */
interface Grown {
  readonly op: LinearOp;
  readonly inputs: ReadonlyMap<string, string>;
  /** The value that it yields. */
  readonly y: string;
  readonly gone: readonly Node[];
}

/** Factors [rank, N] in panels of 32 columns, [panels, rank, 32]. */
function panels(name: string, factor: Tensor): Tensor {
  const [rank = 0, n = 0] = factor.shape;
  const count = Math.ceil(n / COLUMNS);
  const width = factor.dtype === 'float16' ? 2 : 4;
  const evaluate = async (ctx: Parameters<Extract<Tensor['source'], { kind: 'lazy' }>['lazy']['evaluate']>[0]) => {
    const bytes = await ctx.bytes(factor);
    const to = new Uint8Array(count * rank * COLUMNS * width);
    for (let r = 0; r < rank; r++)
      for (let p = 0; p < count; p++) {
        const from = (r * n + p * COLUMNS) * width;
        to.set(bytes.subarray(from, from + Math.min(COLUMNS, n - p * COLUMNS) * width), (p * rank + r) * COLUMNS * width);
      }
    return { up: to };
  };
  const key = `${name}|panels`;
  return { dtype: factor.dtype, shape: [count, rank, COLUMNS], source: { kind: 'lazy', lazy: { key, part: 'up', evaluate } } };
}

const sameShape = (v: View, a: string, b: string): boolean => {
  const [x, y] = [v.shape(a), v.shape(b)];
  return x !== undefined && y !== undefined && x.join() === y.join();
};

/** A step that the operator can take in: what it is then, with which inputs; nothing where the node is none. */
type Step = (
  v: View,
  e: Editor,
  g: Grown,
  n: Node,
) => { op: LinearOp; inputs: Readonly<Record<string, string>>; gone?: readonly Node[] } | undefined;

const columnsOf = (v: View, y: string): number | undefined => {
  const n = v.shape(y)?.at(-1);
  return typeof n === 'number' ? n : undefined;
};
const otherInput = (n: Node, y: string): string | undefined =>
  typeOf(n) === 'Add' && n.inputs[0] !== n.inputs[1] ? n.inputs.find((i) => i !== y) : undefined;

/** + bias, where it has none yet. */
const bias: Step = (v, _, g, n) => {
  const other = otherInput(n, g.y);
  const held = other === undefined ? undefined : v.constant(other);
  const plain = held?.name === other && held?.tensor.dtype === 'float32' && held.tensor.shape.length === 1;
  if (other === undefined || g.op.last || !plain || held.tensor.shape[0] !== columnsOf(v, g.y)) return undefined;
  return v.scalar(g.inputs.get('bias') ?? '') === 0 ? { op: g.op, inputs: { bias: other } } : undefined;
};

/** + h·U. */
const lowRank: Step = (v, e, g, n) => {
  const other = otherInput(n, g.y);
  const product = other === undefined ? undefined : v.producer(other);
  if (!product || g.op.lowRank || g.op.last || typeOf(product) !== 'MatMul' || v.consumers(other!).length !== 1) return undefined;
  const [h = '', up = ''] = product.inputs;
  const held = v.constant(up);
  const float = held?.tensor.dtype === 'float16' || held?.tensor.dtype === 'float32';
  if (!held || !float || held.perm || held.tensor.shape.length !== 2 || v.isOutput(other!) || v.dtype(other!) === 'float16')
    return undefined;
  if (held.tensor.shape[1] !== columnsOf(v, g.y)) return undefined;
  const name = e.shared(`${held.name}/panels`, () => panels(held.name, held.tensor));
  return { op: { ...g.op, lowRank: true }, inputs: { h, up: name }, gone: [product] };
};

/** + residual. */
const residual: Step = (v, _, g, n) => {
  const other = otherInput(n, g.y);
  if (other === undefined || g.op.last || !sameShape(v, g.y, other) || v.dtype(other) !== 'float32') return undefined;
  return { op: { ...g.op, last: 'add' }, inputs: { residual: other } };
};

/** · silu(gate). */
const gate: Step = (v, _, g, n) => {
  const [by = '', up] = n.inputs;
  if (typeOf(n) !== `${DOMAIN}::SiluMul` || up !== g.y || by === g.y || g.op.last || g.op.lowRank || !sameShape(v, by, g.y))
    return undefined;
  return { op: { ...g.op, last: 'gate' }, inputs: { gate: by } };
};

/** Rounded to int8 under one step. */
const codes: Step = (v, _, g, n) => {
  const zero = v.constant(n.inputs[2] ?? '');
  if (typeOf(n) !== 'QuantizeLinear' || n.inputs[0] !== g.y || g.op.lowRank || attrInt(n, 'block_size', 0) !== 0) return undefined;
  if (zero?.tensor.dtype !== 'int8' || v.scalar(n.inputs[2]!) !== 0 || v.constant(n.inputs[1]!)?.tensor.dtype !== 'float32')
    return undefined;
  return v.scalar(n.inputs[1]!) === undefined ? undefined : { op: { ...g.op, codes: true }, inputs: { y_scale: n.inputs[1]! } };
};

const steps: readonly Step[] = [bias, lowRank, residual, gate, codes];

/** Takes in what stands behind, as far as nobody else reads what is between. */
function grown(v: View, e: Editor, g: Grown): Grown {
  const [n, ...others] = v.consumers(g.y);
  if (!n || others.length > 0 || v.isOutput(g.y) || g.op.codes || !v.graph.nodes.includes(n)) return g;
  for (const step of steps) {
    const s = step(v, e, g, n);
    if (!s) continue;
    const inputs = new Map([...g.inputs, ...Object.entries(s.inputs)]);
    return grown(v, e, { op: s.op, inputs, y: n.outputs[0]!, gone: [...g.gone, ...(s.gone ?? []), n] });
  }
  return g;
}

/** The model with its linear operators finished; the source stays as it is. */
export function finishLinears(model: Model): Model {
  const first = model.graph.nodes[0];
  if (!first) return model;
  const e = new Editor(model);
  const v = e.view(e.copyOf(first)!);
  const taken = new Set<Node>();
  for (const n of v.graph.nodes) {
    const op = n.domain === DOMAIN ? linearOp(n.op) : undefined;
    if (!op) continue;
    const names = linearInputs(op);
    const inputs = new Map(names.map((name, i) => [name, n.inputs[i] ?? '']));
    const g = grown(v, e, { op, inputs, y: n.outputs[0]!, gone: [] });
    // A sum of two products: the first takes it.
    if (g.gone.length === 0 || [n, ...g.gone].some((x) => taken.has(x))) continue;
    for (const x of g.gone) {
      taken.add(x);
      e.replace(x, []);
    }
    taken.add(n);
    declareLinear(e.model, g.op);
    const last = node(
      `${DOMAIN}.${linearName(g.op)}`,
      linearInputs(g.op).map((name) => g.inputs.get(name) ?? ''),
      [g.y],
    );
    e.replace(n, []);
    e.replace(g.gone.at(-1)!, [{ ...last, attrs: new Map(n.attrs), name: n.name }]);
  }
  if (taken.size === 0) return model;
  const done = e.finish();
  const used = new Set([...allNodes(done.graph)].map(({ node: x }) => `${x.domain}.${x.op}`));
  return {
    ...done,
    functions: done.functions.filter((f) => f.domain !== DOMAIN || !linearOp(f.name) || used.has(`${f.domain}.${f.name}`)),
  };
}
