/**
 * Reference bodies of the recurrent operators. They are written for the sites of one model: what none of them uses (a gate, rounding of a port) is not
 * in the body, so that a runtime without our kernels does not compute it.
 */
import type { Func, Graph, Node } from '../../../graph/types.ts';
import { node } from '../../make.ts';
import { Body } from '../function.ts';

/** What some site uses of a selective scan. */
export interface ScanUse {
  readonly gated: boolean;
  readonly gateScale: boolean;
  readonly softplus: boolean;
  /** Do steps have two rows, the second the lowest codes? */
  readonly bounded: boolean;
  readonly rounded: ReadonlySet<string>;
}
export interface ConvUse {
  readonly silu: boolean;
  readonly rounded: boolean;
  readonly bounded: boolean;
  readonly codes: boolean;
}

export const SCAN_INPUTS = [
  'state',
  'x',
  'dt',
  'B',
  'C',
  'z',
  'A',
  'D',
  'state_scale',
  'x_scale',
  'dt_scale',
  'B_scale',
  'C_scale',
  'z_scale',
  'gate_scale',
];
export const CONV_INPUTS = ['x', 'state', 'weight', 'bias', 'weight_scale', 'x_scale'];

type Op = (op: string, inputs: readonly string[], attrs?: Record<string, number>) => string;

/** Steps, and the lowest and highest code under them, counted from the zero point. */
interface Steps {
  readonly scale: string;
  readonly low: string;
  readonly high: string;
  /** Lowest codes are one for each scale, not one number. */
  readonly bounded: boolean;
}

/** Steps of an input with one row, or with two. */
function stepsOf(b: Body, name: string, bounded: boolean): Steps {
  if (!bounded) return { scale: name, low: b.float(-128), high: b.float(127), bounded };
  const row = (i: number) => b.op('Gather', [name, b.index(i)], { axis: 0 });
  const low = row(1);
  return { scale: row(0), low, high: b.op('Add', [low, b.float(255)]), bounded };
}

const clipped = (op: Op, x: string, s: Steps): string =>
  s.bounded ? op('Min', [op('Max', [x, s.low]), s.high]) : op('Clip', [x, s.low, s.high]);

/** x in steps: clip(round(x / scale))·scale; x itself where the scale is 0. */
function rounded(op: Op, zero: string, x: string, s: Steps): string {
  const q = clipped(op, op('Round', [op('Div', [x, s.scale])]), s);
  return op('Where', [op('Greater', [s.scale, zero]), op('Mul', [q, s.scale]), x]);
}

/** Bytes as the codes that they stand for: the one of 256 from the lowest on that is equal to it modulo 256. */
function fromBytes(b: Body, bytes: string, s: Steps): string {
  if (!s.bounded) return b.op('Cast', [bytes], { to: 1 });
  const low = b.op('Cast', [s.low], { to: 6 });
  const above = b.op('Mod', [b.op('Sub', [b.op('Cast', [bytes], { to: 6 }), low]), b.int32(256)]);
  return b.op('Cast', [b.op('Add', [low, above])], { to: 1 });
}

/** Codes as bytes: modulo 256. */
function toBytes(b: Body, codes: string, s: Steps, out: string): string {
  if (!s.bounded) return b.op('Cast', [codes], { to: 3 }, out);
  const shifted = b.op('Mod', [b.op('Add', [b.op('Cast', [codes], { to: 6 }), b.int32(128)]), b.int32(256)]);
  return b.op('Cast', [b.op('Sub', [shifted, b.int32(128)])], { to: 3 }, out);
}

/** σ(s·x)·x. */
const silu = (b: Body, x: string, s?: string) => b.op('Mul', [x, b.op('Sigmoid', [s === undefined ? x : b.op('Mul', [x, s])])]);

