/** The float model that a quantized one came from, as far as its graph says it; beside it the numbers of its nodes. Nothing is computed. */
import { byteLength } from '../graph/dtype.ts';
import { cloneModel, prune } from '../graph/edit.ts';
import type { Graph, Model, Node, Tensor } from '../graph/types.ts';
import { allNodes, subgraphs } from '../graph/walk.ts';
import type { EvalContext } from '../host.ts';
import { typeOf } from '../match/view.ts';
import { Constants, type Weight } from './constants.ts';
import { type Annotations, NOTED, type WeightFacts } from './facts.ts';
import { follow } from './follow.ts';
import { operators } from './operators.ts';
import type { State } from './states.ts';

/** A tensor that nobody reads: only its type and shape are of interest. */
const unread = (shape: readonly number[]): Tensor => ({
  dtype: 'float32',
  shape,
  source: {
    kind: 'lazy',
    lazy: {
      key: 'ingested',
      part: 'value',
      evaluate: async () => ({ value: new Uint8Array(byteLength('float32', shape)) }),
    },
  },
});

/** The weight's own name: without what quantizers append to it. */
export const baseName = (codes: string): string =>
  codes.replace(/(\/(codes|float16|bfloat16)(_\d+)?|_quantized|_(Q|q)\d\w*|_DequantizeLinear\/quantized|\.qweight)$/, '');

/** One graph on its way. */
export class Reading {
  readonly nodes: Node[] = [];
  readonly states = new Map<string, State>();
  readonly constants: Constants;
  readonly graph: Graph;
  readonly model: Model;
  readonly notes: Annotations;
  readonly outer: Reading | undefined;
  private readonly made = new Map<string, string>();

  constructor(model: Model, graph: Graph, notes: Annotations, ctx: Pick<EvalContext, 'bytes'>, outer?: Reading) {
    this.model = model;
    this.graph = graph;
    this.notes = notes;
    this.outer = outer;
    this.constants = new Constants(graph, ctx, outer?.constants);
  }

  state(value: string): State | undefined {
    return this.states.get(value) ?? (this.graph.inputs.some((i) => i.name === value) ? undefined : this.outer?.state(value));
  }
  shape(value: string): readonly (number | string)[] | undefined {
    const known =
      this.graph.initializers.get(value)?.shape ??
      this.graph.values.get(value)?.shape ??
      this.graph.inputs.find((i) => i.name === value)?.shape;
    return known ?? this.outer?.shape(value);
  }

  /** A float initializer in the main graph in place of a quantized one; one for each name and shape. */
  initializer(base: string, shape: readonly number[], tensor: Tensor = unread(shape)): string {
    const key = `${base}|${shape.join()}|${tensor.source.kind}`;
    const root = this.root;
    const known = root.made.get(key);
    if (known !== undefined) return known;
    const { initializers } = root.graph;
    let name = base;
    const same = (n: string) =>
      initializers.get(n)?.shape.join() === shape.join() && initializers.get(n)?.dtype === 'float32' && tensor.source.kind === 'lazy';
    for (let i = 1; initializers.has(name) && !same(name); i++) name = `${base}.${i}`;
    if (!initializers.has(name)) initializers.set(name, tensor);
    root.made.set(key, name);
    return name;
  }
  private get root(): Reading {
    return this.outer?.root ?? this;
  }

  add(n: Node): void {
    this.nodes.push(n);
  }

  /** A node of the float model. Its name is the one that exporters give the node behind that value, so that its module is known. */
  emit(op: string, inputs: string[], output: string, from: Node, attrs: Node['attrs'] = new Map()): Node {
    const name = /_output_\d+/.test(output) ? output.replace(/_output_\d+.*$/, '') : from.name.replace(/(_quant|_Q\d+|_matmul_quant)$/, '');
    const n: Node = {
      name,
      op,
      domain: '',
      inputs,
      outputs: [output],
      attrs: new Map(attrs),
      ...(from.metadata ? { metadata: from.metadata } : {}),
    };
    this.nodes.push(n);
    return n;
  }

  /** A constant operand as a float initializer behind the Transposes that it stands behind. `facts` are those of the weight. */
  async weight(value: string, more: Partial<WeightFacts> = {}): Promise<{ name: string; weight: Weight } | undefined> {
    const n = this.constants.producer(value);
    if (n?.op === 'Transpose' || n?.op === 'Identity') {
      const inner = await this.weight(n.inputs[0] ?? '', more);
      if (!inner) return undefined;
      if (n.op === 'Identity') return inner;
      const name = `${value}/float`;
      if (!this.made.has(name)) {
        this.made.set(name, name);
        this.nodes.push({ ...n, name: `${n.name}/float`, inputs: [inner.name], outputs: [name] });
      }
      return { ...inner, name };
    }
    const w = await this.constants.weight(value);
    const shape = this.constants.tensor(value)?.shape ?? this.shape(value) ?? w?.tensor.shape;
    if (!w || !shape?.every((d): d is number => typeof d === 'number')) return undefined;
    return { name: this.initializer(baseName(w.name), shape as number[]), weight: { ...w, ...more } };
  }

