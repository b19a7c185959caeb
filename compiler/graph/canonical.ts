/** What exporters leave in graphs that are to be run, not trained: taken out before roles are found. */
import { elements } from './dtype.ts';
import { cloneModel, constantOf, consumers, freshNames, producers, prune, replaceUses } from './edit.ts';
import { inlineFunctions } from './functions.ts';
import { fromFloat32, toFloat64 } from './numeric.ts';
import type { Graph, LazyTensor, Model, Node, Tensor } from './types.ts';
import { allGraphs } from './walk.ts';

/**
 * The same function in fewer forms: model-local functions inlined, Dropout and Identity gone, constants of Constant nodes above 64 elements made
 * initializers, BatchNormalization folded into the Conv before it, inputs that have a default value (as IR 3 demands of every weight) fixed to it. Names of weights and of graph inputs and outputs stay. The source is untouched.
 */
export function canonicalize(source: Model): Model {
  const model = cloneModel(inlineFunctions(source));
  const fresh = freshNames(model);
  fixDefaults(model);
  for (const g of allGraphs(model.graph)) {
    liftConstants(g);
    dropCopies(g);
    foldBatchNorms(g, fresh);
  }
  return prune(model);
}

/** An initializer is a constant only where it is not an input too; since IR 4 it need not be one. */
function fixDefaults(m: Model): void {
  m.irVersion = Math.max(m.irVersion, 4);
  m.graph.inputs = m.graph.inputs.filter((v) => !m.graph.initializers.has(v.name));
}

/** Weights are where every pass looks for them. */
function liftConstants(g: Graph): void {
  g.nodes = g.nodes.filter((n) => {
    const a = n.domain === '' && n.op === 'Constant' ? n.attrs.get('value') : undefined;
    if (a?.type !== 'tensor' || elements(a.value.shape) <= 64) return true;
    g.initializers.set(n.outputs[0]!, a.value);
    return false;
  });
}

/** Identity, and Dropout that does nothing: readers get the original. Copies that are graph outputs stay. */
function dropCopies(g: Graph): void {
  const outputs = new Set(g.outputs.map((v) => v.name));
  const readers = consumers(g);
  const names = new Map<string, string>();
  g.nodes = g.nodes.filter((n) => {
    const [value, mask] = n.outputs;
    const copies =
      n.domain === '' &&
      (n.op === 'Identity' || (n.op === 'Dropout' && idle(g, n) && !(mask !== undefined && (readers.has(mask) || outputs.has(mask)))));
    if (!copies || value === undefined || outputs.has(value)) return true;
    // nodes are in order, so the input of a copy of a copy is known already
    names.set(value, names.get(n.inputs[0]!) ?? n.inputs[0]!);
    return false;
  });
  replaceUses(g, names);
}

/** Dropout outside training: training_mode absent or constant false. */
function idle(g: Graph, n: Node): boolean {
  const mode = n.inputs[2] ?? '';
  if (mode === '') return true;
  const flag = constantOf(g, producers(g), mode)?.tensor.source;
  return flag?.kind === 'bytes' && flag.bytes[0] === 0;
}

const vectors = ['scale', 'bias', 'mean', 'variance'] as const;

/**
 * y = γ·(conv(x) − μ)/√(σ² + ε) + β is a convolution with W·f and (b − μ)·f + β, f = γ/√(σ² + ε); computed in float64, kept in the weight's type.
 * Only where the convolution has no other reader.
 */
function foldBatchNorms(g: Graph, fresh: (base: string) => string): void {
  const made = producers(g);
  const outputs = new Set(g.outputs.map((v) => v.name));
  const readers = consumers(g);
  const gone = new Set<Node>();
  for (const bn of g.nodes) {
    const conv = bn.domain === '' && bn.op === 'BatchNormalization' ? made.get(bn.inputs[0]!) : undefined;
    if (conv?.op !== 'Conv' || conv.domain !== '') continue;
    const between = conv.outputs[0]!;
    if (readers.get(between)?.length !== 1 || outputs.has(between) || bn.outputs.slice(1).some((o) => readers.has(o) || outputs.has(o)))
      continue;
    if (number(bn, 'training_mode', 0) !== 0) continue;
    const weight = constantOf(g, made, conv.inputs[1]!);
    const old = (conv.inputs[2] ?? '') === '' ? undefined : constantOf(g, made, conv.inputs[2]!);
    const parts = vectors.map((_, i) => constantOf(g, made, bn.inputs[i + 1]!)?.tensor);
    const dtype = weight?.tensor.dtype;
    if (weight === undefined || parts.includes(undefined) || ((conv.inputs[2] ?? '') !== '' && old === undefined)) continue;
    if (dtype !== 'float32' && dtype !== 'float16' && dtype !== 'float64') continue;
    const f = folded(weight.name, weight.tensor, dtype, old?.tensor, parts as Tensor[], number(bn, 'epsilon', 1e-5));
    // a weight that others read keeps its name for them
    const alone = (name: string): boolean => readers.get(name)?.length === 1;
    const w =
      alone(conv.inputs[1]!) && g.initializers.has(weight.name) && alone(weight.name) ? weight.name : fresh(`${weight.name}.folded`);
    const b = fresh(weight.name.replace(/(\.weight)?$/, '.bias'));
    g.initializers.set(w, f.weight);
    g.initializers.set(b, f.bias);
    conv.inputs = [conv.inputs[0]!, w, b];
    conv.outputs = [bn.outputs[0]!];
    gone.add(bn);
  }
  g.nodes = g.nodes.filter((n) => !gone.has(n));
}

const number = (n: Node, name: string, fallback: number): number => {
  const a = n.attrs.get(name);
  return a?.type === 'float' || a?.type === 'int' ? Number(a.value) : fallback;
};

function folded(
  name: string,
  weight: Tensor,
  dtype: 'float32' | 'float16' | 'float64',
  bias: Tensor | undefined,
  vectorsOf: Tensor[],
  epsilon: number,
): { weight: Tensor; bias: Tensor } {
  const out = weight.shape[0]!;
  const evaluate: LazyTensor['evaluate'] = async (ctx) => {
    const numbers = async (t: Tensor): Promise<Float64Array> => toFloat64(t.dtype, await ctx.bytes(t), elements(t.shape));
    const [scale, shift, mean, variance] = (await Promise.all(vectorsOf.map(numbers))) as [
      Float64Array,
      Float64Array,
      Float64Array,
      Float64Array,
    ];
    const w = await numbers(weight);
    const b = bias === undefined ? new Float64Array(out) : await numbers(bias);
    const row = w.length / out;
    for (let o = 0; o < out; o++) {
      const f = scale[o]! / Math.sqrt(variance[o]! + epsilon);
      for (let i = o * row; i < (o + 1) * row; i++) w[i] = w[i]! * f;
      b[o] = (b[o]! - mean[o]!) * f + shift[o]!;
    }
    return { weight: fromFloat32(dtype, w), bias: fromFloat32(dtype, b) };
  };
  const lazy = (part: string, shape: readonly number[]): Tensor => ({
    dtype,
    shape,
    source: { kind: 'lazy', lazy: { key: `batchnorm:${name}`, part, evaluate } },
  });
  return { weight: lazy('weight', weight.shape), bias: lazy('bias', [out]) };
}