/** `SelectiveScan`, or `SelectiveScanInt8`. Shapes inside: [batch, groups, heads of a group, width, states]. */
export function scanBody(opset: number, name: string, codes: boolean, use: ScanUse): Func {
  const b = new Body(opset);
  const op: Op = (o, inputs, attrs) => b.op(o, inputs, attrs);
  const zero = b.float(0);
  const round = (port: string, x: string) => (use.rounded.has(port) ? rounded(op, zero, x, stepsOf(b, `${port}_scale`, use.bounded)) : x);
  const [one, rest, dims] = [b.ints([1]), b.ints([-1]), b.ints([0, 0])] as const;
  const shape = b.op('Shape', ['state']);
  const batch = b.slice(shape, 0, 1);
  const states = b.op('Slice', [shape, rest, b.ints([2 ** 31]), b.ints([0])]);
  const sizes = b.attribute('heads');
  const groups = b.slice(sizes, 1, 2);
  const heads = b.op('Div', [b.slice(sizes, 0, 1), groups]);
  const cat = (...parts: string[]) => b.op('Concat', parts, { axis: 0 });
  const shaped = (x: string, ...parts: string[]) => b.op('Reshape', [x, cat(...parts)]);

  const plain = shaped('state', batch, rest, states);
  const size = cat(b.slice(b.op('Shape', [plain]), 1, 2), states);
  const table = (x: string) => shaped(b.op('Expand', [b.op('Transpose', [x], { perm: [1, 0] }), size]), groups, heads, rest, states);
  const given = use.rounded.has('state') ? stepsOf(b, 'state_scale', use.bounded) : undefined;
  const steps = given && {
    ...given,
    scale: table(given.scale),
    ...(given.bounded ? { low: table(given.low), high: table(given.high) } : {}),
  };
  let state = shaped(plain, batch, groups, heads, rest, states);
  if (codes && steps) state = b.op('Mul', [fromBytes(b, state, steps), steps.scale]);
  else if (steps) state = rounded(op, zero, state, steps);

  const delta = use.softplus ? b.op('Where', [b.op('Equal', [b.integerAttribute('softplus'), one]), b.op('Softplus', ['dt']), 'dt']) : 'dt';
  // Time first, then [batch, groups, heads, width, states].
  const time = (x: string) => b.op('Transpose', [x], { perm: [1, 0, 2, 3, 4, 5] });
  const each = (x: string) => shaped(x, dims, groups, heads, rest, one);
  const x = each(round('x', 'x'));
  const B = shaped(round('B', 'B'), dims, groups, one, one, states);
  const C = shaped(round('C', 'C'), dims, groups, one, states, one);
  const A = shaped(b.op('Transpose', ['A'], { perm: [1, 0] }), groups, heads, rest, b.slice(b.op('Shape', ['A']), 0, 1));

  const nodes: Node[] = [];
  let count = 0;
  const step: Op = (o, inputs, attrs = {}) => {
    const out = `s${count++}`;
    nodes.push(node(o, inputs, [out], attrs));
    return out;
  };
  const decay = step('Exp', [step('Mul', ['dt_t', A])]);
  const driven = step('Mul', [step('Mul', ['dt_t', 'x_t']), 'B_t']);
  const next = step('Add', [step('Mul', ['h', decay]), driven]);
  const y = step('MatMul', [next, 'C_t']);
  const kept = steps ? rounded(step, zero, next, steps) : step('Identity', [next]);
  const info = (n: string) => ({ name: n, dtype: 'float32' as const });
  const body: Graph = {
    name: `${name}/step`,
    nodes,
    inputs: ['h', 'dt_t', 'x_t', 'B_t', 'C_t'].map(info),
    outputs: [info(kept), info(y)],
    initializers: new Map(),
    values: new Map(),
  };
  const scan = node('Scan', [state, time(each(round('dt', delta))), time(x), time(B), time(C)], ['h_last', 'y_time'], {
    num_scan_inputs: 4,
  });
  scan.attrs.set('body', { type: 'graph', value: body });
  b.nodes.push(scan);

  if (!codes || !steps) b.op('Reshape', ['h_last', shape], {}, 'state_out');
  else b.op('Reshape', [toBytes(b, b.op('Round', [b.op('Div', ['h_last', steps.scale])]), steps, 'bytes'), shape], {}, 'state_out');
  const ys = b.op('Transpose', ['y_time'], { perm: [1, 0, 2, 3, 4, 5] });
  const skipped = b.op('Mul', [x, shaped('D', groups, heads, rest, one)]);
  const whole = (v: string, out?: string) => b.op('Reshape', [v, b.op('Shape', ['x'])], {}, out);
  const sum = b.op('Add', [ys, skipped]);
  if (!use.gated) whole(sum, 'y');
  else {
    const gate = silu(b, round('z', 'z'), use.gateScale ? 'gate_scale' : undefined);
    const ungated = b.op('Equal', [b.op('Size', [b.op('Shape', ['z'])]), b.op('Squeeze', [one])]);
    b.op('Mul', [whole(sum), b.op('Where', [ungated, b.float(1), gate])], {}, 'y');
  }
  const doc = "h' = h·exp(Δ·A) + (Δ·x)·B; y = (Σ h'·C + D·x)·silu(z)";
  return b.function(name, SCAN_INPUTS, ['y', 'state_out'], ['heads', 'softplus'], doc);
}

/** `CausalConv1d`, or `CausalConv1dInt8`. */
export function convBody(opset: number, name: string, codes: boolean, use: ConvUse): Func {
  const b = new Body(opset);
  const op: Op = (o, inputs, attrs) => b.op(o, inputs, attrs);
  const last = b.ints([2]);
  const column = (x: string) => b.op('Reshape', [x, b.ints([-1, 1])]);
  const given = stepsOf(b, 'x_scale', use.bounded);
  const steps = { ...given, scale: column(given.scale), ...(given.bounded ? { low: column(given.low), high: column(given.high) } : {}) };
  const past = codes ? b.op('Mul', [fromBytes(b, 'state', steps), steps.scale]) : 'state';
  const all = b.op('Concat', [past, b.op('Transpose', ['x'], { perm: [0, 2, 1] })], { axis: 2 });
  const read = use.rounded ? rounded(op, b.float(0), all, steps) : all;
  const turned = b.op('Transpose', [use.codes ? b.op('Mul', [b.op('Cast', ['weight'], { to: 1 }), 'weight_scale']) : 'weight'], {
    perm: [1, 0],
  });
  const w = b.op('Unsqueeze', [turned, b.ints([1])]);
  const sum = b.op('Conv', [read, w, 'bias'], {}, 'sum');
  b.nodes.at(-1)!.attrs.set('group', { type: 'ref', ref: 'channels', of: 'int' });
  const y = use.silu ? b.op('Where', [b.op('Equal', [b.integerAttribute('silu'), b.ints([1])]), silu(b, sum), sum]) : sum;
  b.op('Transpose', [y], { perm: [0, 2, 1] }, 'y');
  const size = b.op('Slice', [b.op('Shape', ['state']), last, b.ints([3]), b.ints([0])]);
  const length = b.op('Slice', [b.op('Shape', [all]), last, b.ints([3]), b.ints([0])]);
  const held = b.op('Slice', [all, b.op('Sub', [length, size]), length, last], {}, codes ? undefined : 'state_out');
  if (codes) toBytes(b, clipped(op, b.op('Round', [b.op('Div', [held, steps.scale])]), steps), steps, 'state_out');
  return b.function(
    name,
    CONV_INPUTS,
    ['y', 'state_out'],
    ['channels', 'silu'],
    'y[t, c] = act(bias[c] + Σ w[k, c]·x[t − K + 1 + k, c]); the state stands before x',
  );
}