  note(node: Node, weight: WeightFacts): void {
    const { format, bits, symmetric, scales, scaleShape, block } = weight;
    this.notes.weights.set(node.outputs[0] ?? '', {
      format,
      bits,
      symmetric,
      scales,
      ...(scaleShape ? { scaleShape } : {}),
      ...(block ? { block } : {}),
    });
  }

  /** A node as it stands, with what its inputs are known to be. */
  async copy(n: Node): Promise<void> {
    const inputs = await Promise.all(
      n.inputs.map(async (v, i) => {
        const s = this.state(v);
        if (s?.kind === 'fake') {
          this.notes.inputs.set(`${n.outputs[0]}#${i}`, s.facts);
          return s.x;
        }
        if (
          v === '' ||
          n.op === 'DequantizeLinear' ||
          n.op === 'QuantizeLinear' ||
          !this.constants.is(v) ||
          this.constants.is(n.outputs[0] ?? '')
        )
          return v;
        const small = await this.constants.small(v);
        if (small) return this.initializer(`${v}/float`, small.shape, small);
        const found = this.constants.tensor(v) ? undefined : await this.constants.weight(v);
        if (!found?.done) return v;
        const w = await this.weight(v);
        if (!w) return v;
        if (!found.bias) this.note(n, w.weight);
        return w.name;
      }),
    );
    const attrs = new Map(n.attrs);
    const inside = new Map<Graph, Graph>();
    for (const s of subgraphs(n)) inside.set(s.graph, await read(this.model, s.graph, this.notes, this.constants, this));
    for (const [k, a] of attrs) {
      if (a.type === 'graph') attrs.set(k, { ...a, value: inside.get(a.value) ?? a.value });
      else if (a.type === 'graphs') attrs.set(k, { ...a, value: a.value.map((g) => inside.get(g) ?? g) });
    }
    this.nodes.push({ ...n, inputs, attrs });
  }
}

async function read(
  model: Model,
  graph: Graph,
  notes: Annotations,
  ctx: Constants | Pick<EvalContext, 'bytes'>,
  outer?: Reading,
): Promise<Graph> {
  const bytes = ctx instanceof Constants ? ctx.context : ctx;
  const r = new Reading(model, graph, notes, bytes, outer);
  for (const n of graph.nodes) {
    const rule = operators[typeOf(n)];
    if (rule && (await rule(r, n))) continue;
    await r.copy(n);
    const s = await follow(r, n);
    if (s) r.states.set(n.outputs[0] ?? '', s);
  }
  // An output of the graph that went through codes is the value itself.
  for (const o of graph.outputs) {
    const s = r.states.get(o.name);
    if (s?.kind === 'fake') {
      r.nodes.splice(0, r.nodes.length, ...r.nodes.filter((n) => !n.outputs.includes(o.name)));
      r.add({ name: `${o.name}/float`, op: 'Identity', domain: '', inputs: [s.x], outputs: [o.name], attrs: new Map() });
    }
  }
  graph.nodes = r.nodes;
  return graph;
}

/** Reads a model whose types were inferred. Initializers of weights in codes become float ones of the same name that nobody can read. */
export async function floats(
  source: Model,
  ctx: Pick<EvalContext, 'bytes'>,
): Promise<{ model: Model; notes: Annotations; left: Map<string, number> }> {
  const model = cloneModel(source);
  const notes: Annotations = { weights: new Map(), inputs: new Map() };
  await read(model, model.graph, notes, ctx);
  for (const { node: n } of allNodes(model.graph)) {
    const out = n.outputs[0] ?? '';
    if (notes.weights.has(out) || n.inputs.some((_, i) => notes.inputs.has(`${out}#${i}`)))
      n.metadata = new Map([...(n.metadata ?? []), [NOTED, out]]);
  }
  model.functions = model.functions.filter((f) => f.domain !== 'qc.v1');
  const pruned = prune(model);
  const left = new Map<string, number>();
  for (const n of pruned.graph.nodes)
    if (/Quantize|Integer|NBits|^Q(Linear|Gemm|Attention|Embed|MoE)/.test(n.op)) left.set(n.op, (left.get(n.op) ?? 0) + 1);
  for (const v of pruned.graph.values.keys()) pruned.graph.values.delete(v);
  return { model: pruned, notes, left };
}
