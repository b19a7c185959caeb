/** Which caches may grow where they lie: the model says so in its metadata, since only the operators of qc.v1 read a past that their output overwrites. */
import type { Model } from '../../graph/types.ts';
import { allNodes } from '../../graph/walk.ts';

/** The metadata's key: `{ "past": "present", … }`, names of inputs and outputs of the model. `loop` of qrecipe/runtime reads it. */
export const IN_PLACE = 'qc.in_place';

/** Inputs of CachedAttention that an output continues: keys, values, their scales, their zero points. */
const GROWN = [
  [3, 1],
  [4, 2],
  [8, 3],
  [9, 4],
  [10, 5],
  [11, 6],
] as const;

/** The model with its growing caches named: inputs that one CachedAttention reads, and nothing else, and what it appends to them. */
export function withGrowing(model: Model): Model {
  const { inputs, outputs } = model.graph;
  const [given, wanted] = [new Set(inputs.map((i) => i.name)), new Set(outputs.map((o) => o.name))];
  // Who only asks for the shape does not read what is overwritten.
  const readers = new Map<string, number>();
  for (const { node } of allNodes(model.graph))
    if (node.op !== 'Shape') for (const v of node.inputs) readers.set(v, (readers.get(v) ?? 0) + 1);
  const pairs: Record<string, string> = {};
  for (const n of model.graph.nodes)
    if (n.domain === 'qc.v1' && n.op.startsWith('CachedAttention'))
      for (const [at, to] of GROWN) {
        const [past, present] = [n.inputs[at] ?? '', n.outputs[to] ?? ''];
        if (given.has(past) && wanted.has(present) && readers.get(past) === 1) pairs[past] = present;
      }
  if (Object.keys(pairs).length === 0) return model;
  return { ...model, metadata: new Map([...model.metadata, [IN_PLACE, JSON.stringify(pairs)]]) };
}
