import type { Role } from '../define.ts';
import type { Graph, Node } from '../graph/types.ts';
import { activation, type Draft, type Found, type Known, miss, type Tag } from '../match/draft.ts';
import { MOVES, seekBack, seekForward, traceBack } from '../match/trace.ts';
import { attrInt, createView, typeOf, type View } from '../match/view.ts';
import type { Miss } from '../sites.ts';

const ELEMENTWISE = new Set([...MOVES, 'Mul']);

/** Which inputs of a recurrence's body play which part: state' = state·exp(dt·A) + dt·x·B, y = C·state'. */
interface Body {
  readonly state: string;
  readonly next: string;
  readonly dt: string;
  readonly x: string;
  readonly B: string;
  readonly C: string;
}

/** Inputs of the body that a value is made of, through element-wise operators, nearest first. */
function leaves(v: View, value: string): string[] {
  const out: string[] = [];
  let front = [value];
  for (let depth = 0; depth < 8 && front.length > 0; depth++) {
    const next: string[] = [];
    for (const at of front) {
      const n = v.producer(at);
      if (!n) {
        if (v.isInput(at) && !out.includes(at)) out.push(at);
      } else if (ELEMENTWISE.has(typeOf(n))) next.push(...(MOVES.has(typeOf(n)) ? n.inputs.slice(0, 1) : n.inputs));
    }
    front = next;
  }
  return out;
}

/** Reads the body of a Scan as a selective state space; else says what is missing. */
export function readBody(v: View, body: Graph): Body | string {
  const update = v.nodes('Add').find((n) => body.outputs.some((o) => v.origin(o.name) === n.outputs[0]));
  if (!update) return 'no output of its body is a sum (the next state)';
  const decay = v.nodes('Exp')[0];
  if (!decay) return 'its body has no exp (the decay of the state)';
  const decays = (value: string) => seekBack(v, value, ELEMENTWISE, (n) => n === decay) !== undefined;
  const kept = update.inputs.findIndex(decays);
  if (kept < 0) return 'neither term of its next state decays';
  const state = leaves(v, update.inputs[kept]!)[0];
  const [dt] = leaves(v, decay.inputs[0]!);
  const driven = update.inputs[1 - kept]!;
  const terms = leaves(v, driven).filter((i) => i !== dt);
  const out = v
    .nodes('MatMul', 'Mul', 'Einsum')
    .find((n) => n.inputs.some((i) => i === update.outputs[0]) && n.outputs[0] !== update.outputs[0]);
  const other = out?.inputs.find((i) => i !== update.outputs[0]);
  const C = other === undefined ? undefined : leaves(v, other)[0];
  if (state === undefined || dt === undefined || terms.length !== 2 || C === undefined) {
    return 'its next state is not state·exp(dt·A) + dt·x·B with an output C·state';
  }
  const [a, b] = terms as [string, string];
  // B has the shape of C; where x has it too, x is the one that dt scales before the outer product
  const like = (i: string) => JSON.stringify(v.shape(i)) === JSON.stringify(v.shape(C));
  const scaled = (i: string) => {
    const first = seekForward(v, i, MOVES, (n) => typeOf(n) === 'Mul');
    return first?.node.inputs.some((k) => leaves(v, k).join() === dt) === true;
  };
  const xFirst = v.shape(C) && like(a) !== like(b) ? like(b) : scaled(a);
  return { state, next: update.outputs[0]!, dt, x: xFirst ? a : b, B: xFirst ? b : a, C };
}

/** Back through Transpose, and the repeats that give each head its group's B and C, to the value as [batch, time, …]. */
function laidOut(v: View, value: string): string {
  let at = value;
  let moved = false; // only the transposition of time and batch: one before it may bring channels to the front
  for (let n = v.producer(at); n && (typeOf(n) === 'Identity' || (typeOf(n) === 'Transpose' && !moved)); n = v.producer(at)) {
    moved ||= typeOf(n) === 'Transpose';
    at = n.inputs[0]!;
  }
  const expand = seekBack(v, at, new Set(['Reshape', 'Identity']), (n) => typeOf(n) === 'Expand' || typeOf(n) === 'Tile');
  const repeated = expand && seekBack(v, expand.node.inputs[0]!, new Set(['Unsqueeze', 'Reshape']), (n) => typeOf(n) !== 'Unsqueeze');
  return repeated ? repeated.value : at;
}

