/**
 * Edits of a model: the source stays untouched, nodes of the copy are reached through those of the source.
 * New nodes are put before, after or in place of one of the copy; `finish` writes them out and drops what nobody reads.
 */

import { topological } from '../graph/sort.ts';
import type { Attr, Graph, Model, Node, Tensor } from '../graph/types.ts';
import { uses } from '../graph/walk.ts';
import { createView, type View } from '../match/view.ts';
import { mergeConstants } from './merge.ts';
import { raiseOpset } from './opset.ts';

/** One graph of the copy with the edits that wait for it. */
interface Scope {
  readonly graph: Graph;
  readonly parent?: Scope;
  readonly head: Node[];
  readonly before: Map<Node, Node[]>;
  readonly after: Map<Node, Node[]>;
  readonly instead: Map<Node, Node[]>;
}

export class Editor {
  readonly model: Model;
  private readonly copies = new Map<Node, Node>();
  private readonly scopes = new Map<Node, Scope>();
  private readonly byOutput = new Map<string, Node>();
  private readonly used = new Set<string>();
  private readonly constants = new Map<string, string>();
  private readonly all: Scope[] = [];
  private readonly views = new Map<Graph, View>();

  constructor(source: Model) {
    this.model = {
      ...source,
      opsets: new Map(source.opsets),
      metadata: new Map(source.metadata),
      functions: source.functions.map((f) => ({ ...f, opsets: new Map(f.opsets), nodes: f.nodes.map((n) => this.copyFree(n)) })),
      graph: this.copyGraph(source.graph),
    };
  }

  private copyFree(n: Node): Node {
    return { ...n, inputs: [...n.inputs], outputs: [...n.outputs], attrs: new Map(n.attrs) };
  }

  private copyGraph(g: Graph, parent?: Scope): Graph {
    const graph: Graph = { ...g, initializers: new Map(g.initializers), values: new Map(g.values), nodes: [] };
    const scope: Scope = { graph, ...(parent ? { parent } : {}), head: [], before: new Map(), after: new Map(), instead: new Map() };
    this.all.push(scope);
    for (const v of [...g.inputs, ...g.outputs]) this.used.add(v.name);
    for (const name of g.initializers.keys()) this.used.add(name);
    for (const name of g.values.keys()) this.used.add(name);
    for (const n of g.nodes) {
      const attrs = new Map<string, Attr>();
      for (const [name, a] of n.attrs) {
        if (a.type === 'graph') attrs.set(name, { ...a, value: this.copyGraph(a.value, scope) });
        else if (a.type === 'graphs') attrs.set(name, { ...a, value: a.value.map((s) => this.copyGraph(s, scope)) });
        else attrs.set(name, a);
      }
      const copy: Node = { ...n, inputs: [...n.inputs], outputs: [...n.outputs], attrs };
      this.copies.set(n, copy);
      this.scopes.set(copy, scope);
      for (const v of n.outputs) {
        this.used.add(v);
        if (v !== '') this.byOutput.set(v, copy);
      }
      for (const v of n.inputs) this.used.add(v);
      graph.nodes.push(copy);
    }
    return graph;
  }

  /** The copy of a source node: by identity, or by its first output when the site was found on another copy of the graph. */
  copyOf(n: Node): Node | undefined {
    return this.copies.get(n) ?? this.byOutput.get(n.outputs[0] ?? '');
  }

  private scope(n: Node): Scope {
    return this.scopes.get(n) ?? (this.all[0] as Scope);
  }

  /** What matchers ask of the graph that a copied node lies in, as it was before the edits. */
  view(n: Node): View {
    const make = (s: Scope): View => {
      const known = this.views.get(s.graph);
      if (known) return known;
      const made = createView(this.model, s.graph, '', s.parent ? make(s.parent) : undefined);
      this.views.set(s.graph, made);
      return made;
    };
    return make(this.scope(n));
  }

  /** A name that no value has yet. */
  fresh(base: string): string {
    let name = base;
    for (let i = 1; this.used.has(name); i++) name = `${base}_${i}`;
    this.used.add(name);
    return name;
  }

