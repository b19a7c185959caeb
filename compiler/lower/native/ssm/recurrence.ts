/**
 * Is the body of a Scan exactly h' = h·exp(Δ·A) + (Δ·x)·B, y = Σₙ h'·C? Every value is evaluated as an expression over named axes, so that a factor
 * too many, an axis in another place or another operator is seen; what is not seen as this stays a Scan.
 */
import type { Graph, Node } from '../../../graph/types.ts';
import { attrInts, typeOf, type View } from '../../../match/view.ts';
import { readBody } from '../../../roles/ssm.ts';

/** Where the parts of a recurrence stand among the inputs and outputs of its body. */
export interface Recurrence {
  /** Indices of the body's inputs. */
  readonly inputs: Readonly<Record<'state' | 'x' | 'dt' | 'B' | 'C', number>>;
  /** Indices of the body's outputs. */
  readonly next: number;
  readonly y: number;
  /** The name of A outside of the body, [channels, states] or [heads]. */
  readonly A: string;
  readonly perHead: boolean;
}

/** A value: its axes, and the expression that it is. */
interface Term {
  readonly axes: readonly string[];
  /** Factors, sorted; a sum is one factor. */
  readonly factors: readonly string[];
}

const text = (t: Term): string => t.factors.join('·');

/** Axes of a product or sum, aligned from the right; undefined where they do not fit. */
function broadcast(a: readonly string[], b: readonly string[]): string[] | undefined {
  const out: string[] = [];
  for (let i = 1; i <= Math.max(a.length, b.length); i++) {
    const [p, q] = [a.at(-i) ?? '1', b.at(-i) ?? '1'];
    if (p !== q && p !== '1' && q !== '1') return undefined;
    out.unshift(p === '1' ? q : p);
  }
  return out;
}

function evaluate(v: View, n: Node, inputs: readonly (Term | undefined)[]): Term | undefined {
  const [a, b] = inputs;
  if (!a) return undefined;
  const moved = (): number[] | undefined => {
    const axes = v.numbers(n.inputs[1] ?? '') ?? attrInts(n, 'axes');
    return axes && [...axes];
  };
  switch (typeOf(n)) {
    case 'Identity':
      return a;
    case 'Unsqueeze': {
      const axes = moved();
      if (axes?.length !== 1) return undefined;
      const at = axes[0]! < 0 ? a.axes.length + 1 + axes[0]! : axes[0]!;
      return { ...a, axes: a.axes.toSpliced(at, 0, '1') };
    }
    case 'Squeeze': {
      const axes = moved();
      if (axes?.length !== 1) return undefined;
      const at = axes[0]! < 0 ? a.axes.length + axes[0]! : axes[0]!;
      return a.axes[at] === '1' ? { ...a, axes: a.axes.toSpliced(at, 1) } : undefined;
    }
    case 'Exp':
      return { axes: a.axes, factors: [`exp(${text(a)})`] };
    case 'Mul':
    case 'Add': {
      const axes = b && broadcast(a.axes, b.axes);
      if (!axes || !b) return undefined;
      if (n.op === 'Add') return { axes, factors: [[text(a), text(b)].sort().join(' + ')] };
      return { axes, factors: [...a.factors, ...b.factors].sort() };
    }
    case 'MatMul': {
      const inner = a.axes.at(-1);
      if (!b || b.axes.length < 2 || inner === '1' || inner !== b.axes.at(-2)) return undefined;
      const outer = broadcast(a.axes.slice(0, -2), b.axes.slice(0, -2));
      return (
        outer && { axes: [...outer, a.axes.at(-2)!, b.axes.at(-1)!], factors: [`Σ${inner}(${[text(a), text(b)].sort().join(' , ')})`] }
      );
    }
    default:
      return undefined;
  }
}

/** Reads the body of a Scan, seen by `v` (a view whose parent is the outer graph's); undefined where it is anything else. */
export function readRecurrence(v: View, body: Graph): Recurrence | undefined {
  const parts = readBody(v, body);
  if (typeof parts === 'string') return undefined;
  const decay = v.nodes('Exp')[0];
  const product = decay && v.producer(decay.inputs[0]!);
  const own = new Set([...body.inputs.map((i) => i.name), ...body.nodes.flatMap((n) => n.outputs)]);
  const A = product?.inputs.find((i) => !own.has(i));
  const rank = A === undefined ? undefined : v.constant(A)?.tensor.shape.length;
  if (A === undefined || (rank !== 1 && rank !== 2)) return undefined;
  const perHead = rank === 1;
  const axes = perHead
    ? { state: 'bhpn', x: 'bhp', dt: 'bh', B: 'bhn', C: 'bhn', A: 'h' }
    : { state: 'bpn', x: 'bp', dt: 'bp', B: 'bn', C: 'bn', A: 'pn' };
  const names = { state: parts.state, x: parts.x, dt: parts.dt, B: parts.B, C: parts.C };
  const terms = new Map<string, Term>([[A, { axes: [...axes.A], factors: ['A'] }]]);
  for (const [k, name] of Object.entries(names)) terms.set(name, { axes: [...axes[k as keyof typeof names]], factors: [k] });
  for (const n of body.nodes) {
    const t = evaluate(
      v,
      n,
      n.inputs.map((i) => terms.get(i)),
    );
    if (t && n.outputs.length === 1) terms.set(n.outputs[0]!, t);
  }
  const is = (name: string, expected: string, where: string) => {
    const t = terms.get(name);
    return t !== undefined && text(t) === expected && t.axes.join('') === where;
  };
  const state = 'B·dt·x + exp(A·dt)·state';
  const next = body.outputs.findIndex((o) => is(o.name, state, axes.state));
  const y = body.outputs.findIndex((o) => is(o.name, `Σn(${state} , C)`, axes.x) || is(o.name, `Σn(C , ${state})`, axes.x));
  const at = (name: string) => body.inputs.findIndex((i) => i.name === name);
  const inputs = { state: at(names.state), x: at(names.x), dt: at(names.dt), B: at(names.B), C: at(names.C) };
  const distinct = new Set(Object.values(inputs)).size === 5 && body.inputs.length === 5;
  if (next < 0 || y < 0 || next === y || !distinct || Object.values(inputs).some((i) => i < 0)) return undefined;
  return { inputs, next, y, A, perHead };
}
