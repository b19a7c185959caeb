/** Collects the edits of one application and gives the model and its sites afterwards. Nodes that do not change keep their identity. */
import { freshNames } from '../graph/edit.ts';
import type { Model, Node, Tensor, ValueInfo } from '../graph/types.ts';
import { allNodes } from '../graph/walk.ts';
import { type AttrValue, node } from '../lower/make.ts';
import type { Port, Site, Sites } from '../sites.ts';
import { plain } from './plain.ts';
import { refuse } from './refuse.ts';
import { folded, type Step, shapeAfter } from './tensors.ts';
import { dropUnread, withoutDead } from './unread.ts';

export interface Rewritten {
  readonly model: Model;
  readonly sites: Sites;
}

/** Operators in the making, in front of readers. */
export interface Insertion {
  op(op: string, inputs: readonly string[], attrs?: Readonly<Record<string, AttrValue>>): string;
  constant(suffix: string, tensor: Tensor): string;
}

export class Rewriter {
  readonly #model: Model;
  readonly #sites: Sites;
  readonly #id: string;
  readonly #fresh: (base: string) => string;
  /** Initializer → its steps. */
  readonly #steps = new Map<string, Step[]>();
  readonly #copies = new Map<string, { readonly of: string; readonly site: string }>();
  readonly #constants = new Map<string, Tensor>();
  /** Old node → its changed copy. */
  readonly #changed = new Map<Node, Node>();
  readonly #before = new Map<Node, Node[]>();
  readonly #after = new Map<Node, Node[]>();
  readonly #outputs = new Map<string, string>();
  readonly #added: Site[] = [];
  readonly #supplied: Site[] = [];
  /** Node → the addition of a new bias, part of its site. */
  readonly #additions = new Map<Node, Node>();
  /** Site → the bias that it got. */
  readonly #biases = new Map<string, string>();
  readonly #fixed = new Map<string, Record<string, readonly number[]>>();
  readonly #infos = new Map<string, ValueInfo>();
  readonly #weights = new Map<string, Map<string, string>>();
  readonly #inputs = new Map<string, string>();
  readonly #readers: ReadonlyMap<string, readonly Node[]>;

  /** `id` is part of the names of folded tensors: unique to the application. */
  constructor(model: Model, sites: Sites, id: string) {
    this.#model = model;
    this.#sites = sites;
    this.#id = id;
    this.#fresh = freshNames(model);
    const readers = new Map<string, Node[]>();
    for (const { node } of allNodes(model.graph)) for (const i of new Set(node.inputs)) readers.set(i, [...(readers.get(i) ?? []), node]);
    this.#readers = readers;
  }

  /** The tensor behind an initializer or Constant node. */
  tensor(name: string): Tensor | undefined {
    const held = this.#model.graph.initializers.get(name);
    if (held) return held;
    const made = this.#model.graph.nodes.find((n) => n.outputs[0] === name);
    const a = made?.op === 'Constant' ? made.attrs.get('value') : undefined;
    return a?.type === 'tensor' ? a.value : undefined;
  }

  /**
   * Folds into a tensor of a site. One that other nodes read too gets a copy for this site alone (a head that shares the embedding's table, a
   * gain of two norms). Error: Refusal not-constant.
   */
  fold(site: Site, name: string, ...steps: Step[]): void {
    const own = this.#weights.get(site.id)?.get(name) ?? this.#own(site, name);
    this.#steps.set(own, [...(this.#steps.get(own) ?? []), ...steps]);
  }

