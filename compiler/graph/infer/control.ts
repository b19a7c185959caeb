/** If, Loop and Scan: their bodies are inferred with what is known outside. */

import type { Scope } from '../infer.ts';
import type { Dim, Graph } from '../types.ts';
import { axisOf, type Context, type Fact } from './context.ts';

/** Infers a graph below a scope; passed in, since inference and control flow need each other. */
export type InferGraph = (graph: Graph, scope: Scope, inputs: readonly (Fact | undefined)[] | undefined) => Fact[];
export type Control = (c: Context, scope: Scope, inferGraph: InferGraph) => void;

const body = (c: Context, name: string): Graph | undefined => {
  const a = c.node.attrs.get(name);
  return a?.type === 'graph' ? a.value : undefined;
};

/** What holds of both. */
function join(a: Fact, b: Fact, fresh: (axis: number) => Dim): Fact {
  const dtype = a.dtype === b.dtype ? a.dtype : undefined;
  if (a.shape === undefined || b.shape === undefined || a.shape.length !== b.shape.length) return { dtype };
  return { dtype, shape: a.shape.map((d, i) => (d === b.shape![i] ? d : fresh(i))) };
}

const branch: Control = (c, scope, inferGraph) => {
  const sides = ['then_branch', 'else_branch'].flatMap((name) => {
    const g = body(c, name);
    return g === undefined ? [] : [inferGraph(g, child(scope), undefined)];
  });
  const [yes, no] = sides;
  c.node.outputs.forEach((_, i) => {
    const [a, b] = [yes?.[i] ?? {}, no?.[i] ?? {}];
    c.outputs[i] = join(a, b, (axis) => c.fresh(axis, i));
  });
};

const loop: Control = (c, scope, inferGraph) => {
  const g = body(c, 'body');
  if (g === undefined) return;
  const carried = g.inputs.length - 2;
  const heads: Fact[] = [
    { dtype: 'int64', shape: [] },
    { dtype: 'bool', shape: [] },
  ];
  const { state, out } = settle(
    c,
    c.inputs.slice(2).map((f) => dataless(f ?? {})),
    (s) => inferGraph(g, child(scope), [...heads, ...s]).slice(1),
  );
  const trips = c.in(0).data?.[0] ?? c.fresh(0, carried);
  c.node.outputs.forEach((_, i) => {
    if (i < carried) c.outputs[i] = state[i] ?? {};
    else c.outputs[i] = { dtype: out[i]?.dtype, shape: out[i]?.shape && [trips, ...out[i]!.shape!] };
  });
};

const scan: Control = (c, scope, inferGraph) => {
  const g = body(c, 'body');
  if (g === undefined) return;
  const scanned = c.int('num_scan_inputs', 0);
  const carried = c.inputs.length - scanned;
  const axes = c.ints('scan_input_axes');
  let length: Dim | undefined;
  const slices = c.inputs.slice(carried).map((f, i): Fact => {
    if (f?.shape === undefined) return { dtype: f?.dtype };
    const axis = axisOf(axes?.[i] ?? 0, f.shape.length);
    if (length === undefined || typeof length === 'string') length = f.shape[axis]!;
    return { dtype: f.dtype, shape: f.shape.filter((_, j) => j !== axis) };
  });
  const { state, out } = settle(
    c,
    c.inputs.slice(0, carried).map((f) => dataless(f ?? {})),
    (s) => inferGraph(g, child(scope), [...s, ...slices]),
  );
  const outAxes = c.ints('scan_output_axes');
  c.node.outputs.forEach((_, i) => {
    if (i < carried) c.outputs[i] = state[i] ?? {};
    else {
      const s = out[i]?.shape;
      const axis = axisOf(outAxes?.[i - carried] ?? 0, (s?.length ?? 0) + 1);
      c.outputs[i] = { dtype: out[i]?.dtype, shape: s && [...s.slice(0, axis), length ?? c.fresh(axis, i), ...s.slice(axis)] };
    }
  });
};

/** Carried values may change their sizes from turn to turn: sizes that did are unknown, found in a second turn. */
function settle(c: Context, first: Fact[], turn: (state: Fact[]) => Fact[]): { state: Fact[]; out: Fact[] } {
  const out = turn(first);
  const state = first.map((f, i) =>
    f.shape === undefined && f.dtype === undefined ? (out[i] ?? {}) : join(f, out[i] ?? {}, (axis) => c.fresh(axis, i)),
  );
  const changed = state.some((f, i) => f.shape?.join() !== first[i]!.shape?.join());
  return { state, out: changed ? turn(state) : out };
}

const dataless = ({ dtype, shape }: Fact): Fact => ({ dtype, shape });

const child = (scope: Scope): Scope => scope.child();

export const controls: ReadonlyMap<string, Control> = new Map([
  ['If', branch],
  ['Loop', loop],
  ['Scan', scan],
]);
