/** Types and shapes of every value. Sizes that are not known stay symbolic; equal expressions get equal symbols. */
import { isAnonymous } from './dims.ts';
import { Context, type Fact, MAX_DATA, type Rule } from './infer/context.ts';
import { controls } from './infer/control.ts';
import { elementwise } from './infer/elementwise.ts';
import { layers } from './infer/layers.ts';
import { microsoft, quantized } from './infer/quantized.ts';
import { shapes } from './infer/shapes.ts';
import { smallValues } from './numeric.ts';
import type { Dim, Func, Graph, Model, Node, ValueInfo } from './types.ts';

const rules = new Map<string, Rule>([
  ...[...elementwise, ...shapes, ...layers, ...quantized].map(([op, r]): [string, Rule] => [`::${op}`, r]),
  ...microsoft.map(([op, r]): [string, Rule] => [`com.microsoft::${op}`, r]),
  ['::SimplifiedLayerNormalization', rule(microsoft, 'SimplifiedLayerNormalization')],
]);

function rule(list: readonly [string, Rule][], op: string): Rule {
  return list.find(([name]) => name === op)![1];
}

/** What is known of each value in scope. */
export class Scope {
  private readonly facts = new Map<string, Fact>();
  constructor(
    readonly model: Model,
    private readonly outer?: Scope,
  ) {}
  get(name: string): Fact | undefined {
    return this.facts.get(name) ?? this.outer?.get(name);
  }
  set(name: string, fact: Fact): void {
    this.facts.set(name, fact);
  }
  /** Opset of a node's domain; functions have their own. */
  opset(domain: string): number {
    return this.opsets?.get(domain) ?? this.outer?.opset(domain) ?? this.model.opsets.get(domain) ?? 1;
  }
  child(): Scope {
    const inner = new Scope(this.model, this);
    inner.depth = this.depth;
    return inner;
  }
  opsets?: ReadonlyMap<string, number>;
  /** Functions that are being expanded, so that recursion ends. */
  depth = 0;
}

/**
 * Infers and fills `values` of the graph and its subgraphs, in place; entries that the file did not have are marked `inferred` and are not written.
 * @returns the model
 */
export function infer(model: Model): Model {
  inferGraph(model.graph, new Scope(model), undefined);
  return model;
}

/**
 * Infers one graph. `inputs`: facts of its inputs where the outside knows more than their declaration.
 * @returns facts of its outputs
 */
export function inferGraph(graph: Graph, scope: Scope, inputs: readonly (Fact | undefined)[] | undefined): Fact[] {
  graph.inputs.forEach((v, i) => {
    scope.set(v.name, merge({ dtype: v.dtype, shape: v.shape }, inputs?.[i]));
  });
  for (const [name, t] of graph.initializers) {
    const data = t.shape.length <= 1 ? smallValues(t, MAX_DATA) : undefined;
    scope.set(name, { dtype: t.dtype, shape: t.shape, ...(data === undefined ? {} : { data }) });
  }
  const declared = new Map([...graph.outputs.map((v): [string, ValueInfo] => [v.name, v]), ...graph.values]);
  inferNodes(graph.nodes, scope, declared);
  for (const n of graph.nodes) for (const name of n.outputs) record(graph, name, scope.get(name));
  for (const v of graph.inputs) if (inputs !== undefined) record(graph, v.name, scope.get(v.name));
  return graph.outputs.map((o) => scope.get(o.name) ?? {});
}

function inferNodes(nodes: readonly Node[], scope: Scope, declared: ReadonlyMap<string, ValueInfo>): void {
  for (const node of nodes) {
    const context = new Context(
      node,
      scope.opset(node.domain),
      node.inputs.map((name) => (name === '' ? undefined : scope.get(name))),
    );
    const control = node.domain === '' ? controls.get(node.op) : undefined;
    if (control !== undefined) control(context, scope, inferGraph);
    else {
      const f = functionOf(scope.model, node);
      const known = rules.get(`${node.domain}::${node.op}`);
      if (known !== undefined) known(context);
      else if (f !== undefined && scope.depth < 32) expand(f, context, scope);
    }
    node.outputs.forEach((name, i) => {
      if (name === '') return;
      const v = declared.get(name);
      scope.set(name, v === undefined ? (context.outputs[i] ?? {}) : merge({ dtype: v.dtype, shape: v.shape }, context.outputs[i]));
    });
  }
}

/** The model-local function that a node calls. */
export const functionOf = (model: Model, n: Node): Func | undefined =>
  model.functions.find((f) => f.name === n.op && f.domain === n.domain && (f.overload ?? '') === (n.overload ?? ''));

/** A call: the body is inferred with the facts of this call's inputs. */
function expand(f: Func, c: Context, scope: Scope): void {
  const inner = new Scope(scope.model);
  inner.opsets = f.opsets;
  inner.depth = scope.depth + 1;
  f.inputs.forEach((name, i) => {
    inner.set(name, c.in(i));
  });
  // attributes of the call (or their defaults) take the place of references
  const bound = f.nodes.map((n) => {
    if (![...n.attrs.values()].some((a) => a.type === 'ref')) return n;
    const attrs = new Map(
      [...n.attrs].flatMap(([k, a]) => {
        const value = a.type === 'ref' ? (c.node.attrs.get(a.ref) ?? f.defaults.get(a.ref)) : a;
        return value === undefined ? [] : [[k, value] as const];
      }),
    );
    return { ...n, attrs };
  });
  inferNodes(bound, inner, f.values);
  f.outputs.forEach((name, i) => {
    c.outputs[i] = inner.get(name) ?? {};
  });
}

/** What the file declares and what was inferred, joined: numbers beat names, names of the exporter beat symbols of ours. */
function merge(declared: Fact, inferred: Fact | undefined): Fact {
  if (inferred === undefined) return declared;
  const { dtype, shape, data } = inferred;
  const joined =
    shape === undefined
      ? declared.shape
      : declared.shape?.length === shape.length
        ? shape.map((d, i) => better(d, declared.shape![i]!))
        : shape;
  return { dtype: dtype ?? declared.dtype, shape: joined, ...(data === undefined ? {} : { data }) };
}

const better = (inferred: Dim, declared: Dim): Dim =>
  typeof inferred === 'number'
    ? inferred
    : typeof declared === 'number' || (isAnonymous(inferred) && !isAnonymous(declared))
      ? declared
      : inferred;

function record(graph: Graph, name: string, fact: Fact | undefined): void {
  if (name === '' || fact === undefined || (fact.dtype === undefined && fact.shape === undefined)) return;
  const old = graph.values.get(name);
  const { dtype, shape, ...rest } = old ?? { name, inferred: true };
  const [d, s] = [fact.dtype ?? dtype, fact.shape ?? shape];
  graph.values.set(name, { ...rest, ...(d === undefined ? {} : { dtype: d }), ...(s === undefined ? {} : { shape: s }) });
}