  /** Raises the default operator set to at least `to`; before any other edit. */
  raise(to: number): void {
    raiseOpset(this.model, to, (base) => this.fresh(base));
  }

  /** Adds an initializer to the main graph, which every subgraph sees. */
  initializer(base: string, tensor: Tensor): string {
    const name = this.fresh(base);
    this.model.graph.initializers.set(name, tensor);
    return name;
  }

  /** An initializer that is made once, under a key. */
  shared(key: string, make: () => Tensor): string {
    const known = this.constants.get(key);
    if (known) return known;
    const name = this.initializer(key, make());
    this.constants.set(key, name);
    return name;
  }

  /** Puts nodes at the head of the graph that defines a constant, so that a loop's body does not repeat them. */
  head(nodes: readonly Node[], near: Node, constant: string): void {
    let s = this.scope(near);
    while (s.parent && !s.graph.initializers.has(constant) && !s.graph.nodes.some((n) => n.outputs.includes(constant))) s = s.parent;
    s.head.push(...nodes);
  }
  before(at: Node, nodes: readonly Node[]): void {
    const { before } = this.scope(at);
    before.set(at, [...(before.get(at) ?? []), ...nodes]);
  }
  after(at: Node, nodes: readonly Node[]): void {
    const { after } = this.scope(at);
    after.set(at, [...(after.get(at) ?? []), ...nodes]);
  }
  /** Replaces a node; the last of `nodes` must yield its outputs, and takes its name. All of them keep what the exporter said of the module. */
  replace(at: Node, nodes: readonly Node[]): void {
    const last = nodes.at(-1);
    if (last && at.name !== '') last.name = at.name;
    if (at.metadata) for (const n of nodes) n.metadata ??= at.metadata;
    this.scope(at).instead.set(at, [...nodes]);
  }

  /** Puts nodes behind the producer of a value (or at the head of the graph whose input it is), so that every reader comes later. */
  behind(value: string, near: Node, nodes: readonly Node[]): void {
    for (let s: Scope | undefined = this.scope(near); s; s = s.parent) {
      const producer = s.graph.nodes.find((n) => n.outputs.includes(value));
      if (producer) {
        this.after(producer, nodes);
        return;
      }
      if (s.graph.inputs.some((v) => v.name === value) || s.graph.initializers.has(value)) {
        s.head.push(...nodes);
        return;
      }
    }
    this.before(near, nodes);
  }

  finish(): Model {
    for (const s of this.all) {
      const nodes = s.graph.nodes.flatMap((n) => [...(s.before.get(n) ?? []), ...(s.instead.get(n) ?? [n]), ...(s.after.get(n) ?? [])]);
      const sorted = topological([...s.head, ...nodes]);
      if ('cycle' in sorted) throw new Error(`the edits made a cycle at ${sorted.cycle[0]?.name}`);
      s.graph.nodes = sorted.order;
      mergeConstants(s.graph);
    }
    // Inner graphs first: what only a dropped inner node read is dropped outside too.
    for (const s of [...this.all].reverse()) sweep(s.graph);
    return this.model;
  }
}

/** Drops nodes, initializers and value_info that nobody reads any more. */
function sweep(g: Graph): void {
  const live = new Set(g.outputs.map((v) => v.name));
  const kept: Node[] = [];
  for (const n of [...g.nodes].reverse()) {
    if (!n.outputs.some((v) => live.has(v)) && n.outputs.length > 0) continue;
    for (const v of uses(n)) live.add(v);
    kept.push(n);
  }
  g.nodes = kept.reverse();
  const inputs = new Set(g.inputs.map((v) => v.name));
  for (const name of [...g.initializers.keys()]) if (!live.has(name) && !inputs.has(name)) g.initializers.delete(name);
  const made = new Set(g.nodes.flatMap((n) => n.outputs));
  for (const name of [...g.values.keys()]) if (!made.has(name)) g.values.delete(name);
}
