/** Bodies of the recurrent operators that a model uses, made for what its nodes use. */

import { smallValues } from '../../../graph/numeric.ts';
import type { Func, Model, Node } from '../../../graph/types.ts';
import { attrInt } from '../../../match/view.ts';
import type { Editor } from '../../editor.ts';
import { float32s } from '../../make.ts';
import { DOMAIN } from '../function.ts';
import { CONV_INPUTS, convBody, SCAN_INPUTS, scanBody } from './bodies.ts';

/** No gate, and no scale of it: [1]. */
export const ONE = 'qc/one';

/** No steps: zeros with as many axes as steps have (1, the state's 2), and one more in front where lowest codes stand beside them. */
export function withoutSteps(e: Editor, axes: number, bounded: boolean): string {
  const shape = [...(bounded ? [2] : []), ...Array<number>(axes).fill(1)];
  return e.shared(`qc/no-steps/${shape.join('×')}`, () => float32s(Array<number>(bounded ? 2 : 1).fill(0), shape));
}

/** Are there steps in this constant? */
export const hasSteps = (model: Model, name: string): boolean => {
  const t = model.graph.initializers.get(name);
  const few = t && t.shape.reduce((a, b) => a * b, 1) <= 2 ? smallValues(t, 2) : undefined;
  return few?.every((x) => x === 0) !== true;
};
/** Is an input one constant number? By its value: equal constants of a model are merged under any name. */
export const isNumber = (model: Model, name: string, value: number): boolean => {
  const t = model.graph.initializers.get(name);
  return t?.shape.every((d) => d === 1) === true && smallValues(t, 1)?.[0] === value;
};

const PORTS = ['state', 'x', 'dt', 'B', 'C', 'z'];
const OPERATORS = ['SelectiveScan', 'SelectiveScanInt8', 'CausalConv1d', 'CausalConv1dInt8'];

function body(model: Model, name: string, nodes: readonly Node[], opset: number): Func {
  const codes = name.endsWith('Int8');
  const input = (n: Node, inputs: readonly string[], of: string) => n.inputs[inputs.indexOf(of)] ?? '';
  const steps = (n: Node, inputs: readonly string[], of: string) => hasSteps(model, input(n, inputs, of));
  // Of the steps of one model all have lowest codes beside them, or none.
  const axes = (n: Node, inputs: readonly string[], of: string) => model.graph.initializers.get(input(n, inputs, of))?.shape.length ?? 0;
  const some = (f: (n: Node) => boolean) => nodes.some(f);
  if (name.startsWith('Causal'))
    return convBody(opset, name, codes, {
      silu: some((n) => attrInt(n, 'silu', 0) === 1),
      rounded: some((n) => steps(n, CONV_INPUTS, 'x_scale')),
      bounded: some((n) => axes(n, CONV_INPUTS, 'x_scale') > 1),
      codes: some((n) => steps(n, CONV_INPUTS, 'weight_scale')),
    });
  return scanBody(opset, name, codes, {
    gated: some((n) => !isNumber(model, input(n, SCAN_INPUTS, 'z'), 1)),
    gateScale: some((n) => !isNumber(model, input(n, SCAN_INPUTS, 'gate_scale'), 1)),
    softplus: some((n) => attrInt(n, 'softplus', 0) === 1),
    bounded: some((n) => axes(n, SCAN_INPUTS, 'state_scale') > 2),
    rounded: new Set(PORTS.filter((p) => some((n) => steps(n, SCAN_INPUTS, `${p}_scale`)))),
  });
}

/** The model with the bodies of its recurrent operators; those that it had are made anew. */
export function declareStates(model: Model): Model {
  const opset = model.opsets.get('') ?? 13;
  const own = (n: { readonly domain: string }) => n.domain === DOMAIN;
  const used = OPERATORS.flatMap((name) => {
    const nodes = model.graph.nodes.filter((n) => own(n) && n.op === name);
    return nodes.length ? [body(model, name, nodes, opset)] : [];
  });
  const others = model.functions.filter((f) => !(own(f) && OPERATORS.includes(f.name)));
  if (used.length === 0) return others.length === model.functions.length ? model : { ...model, functions: others };
  return { ...model, opsets: new Map(model.opsets).set(DOMAIN, 1), functions: [...others, ...used] };
}
