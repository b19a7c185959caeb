/**
 * Spreads a new order of channels over everything that it reaches, forwards and backwards, until weights, constants and caches take it in:
 * afterwards nothing has to be gathered at run time. Bodies of Scans are walked as well.
 */
import type { Node, Tensor } from '../graph/types.ts';
import { createView, type View } from '../match/view.ts';
import type { Site } from '../sites.ts';
import { type Arrangement, flatOrder, joined, sameArrangement, simplified } from './arrangement.ts';
import { successor } from './carried.ts';
import { relate } from './commute.ts';
import { plain } from './plain.ts';
import { refuse } from './refuse.ts';
import type { Rewriter } from './rewriter.ts';

/** A value of one graph: of the main one, or of a body. */
interface Place {
  readonly view: View;
  readonly value: string;
}
/** A constant operand that takes the order in. */
export interface Taken {
  readonly node: Node;
  readonly name: string;
  readonly tensor: Tensor;
  readonly order: Arrangement;
}
export interface Arranged {
  /** Values of the main graph. */
  readonly values: ReadonlyMap<string, Arrangement>;
  readonly constants: readonly Taken[];
  /** Inputs of the model that hold what an earlier run left. */
  readonly caches: ReadonlyMap<string, Arrangement>;
}

/** Spreads the order of one value. Error: Refusal, with the operator that it cannot pass. */
export function arrange(view: View, value: string, order: Arrangement): Arranged {
  const known = new Map<string, Arrangement>();
  const places = new Map<string, Place>();
  const constants = new Map<string, Taken>();
  const pending = new Set<string>();
  const views = new Map<Node, View>();
  const key = (p: Place) => `${p.view.path}\n${p.value}`;
  const outputs = new Set(view.graph.outputs.map((o) => o.name));

  function put(p: Place, given: Arrangement, by: Node): void {
    const next = simplified(given);
    if (!next) return;
    const held = constantOf(p);
    if (held) {
      const at = `${held.name}\n${by.name}\n${by.outputs[0]}`;
      const before = constants.get(at);
      const both = before ? (joined(before.order, next) ?? clash(p.value)) : next;
      constants.set(at, { node: by, name: held.name, tensor: held.tensor, order: both });
      return;
    }
    if (!p.view.producer(p.value) && !p.view.isInput(p.value)) refuse('in-body', `"${p.value}" comes into a body from outside`);
    if (p.view.isInput(p.value) && !p.view.parent && !outputs.has(successor(p.value)))
      refuse('model-output', `"${p.value}" is an input of the model`);
    const k = key(p);
    const before = known.get(k);
    const both = before ? (joined(before, next) ?? clash(p.value)) : next;
    if (before && sameArrangement(before, both)) return;
    known.set(k, both);
    places.set(k, p);
    pending.add(k);
  }
  const clash = (value: string): never => refuse('mixes-channels', `two operators want "${value}" in two different orders`);

  function constantOf(p: Place): { name: string; tensor: Tensor } | undefined {
    for (let v: View | undefined = p.view; v; v = v.parent) {
      const tensor = v.graph.initializers.get(p.value);
      if (tensor) return { name: p.value, tensor };
      const made = v.producer(p.value);
      if (made?.op === 'Constant') {
        const c = v.constant(p.value);
        return c && { name: p.value, tensor: c.tensor };
      }
      if (made || v.isInput(p.value)) return undefined;
    }
    return undefined;
  }

  /** The body of a Scan, whose values are walked as those of the main graph. */
  function bodyOf(v: View, n: Node): View {
    const attr = n.attrs.get('body');
    if (attr?.type !== 'graph') return refuse('in-body', `${n.op} "${n.name}" has no body`);
    const found = views.get(n) ?? createView(v.model, attr.value, `${v.path}/${n.name || n.outputs[0]}.body`, v);
    views.set(n, found);
    owners.set(found, { node: n, view: v });
    return found;
  }
  const owners = new Map<View, { readonly node: Node; readonly view: View }>();

  const at = (v: View) => ({
    view: v,
    get: (value: string) => known.get(key({ view: v, value })),
  });

  function through(v: View, n: Node): void {
    if (n.op === 'Scan') scan(v, n);
    else for (const r of relate(at(v), n)) put({ view: v, value: r.value }, r.order, n);
  }

  /** States keep their axes inside; what is scanned loses the first one. */
  function scan(v: View, n: Node): void {
    const body = bodyOf(v, n);
    const scanned = Number((n.attrs.get('num_scan_inputs') as { value?: unknown })?.value ?? 0);
    const states = n.inputs.length - scanned;
    const axes = ['scan_input_axes', 'scan_output_axes'].some((a) => {
      const list = n.attrs.get(a);
      return list?.type === 'ints' && list.value.some((x) => Number(x) !== 0);
    });
    if (axes) refuse('layout-lost', `${n.op} "${n.name}" runs along another axis than the first`);
    const pairs = [
      ...n.inputs.map((value, i) => ({ outer: value, inner: body.graph.inputs[i]!.name, shift: i < states ? 0 : 1 })),
      ...n.outputs.map((value, i) => ({ outer: value, inner: body.graph.outputs[i]!.name, shift: i < states ? 0 : 1 })),
    ];
    for (let i = 0; i < states; i++) {
      const [a, b] = [body.graph.inputs[i]!.name, body.graph.outputs[i]!.name];
      for (const [x, y] of [
        [a, b],
        [b, a],
      ] as const) {
        const o = known.get(key({ view: body, value: x }));
        if (o) put({ view: body, value: y }, o, n);
      }
    }
    for (const { outer, inner, shift } of pairs) {
      const [out, inside] = [known.get(key({ view: v, value: outer })), known.get(key({ view: body, value: inner }))];
      if (out?.axes.some((x) => x < shift)) refuse('mixes-channels', `"${outer}" would change its order in time`);
      if (out) put({ view: body, value: inner }, { ...out, axes: out.axes.map((x) => x - shift) }, n);
      if (inside && outer !== '') put({ view: v, value: outer }, { ...inside, axes: inside.axes.map((x) => x + shift) }, n);
    }
  }

  const start = view.producer(value);
  if (!start) refuse('no-producer', `nothing makes "${value}"`);
  put({ view, value }, order, start!);
  while (pending.size > 0) {
    const [k] = pending;
    pending.delete(k!);
    const p = places.get(k!)!;
    const producer = p.view.producer(p.value);
    if (producer) through(p.view, producer);
    for (const n of p.view.consumers(p.value)) {
      if (n.op === 'Shape') continue;
      if (!n.inputs.includes(p.value)) refuse('in-body', `"${p.value}" is read inside the body of ${n.op} "${n.name}"`);
      through(p.view, n);
    }
    const owner = owners.get(p.view);
    if (owner && [...p.view.graph.inputs, ...p.view.graph.outputs].some((x) => x.name === p.value)) scan(owner.view, owner.node);
  }
  const values = new Map([...places].flatMap(([k, p]) => (p.view === view ? [[p.value, known.get(k)!] as const] : [])));
  const caches = new Map([...values].filter(([v]) => view.isInput(v)));
  const carried = new Set([...caches.keys()].map(successor));
  for (const v of values.keys()) if (outputs.has(v) && !carried.has(v)) refuse('model-output', `"${v}" is an output of the model`);
  return { values, constants: [...constants.values()], caches };
}

/** Folds what constants took in: one copy where all readers of a tensor agree, else each has its own. Error: Refusal not-constant. */
export function foldArranged(rewriter: Rewriter, sites: readonly Site[], { constants }: Arranged): number {
  const groups = new Map<string, Taken[]>();
  for (const c of constants) {
    const k = `${c.name}\n${c.order.axes.join()}\n${c.order.from.join()}`;
    groups.set(k, [...(groups.get(k) ?? []), c]);
  }
  for (const group of groups.values()) {
    const { node, name, tensor, order } = group[0]!;
    const owner = sites.find((s) => s.nodes.includes(node)) ?? plain(node);
    const nodes = [...new Set([...owner.nodes, ...group.map((g) => g.node)])];
    const only = order.axes.length === 1 ? order : undefined;
    const indices = only ? only.from.map((x, i) => (x < 0 ? i : x)) : flatOrder(order, tensor.shape);
    rewriter.fold({ ...owner, nodes }, name, only ? { kind: 'gather', axis: only.axes[0]!, indices } : { kind: 'take', indices });
  }
  return groups.size;
}
