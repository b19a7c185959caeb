/**
 * Float parts of a lowered model as operators of qc.v1: a norm, a gated activation, an attention with its cache are one node each. What is
 * quantized inside is not found by the patterns and stays as it is.
 */
import type { Func, Model, Node } from '../../graph/types.ts';
import type { View } from '../../match/view.ts';
import { Editor } from '../editor.ts';
import { type AttrValue, node } from '../make.ts';
import { DOMAIN } from './function.ts';
import attention from './fused/attention.ts';
import rmsNorm from './fused/rmsnorm.ts';
import siluMul from './fused/silumul.ts';

/** Where an operator takes the place of nodes. */
export interface Place {
  readonly inputs: readonly string[];
  readonly attrs: Readonly<Record<string, AttrValue>>;
  /** The values that it yields, in the order of its outputs. */
  readonly outputs: readonly string[];
}
/** An operator, its body, where it fits. */
export interface Fusion {
  readonly name: string;
  body(opset: number): Func;
  find(v: View, e: Editor): readonly Place[];
}

const fusions: readonly Fusion[] = [rmsNorm, siluMul, attention];

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

/** The model with its float parts fused; the source stays as it is. */
export function fuse(model: Model): Model {
  const first = model.graph.nodes[0];
  const opset = model.opsets.get('') ?? 0;
  if (!first || opset < 13) return model;
  const e = new Editor(model);
  const at = e.copyOf(first);
  const v = at && e.view(at);
  if (!v) return model;
  let changed = false;
  for (const fusion of fusions)
    for (const { inputs, attrs, outputs } of fusion.find(v, e)) {
      const replaced = outputs.map((o) => v.producer(o)).filter((n): n is Node => n !== undefined);
      if (replaced.length !== outputs.length || replaced.some((n) => n.outputs.length !== 1) || comesFrom(v, inputs, new Set(replaced)))
        continue;
      const fused = node(`${DOMAIN}.${fusion.name}`, inputs, outputs, attrs);
      for (const [i, n] of replaced.entries()) e.replace(n, i === 0 ? [fused] : []);
      e.model.opsets.set(DOMAIN, 1);
      if (!e.model.functions.some((f) => f.domain === DOMAIN && f.name === fusion.name)) e.model.functions.push(fusion.body(opset));
      changed = true;
    }
  return changed ? e.finish() : model;
}
