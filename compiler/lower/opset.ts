/**
 * Raises the default operator set of a model. Each rule says at which version an operator changed its form and how a node is rewritten;
 * operators without a rule kept their meaning (types were added, or attributes whose default is the old behaviour).
 * Source: the operators' change log in the ONNX repository, versions 11 to 25.
 */
import { fail } from '../../grammar/diagnostics.ts';
import type { Attr, Graph, Model, Node } from '../graph/types.ts';
import { subgraphs } from '../graph/walk.ts';
import { int64s, node } from './make.ts';

/** IR version that came with each operator set. */
const irOf: readonly (readonly [opset: number, ir: number])[] = [
  [25, 13],
  [24, 12],
  [23, 11],
  [21, 10],
  [19, 9],
  [15, 8],
  [12, 7],
  [11, 6],
];

/** Writes the new form of a node: nodes that come before it, then itself (changed), then nodes behind it. `fresh` yields names. */
type Rule = (n: Node, fresh: (base: string) => string) => Node[];

const int = (n: Node, name: string): number | undefined => {
  const a: Attr | undefined = n.attrs.get(name);
  return a?.type === 'int' ? Number(a.value) : undefined;
};

/** A list attribute becomes the input at `index`. */
const listToInput =
  (name: string, index: number): Rule =>
  (n, fresh) => {
    const a = n.attrs.get(name);
    n.attrs.delete(name);
    if (a?.type !== 'ints') return [n];
    const value = fresh(`${n.outputs[0]}/${name}`);
    const constant = node('Constant', [], [value]);
    constant.attrs.set('value', { type: 'tensor', value: int64s(a.value.map(Number)) });
    while (n.inputs.length < index) n.inputs.push('');
    n.inputs[index] = value;
    return [constant, n];
  };

/** Softmax and its kin flattened the axes from `axis` on; now they work along one axis. */
const unflatten: Rule = (n, fresh) => {
  const axis = int(n, 'axis') ?? 1;
  if (axis === -1) return [n];
  const [x = '', y = ''] = [n.inputs[0], n.outputs[0]];
  const names = { flat: fresh(`${y}/flat`), rows: fresh(`${y}/rows`), shape: fresh(`${y}/shape`) };
  const inner = node(n.op, [names.flat], [names.rows], { axis: -1 });
  return [
    node('Flatten', [x], [names.flat], { axis }),
    inner,
    node('Shape', [x], [names.shape]),
    node('Reshape', [names.rows, names.shape], [y]),
  ];
};

const dropoutRatio: Rule = (n) => {
  n.attrs.delete('ratio');
  return [n];
};

const splitCount: Rule = (n) => {
  if (n.inputs.length < 2 || n.inputs[1] === '') n.attrs.set('num_outputs', { type: 'int', value: n.outputs.length });
  return [n];
};

const rename =
  (attr: string, names: Readonly<Record<string, string>>): Rule =>
  (n) => {
    const a = n.attrs.get(attr);
    const to = a?.type === 'string' ? names[a.value] : undefined;
    if (to !== undefined) n.attrs.set(attr, { type: 'string', value: to });
    return [n];
  };

const legacyRoi: Rule = (n) => {
  if (!n.attrs.has('coordinate_transformation_mode'))
    n.attrs.set('coordinate_transformation_mode', { type: 'string', value: 'output_half_pixel' });
  return [n];
};

const inferenceOnly: Rule = (n) => {
  n.outputs.splice(1);
  return [n];
};

const refuse: Rule = (n) =>
  fail(
    'opset-raise',
    `${n.op} "${n.name || n.outputs[0]}" changed its meaning between operator sets and is not converted`,
    'export the model with a newer opset',
  );

const reduceAxes = listToInput('axes', 1);

/** Version → operator → rule. */
const rules: Readonly<Record<number, Readonly<Record<string, Rule>>>> = {
  12: { Dropout: dropoutRatio },
  13: {
    Squeeze: listToInput('axes', 1),
    Unsqueeze: listToInput('axes', 1),
    ReduceSum: reduceAxes,
    Split: listToInput('split', 1),
    Softmax: unflatten,
    LogSoftmax: unflatten,
    Hardmax: unflatten,
  },
  14: { BatchNormalization: inferenceOnly },
  16: { RoiAlign: legacyRoi },
  18: {
    ReduceMax: reduceAxes,
    ReduceMin: reduceAxes,
    ReduceMean: reduceAxes,
    ReduceProd: reduceAxes,
    ReduceL1: reduceAxes,
    ReduceL2: reduceAxes,
    ReduceLogSum: reduceAxes,
    ReduceLogSumExp: reduceAxes,
    ReduceSumSquare: reduceAxes,
    Split: splitCount,
  },
  20: { GridSample: rename('mode', { bilinear: 'linear', bicubic: 'cubic' }), DFT: refuse },
  21: { GroupNormalization: refuse },
};

/**
 * Raises the model (in place: an editor's copy) to at least version `to` of the default operators, and the IR version with it.
 * `fresh` yields names that no value has. Errors: opset-raise where an operator cannot be converted.
 */
export function raiseOpset(model: Model, to: number, fresh: (base: string) => string): void {
  const from = model.opsets.get('') ?? 0;
  if (from < to) {
    raiseGraph(model.graph, from, to, fresh);
    model.opsets.set('', to);
  }
  for (const f of model.functions) {
    const at = f.opsets.get('') ?? to;
    if (at >= to) continue;
    f.nodes = raiseNodes(f.nodes, at, to, (base) => `qc/${f.name}/${base}`);
    f.opsets.set('', to);
  }
  const needed = irOf.find(([opset]) => Math.max(from, to) >= opset)?.[1] ?? 0;
  model.irVersion = Math.max(model.irVersion, needed);
}

function raiseGraph(g: Graph, from: number, to: number, fresh: (base: string) => string): void {
  g.nodes = raiseNodes(g.nodes, from, to, fresh);
}

function raiseNodes(nodes: readonly Node[], from: number, to: number, fresh: (base: string) => string): Node[] {
  return nodes.flatMap((n) => {
    for (const s of subgraphs(n)) raiseGraph(s.graph, from, to, fresh);
    if (n.domain !== '') return [n];
    const before: Node[] = [];
    const behind: Node[] = [];
    for (let v = from + 1; v <= to; v++) {
      const rule = rules[v]?.[n.op];
      if (!rule) continue;
      const made = rule(n, fresh);
      const at = made.indexOf(n);
      if (at < 0) return [...before, ...made, ...behind];
      before.push(...made.slice(0, at));
      behind.unshift(...made.slice(at + 1));
    }
    return [...before, n, ...behind];
  });
}
