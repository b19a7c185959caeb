/**
 * Parts of a lowered model as operators of qc.v1: a norm, a gated activation, an attention with its cache are one node each; then the residual
 * before a norm and the rounding behind it become part of it.
 */
import type { Func, Model, Node } from '../../graph/types.ts';
import { allNodes } from '../../graph/walk.ts';
import type { View } from '../../match/view.ts';
import { Editor } from '../editor.ts';
import { type AttrValue, node } from '../make.ts';
import { DOMAIN } from './function.ts';
import { addLayerNorm, addRmsNorm } from './fused/addnorm.ts';
import { attentions } from './fused/attention.ts';
import cachedAffine from './fused/cachedaffine.ts';
import { geluQuantize, gelus } from './fused/gelu.ts';
import hadamard, { hadamardQuantize } from './fused/hadamard.ts';
import layerNorm from './fused/layernorm.ts';
import { levelsMatMul } from './fused/levelsmatmul.ts';
import { normQuantize } from './fused/normquantize.ts';
import attention from './fused/plainattention.ts';
import quantizeRows from './fused/quantizerows.ts';
import rmsNorm from './fused/rmsnorm.ts';
import { roundedRowsFusions } from './fused/roundedrows.ts';
import siluMul from './fused/silumul.ts';
import siluScaled from './fused/siluscaled.ts';

/** Where an operator takes the place of nodes. */
export interface Place {
  readonly inputs: readonly string[];
  readonly attrs: Readonly<Record<string, AttrValue>>;
  /** The values that it yields, in the order of its outputs. */
  readonly outputs: readonly string[];
  /** The nodes whose place it takes, if they are not simply those that yield its outputs. None: it stands behind its first input. */
  readonly replaces?: readonly Node[];
  /** Makes others read what is new. */
  rewire?(): void;
}
/** An operator, its body, where it fits. */
export interface Fusion {
  readonly name: string;
  body(name: string, opset: number): Func;
  find(v: View, e: Editor): readonly Place[];
}

/** Each stage sees what the ones before it made. */
const stages: readonly (readonly Fusion[])[] = [
  [attention, ...attentions],
  [layerNorm, rmsNorm, siluMul, siluScaled, hadamard, ...gelus, cachedAffine, ...roundedRowsFusions],
  [addRmsNorm, addLayerNorm],
  [...normQuantize, ...hadamardQuantize, ...geluQuantize],
  [quantizeRows, ...levelsMatMul],
];

/** Does any of `inputs` come from one of `nodes`? */
function comesFrom(v: View, inputs: readonly string[], nodes: ReadonlySet<Node>): boolean {
  const seen = new Set<Node>();
  const left = [...inputs];
  for (let value = left.pop(); value !== undefined; value = left.pop()) {
    const n = v.producer(value);
    if (!n || seen.has(n)) continue;
    if (nodes.has(n)) return true;
    seen.add(n);
    left.push(...n.inputs);
  }
  return false;
}

/** What a model that is only run gains most from. */
const floats: readonly Fusion[] = [attention, ...attentions, layerNorm, rmsNorm, siluMul];

/** The model with its attentions, norms and gates fused, for a session with our kernels. */
export const fuseFloats = (model: Model): Model => ((model.opsets.get('') ?? 0) < 13 ? model : stage(model, floats));

/** The model with its parts fused; the source stays as it is. */
export function fuse(model: Model): Model {
  if ((model.opsets.get('') ?? 0) < 13) return model;
  return stages.reduce(stage, model);
}

function stage(model: Model, fusions: readonly Fusion[]): Model {
  const first = model.graph.nodes[0];
  if (!first) return model;
  const e = new Editor(model);
  const at = e.copyOf(first);
  const v = at && e.view(at);
  if (!v) return model;
  const gone = new Set<Node>();
  let changed = false;
  for (const fusion of fusions)
    for (const { inputs, attrs, outputs, replaces, rewire } of fusion.find(v, e)) {
      const replaced = replaces ?? outputs.map((o) => v.producer(o)).filter((n): n is Node => n !== undefined);
      if (!replaces && (replaced.length !== outputs.length || replaced.some((n) => n.outputs.length !== 1))) continue;
      if (replaced.some((n) => gone.has(n)) || comesFrom(v, inputs, new Set(replaced))) continue;
      const fused = node(`${DOMAIN}.${fusion.name}`, inputs, outputs, attrs);
      if (replaced.length === 0) e.behind(inputs[0]!, first, [fused]);
      for (const [i, n] of replaced.entries()) {
        e.replace(n, i === 0 ? [fused] : []);
        gone.add(n);
      }
      rewire?.();
      e.model.opsets.set(DOMAIN, 1);
      if (!e.model.functions.some((f) => f.domain === DOMAIN && f.name === fusion.name))
        e.model.functions.push(fusion.body(fusion.name, model.opsets.get('') ?? 13));
      changed = true;
    }
  return changed ? pruned(e.finish()) : model;
}

/** Bodies that no node has any more are dropped. */
function pruned(model: Model): Model {
  const used = new Set([...allNodes(model.graph)].map(({ node: n }) => `${n.domain}.${n.op}`));
  return { ...model, functions: model.functions.filter((f) => f.domain !== DOMAIN || used.has(`${f.domain}.${f.name}`)) };
}
