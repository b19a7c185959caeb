/** The law of each level of the pipeline, as a table of small checks. A level obeys its own rules and those of `always`. */
import { nodeLabel } from './decode.ts';
import { byteLength } from './dtype.ts';
import { functionOf } from './infer.ts';
import type { Graph, Model, Node } from './types.ts';
import { allGraphs, allNodes, freeNames, uses } from './walk.ts';

export type Level = 'float' | 'rewritten' | 'lowered';

/** One rule; yields a sentence for every breach. */
interface Rule {
  readonly name: string;
  readonly levels: readonly Level[] | 'always';
  readonly check: (m: Model) => Iterable<string>;
}

const label = (n: Node): string => nodeLabel(n.op, n.name, n.outputs);

const quantizedOps = /^(Quantize|Dequantize|DynamicQuantize|QLinear|QGemm|MatMulNBits|MatMulInteger|ConvInteger|GatherBlockQuantized)/;

const rules: readonly Rule[] = [
  {
    name: 'defined-once',
    levels: 'always',
    *check(m) {
      for (const g of allGraphs(m.graph)) {
        const seen = new Set<string>(g.initializers.keys());
        for (const o of g.nodes.flatMap((n) => n.outputs)) {
          if (o !== '' && seen.has(o)) yield `"${o}" is defined twice in ${g.name}`;
          seen.add(o);
        }
      }
    },
  },
  {
    name: 'closed',
    levels: 'always',
    *check(m) {
      for (const name of freeNames(m.graph)) yield `"${name}" is used and defined nowhere`;
    },
  },
  {
    name: 'ordered',
    levels: 'always',
    *check(m) {
      for (const g of allGraphs(m.graph)) yield* disorder(g);
    },
  },
  {
    name: 'domains-imported',
    levels: 'always',
    *check(m) {
      for (const { node } of allNodes(m.graph))
        if (!m.opsets.has(node.domain)) yield `${label(node)} is of the domain "${node.domain}", which the model does not import`;
    },
  },
  {
    name: 'tensors-fit',
    levels: 'always',
    *check(m) {
      for (const g of allGraphs(m.graph)) {
        for (const [name, t] of g.initializers) {
          const size = t.source.kind === 'bytes' ? t.source.bytes.length : t.source.kind === 'file' ? t.source.len : undefined;
          if (size !== undefined && size !== byteLength(t.dtype, t.shape)) yield `"${name}" (${t.dtype} [${t.shape}]) has ${size} bytes`;
        }
      }
    },
  },
  {
    name: 'names-unique',
    levels: ['lowered'],
    *check(m) {
      const seen = new Set<string>();
      for (const n of m.graph.nodes) {
        if (n.name !== '' && seen.has(n.name)) yield `two nodes are called "${n.name}"`;
        seen.add(n.name);
      }
    },
  },
  {
    name: 'float-compute',
    levels: ['float'],
    *check(m) {
      for (const { node } of allNodes(m.graph)) if (quantizedOps.test(node.op)) yield `${label(node)} is quantized already`;
    },
  },
  {
    name: 'no-dead-calls',
    levels: ['lowered'],
    *check(m) {
      const called = new Set([...allNodes(m.graph)].flatMap(({ node }) => functionOf(m, node) ?? []));
      for (const f of m.functions) for (const n of f.nodes) called.add(functionOf(m, n) ?? f);
      for (const f of m.functions) if (!called.has(f)) yield `nobody calls the function "${f.name}"`;
    },
  },
];

function* disorder(g: Graph): Generator<string> {
  const later = new Set(g.nodes.flatMap((n) => n.outputs));
  for (const n of g.nodes) {
    for (const name of uses(n)) if (later.has(name)) yield `${label(n)} reads "${name}" before it is made`;
    for (const o of n.outputs) later.delete(o);
  }
}

/** Every breach of the level's law, as `rule: sentence`; empty for a legal model. */
export const breaches = (m: Model, level: Level): string[] =>
  rules
    .filter((r) => r.levels === 'always' || r.levels.includes(level))
    .flatMap((r) => [...r.check(m)].map((sentence) => `${r.name}: ${sentence}`));