function recurrence(v: View, known: Known, n: Node): { draft: Draft; tags: Tag[] } | string {
  const attr = n.attrs.get('body');
  if (attr?.type !== 'graph') return 'it has no body';
  const body = readBody(createView(v.model, attr.value, '', v), attr.value);
  if (typeof body === 'string') return body;
  const at = (input: string) => attr.value.inputs.findIndex((i) => i.name === input);
  const outer = (input: string) => n.inputs[at(input)]!;
  const states = n.inputs.length - attrInt(n, 'num_scan_inputs', 0);
  const after = n.outputs[attr.value.outputs.findIndex((o, i) => i < states && o.name === body.next)] ?? n.outputs[0]!;
  const y = n.outputs[states] ?? '';
  const via = new Set([...MOVES, 'Add', 'Mul']);
  // the gate: y · silu(z)
  const gates = known.of('activation');
  const gated = seekForward(
    v,
    y,
    via,
    (k) => typeOf(k) === 'Mul' && k.inputs.some((i) => gates.some((g) => g.ports['output']!.value === i)),
  );
  const gate = gated && gates.find((g) => gated.node.inputs.includes(g.ports['output']!.value));
  const out = seekForward(
    v,
    y,
    new Set([...via, 'Pow', 'ReduceMean', 'Sqrt', 'Reciprocal', 'Div', 'SimplifiedLayerNormalization']),
    (k) => known.holding('linear', k) !== undefined,
  );
  const output = out && known.holding('linear', out.node);
  const axes = { token: 1, channel: -1 };
  const port = (name: 'x' | 'B' | 'C' | 'dt') => activation(v, name, laidOut(v, outer(body[name])), axes);
  const ports = {
    x: port('x'),
    B: port('B'),
    C: port('C'),
    dt: port('dt'),
    ...(gate ? { z: activation(v, 'z', gate.ports['input']!.value) } : {}),
    state: activation(v, 'state', after, { channel: -2, state: -1 }),
    output: activation(v, 'output', output ? output.ports['input']!.value : y),
  };
  const sources = (value: string) =>
    traceBack(v, known, value, ['linear', 'conv'], ['activation', 'norm'], new Set([...MOVES, 'Add', 'Concat', 'Where', 'Softplus']))
      .sources;
  const conv = sources(ports.x.value).find((d) => d.role === 'conv');
  const inner = sources(conv ? conv.ports['input']!.value : ports.x.value).find((d) => d.role === 'linear');
  const linear = (value: string) => {
    const [d] = sources(value);
    return d?.role === 'conv' ? sources(d.ports['input']!.value).find((k) => k.role === 'linear') : d;
  };
  const tag = (on: Draft | undefined, member: string): Tag[] => (on ? [{ on, member }] : []);
  const tags = [
    ...tag(inner, 'ssm.input'),
    ...tag(gate && linear(gate.ports['input']!.value), 'ssm.gate'),
    ...tag(conv, 'ssm.conv'),
    ...tag(linear(ports.B.value), 'ssm.B'),
    ...tag(linear(ports.C.value), 'ssm.C'),
    ...tag(linear(ports.dt.value), 'ssm.dt'),
    ...tag(output, 'ssm.output'),
  ];
  const past = v.origin(outer(body.state));
  const shape = v.shape(past) ?? v.shape(after);
  const last = shape?.at(-1);
  return {
    draft: {
      role: 'ssm',
      ports,
      nodes: [n],
      form: n.op,
      facts: {
        next: body.next,
        ...(v.isInput(past) ? { past_state: past } : {}),
        ...(typeof last === 'number' ? { state: last } : {}),
        heads: shape?.length === 4 ? Number(shape[1]) || 0 : 0,
      },
      size: 0,
      parts: [...new Set(tags.map((t) => t.on))],
    },
    tags,
  };
}

/** Selective state spaces (Mamba 1 and 2) whose recurrence is a Scan. */
const ssm: Role = {
  name: 'ssm',
  since: '0.1.0',
  doc: 'A selective state space as a Scan over time. Ports as [batch, time, …]; `state` is the state after the last step; B and C before they are repeated for the heads.',
  formula: "state' = state·exp(dt·A) + dt·x·B; y = C·state' + D·x, gated by silu(z)",
  cite: 'Gu and Dao, Mamba (2023); Dao and Gu, Mamba-2 (2024)',
  params: {},
  ports: ['x', 'B', 'C', 'dt', 'z', 'state', 'output'],
  members: ['ssm.input', 'ssm.gate', 'ssm.conv', 'ssm.B', 'ssm.C', 'ssm.dt', 'ssm.output'],
  after: ['linear', 'conv', 'activation', 'norm'],
  match(v, known): Found {
    const drafts: Draft[] = [];
    const misses: Miss[] = [];
    const tags: Tag[] = [];
    for (const n of v.nodes('Scan')) {
      const found = recurrence(v, known, n);
      if (typeof found === 'string') misses.push(miss('ssm', n, found));
      else {
        drafts.push(found.draft);
        tags.push(...found.tags);
      }
    }
    return { drafts, misses, tags };
  },
};
export default ssm;