  /** Copies that were made because a tensor was shared: `[copy, original, site]`. */
  get copies(): readonly (readonly [string, string, string])[] {
    return [...this.#copies].map(([copy, c]) => [copy, c.of, c.site] as const);
  }

  /** The site's bias; a linear without one gets zeros. Error: Refusal no-bias. */
  bias(site: Site): string {
    if (site.bias !== undefined) return site.bias;
    const made = this.#biases.get(site.id);
    if (made !== undefined) return made;
    const weight = this.tensor(site.ports['weight']?.value ?? '');
    const n = site.nodes.at(-1)!;
    if (site.role !== 'linear' || !weight || (n.op !== 'MatMul' && n.op !== 'Gemm'))
      return refuse('no-bias', `${site.path} has no bias to fold into`);
    const name = this.#fresh(`${n.outputs[0]}/bias`);
    const size = weight.shape[site.ports['weight']!.axes['out']!]!;
    this.#constants.set(name, floats32(new Float64Array(size)));
    if (weight.dtype !== 'float32') refuse('not-constant', `a new bias needs a float32 model; ${site.path} is ${weight.dtype}`);
    this.#biases.set(site.id, name);
    if (n.op === 'Gemm') {
      this.#change(n, (c) => ({ ...c, inputs: [c.inputs[0]!, c.inputs[1]!, name] }));
      return name;
    }
    const [out, product] = [n.outputs[0]!, this.#fresh(`${n.outputs[0]}/product`)];
    this.#change(n, (c) => ({ ...c, outputs: [product] }));
    this.#additions.set(n, { name: `${out}/add`, op: 'Add', domain: '', inputs: [product, name], outputs: [out], attrs: new Map() });
    return name;
  }

  /** Fixes scale and zero point of a static port: the quantizer is part of what the transform chose. */
  fix(site: Site, port: string, quantizer: readonly [scale: number, zero: number]): void {
    this.#fixed.set(site.id, { ...this.#fixed.get(site.id), [`fixed_${port}`]: quantizer });
  }

  /** Says of a port which positions share a scale. */
  cluster(site: Site, port: string, clusters: Int32Array): void {
    this.#fixed.set(site.id, { ...this.#fixed.get(site.id), [`clusters_${port}`]: Array.from(clusters) });
  }

  #own(site: Site, name: string): string {
    if (this.#constants.has(name)) return name;
    if (!this.tensor(name)) refuse('not-constant', `${name} of ${site.path} is no constant of the main graph`);
    const readers = this.#readers.get(name) ?? [];
    const mine = readers.filter((n) => site.nodes.includes(n));
    if (mine.length === 0) refuse('not-constant', `${site.path} reads ${name} through other operators`);
    const alone = readers.length === mine.length && this.#model.graph.initializers.has(name);
    const own = alone ? name : this.#fresh(`${name}/${site.path}`);
    if (!alone) {
      this.#copies.set(own, { of: name, site: site.path });
      for (const n of mine) this.#change(n, (c) => ({ ...c, inputs: c.inputs.map((i) => (i === name ? own : i)) }));
    }
    this.#weights.set(site.id, (this.#weights.get(site.id) ?? new Map()).set(name, own));
    return own;
  }

  #change(n: Node, f: (n: Node) => Node): void {
    this.#changed.set(n, f(this.#changed.get(n) ?? n));
  }

  /**
   * Puts operators before the sites that read `value`. `build` adds nodes to what it is given and returns the name that the sites read instead;
   * `shape` is that value's, where it differs. Error: Refusal not-constant where the model does not compute in float32.
   */
  insert(value: string, readers: readonly Site[], label: string, build: (i: Insertion) => string, shape?: ValueInfo['shape']): string {
    const { out, nodes } = this.beside(value, readers, label, build, shape);
    for (const n of nodes) this.#change(n, (c) => ({ ...c, inputs: c.inputs.map((i) => (i === value ? out : i)) }));
    for (const s of readers) this.#inputs.set(s.id, out);
    return out;
  }

  /** As `insert`, in front of one node only. */
  insertBefore(n: Node, value: string, label: string, build: (i: Insertion) => string): void {
    const { out } = this.beside(value, [plain(n)], label, build);
    this.#change(n, (c) => ({ ...c, inputs: c.inputs.map((i) => (i === value ? out : i)) }));
  }

  /** As `insert`, but the sites go on reading `value`: a branch beside them. */
  beside(value: string, readers: readonly Site[], label: string, build: (i: Insertion) => string, shape?: ValueInfo['shape']) {
    const info = this.#model.graph.values.get(value) ?? this.#model.graph.inputs.find((i) => i.name === value);
    if (info?.dtype !== 'float32') refuse('not-constant', `an explicit operator needs a float32 model; "${value}" is ${info?.dtype}`);
    const { added, out } = this.#emit(value, label, build);
    const nodes = readers.flatMap((s) => s.nodes.filter((n) => n.inputs.includes(value)));
    const first = this.#model.graph.nodes.find((n) => nodes.includes(n))!;
    this.#before.set(first, [...(this.#before.get(first) ?? []), ...added]);
    this.#infos.set(out, { ...info!, ...(shape ? { shape } : {}), name: out, inferred: true });
    return { out, nodes, added };
  }

  /**
   * Puts operators behind what a site yields: `build` gets the site's own result, under a new name, and what it returns takes the old name. The
   * site's output is its own result, of `shape`, from now on.
   */
  behind(site: Site, label: string, build: (i: Insertion, own: string) => string, shape?: ValueInfo['shape']): void {
    const value = site.ports['output']!.value;
    const last = site.nodes.find((n) => n.outputs.includes(value))!;
    const own = this.#fresh(`${value}/own`);
    const { added, out } = this.#emit(value, label, (i) => build(i, own));
    const info = this.#model.graph.values.get(value) ?? this.#model.graph.outputs.find((o) => o.name === value);
    if (info) this.#infos.set(own, { ...info, ...(shape ? { shape } : {}), name: own, inferred: true });
    this.#change(last, (c) => ({ ...c, outputs: c.outputs.map((o) => (o === value ? own : o)) }));
    this.#after.set(
      last,
      added.map((n) => ({ ...n, outputs: n.outputs.map((o) => (o === out ? value : o)) })),
    );
    this.#outputs.set(site.id, own);
  }

  /**
   * What `build` adds yields these values of a region instead, in the order of the graph; nodes of the region that nobody reads afterwards go, and
   * the sites made of them. The region's own site stays, without nodes.
   */
  supply(region: Site, values: readonly string[], build: (i: Insertion, value: string) => string): void {
    for (const value of values) {
      const last = region.nodes.find((n) => n.outputs.includes(value))!;
      const old = this.#fresh(`${value}/computed`);
      const { added, out } = this.#emit(value, 'table', (i) => build(i, value));
      this.#change(last, (c) => ({ ...c, outputs: c.outputs.map((o) => (o === value ? old : o)) }));
      const named = added.map((n) => ({ ...n, outputs: n.outputs.map((o) => (o === out ? value : o)) }));
      this.#after.set(last, [...(this.#after.get(last) ?? []), ...named]);
    }
    this.#supplied.push(region);
  }

  /** A site that the application made. */
  add(site: Site): void {
    this.#added.push(site);
  }

  #emit(value: string, label: string, build: (i: Insertion) => string): { added: Node[]; out: string } {
    const added: Node[] = [];
    const out = build({
      op: (op, inputs, attrs = {}) => {
        const name = this.#fresh(`${value}/${label}`);
        added.push(node(op, inputs, [name], attrs));
        return name;
      },
      constant: (suffix, tensor) => {
        const name = this.#fresh(`${value}/${suffix}`);
        this.#constants.set(name, tensor);
        return name;
      },
    });
    return { added, out };
  }

  /** The model with every edit in it. */
  finish(): Rewritten {
    const { graph } = this.#model;
    const initializers = new Map(graph.initializers);
    for (const [name, c] of this.#copies) initializers.set(name, this.tensor(c.of)!);
    for (const [name, t] of this.#constants) initializers.set(name, t);
    for (const [name, steps] of this.#steps) initializers.set(name, folded(initializers.get(name)!, steps, `${name}#${this.#id}`));
    const values = new Map(graph.values);
    const now = (n: Node): Node => this.#changed.get(n) ?? n;
    const nodes = graph.nodes.flatMap((n) => [...(this.#before.get(n) ?? []), now(n), ...this.#addition(n), ...(this.#after.get(n) ?? [])]);
    for (const [name, info] of this.#infos) values.set(name, info);
    const model = dropUnread(
      { ...this.#model, graph: { ...graph, nodes, initializers, values } },
      new Set([...this.#copies.values()].map((c) => c.of)),
    );
    const sites = this.#sites.sites.map((s) => this.#siteNow(s, now));
    const rewritten = { model, sites: { ...this.#sites, sites: [...sites, ...this.#added] } };
    return this.#supplied.length ? withoutDead(rewritten, this.#supplied, now) : rewritten;
  }

  #addition(n: Node): readonly Node[] {
    const node = this.#additions.get(n);
    return node ? [node] : [];
  }

  #portNow(p: Port, value: string): Port {
    const info = p.value === value ? undefined : this.#infos.get(value);
    if (p.kind === 'activation') return info?.shape ? { ...p, value, shape: info.shape } : { ...p, value };
    const steps = this.#steps.get(value);
    return steps && p.shape ? { ...p, value, shape: shapeAfter(p.shape as readonly number[], steps) } : { ...p, value };
  }

  #siteNow(s: Site, now: (n: Node) => Node): Site {
    const own = this.#weights.get(s.id);
    const input = this.#inputs.get(s.id);
    const nodes = s.nodes.some((n) => this.#changed.has(n)) ? s.nodes.flatMap((n) => [now(n), ...this.#addition(n)]) : s.nodes;
    const bias = this.#biases.get(s.id) ?? s.bias;
    const output = this.#outputs.get(s.id);
    const fixed = this.#fixed.get(s.id);
    if (!own && !fixed && input === undefined && output === undefined && nodes === s.nodes) return s;
    const rename = (name: string): string => own?.get(name) ?? name;
    const ports = Object.fromEntries(
      Object.entries(s.ports).map(([k, p]) => [
        k,
        this.#portNow(
          p,
          p.kind === 'weight' ? rename(p.value) : ((p.name === 'input' ? input : p.name === 'output' ? output : undefined) ?? p.value),
        ),
      ]),
    );
    const gain = s.facts['gain'];
    const { tied_weight, ...facts } = s.facts;
    const untied = own && [...own].some(([a, b]) => a !== b && a === s.ports['weight']?.value);
    return {
      ...s,
      nodes,
      ports,
      ...(bias === undefined ? {} : { bias: rename(bias) }),
      facts: {
        ...facts,
        ...fixed,
        ...(typeof gain === 'string' ? { gain: rename(gain) } : {}),
        ...(tied_weight !== undefined && !untied ? { tied_weight } : {}),
      },
    };
  }
}

const floats32 = (x: Float64Array): Tensor => ({
  dtype: 'float32',
  shape: [x.length],
  source: { kind: 'bytes', bytes: new Uint8Array(Float32Array.from(x).buffer) },
});
