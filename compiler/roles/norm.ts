import type { Role } from '../define.ts';
import { elements } from '../graph/dtype.ts';
import type { Node } from '../graph/types.ts';
import { activation, type Draft, type Found, label, miss } from '../match/draft.ts';
import {
  Add,
  constant,
  Div,
  either,
  equals,
  type Failure,
  isMatch,
  type Match,
  Mul,
  match,
  number,
  op,
  type Pattern,
  Pow,
  product,
  Reciprocal,
  Reshape,
  Sqrt,
  Sub,
  square,
  through,
  value,
} from '../match/pattern.ts';
import { attrFloat, attrInt, attrInts, typeOf, type View } from '../match/view.ts';
import type { Miss } from '../sites.ts';

const CAST = ['Cast', 'Identity'];

/** ReduceMean over the last axis alone, axes as attribute or as input. */
const mean = (x: Pattern): Pattern =>
  op('ReduceMean', [x], (n, v) => {
    const axes = attrInts(n, 'axes') ?? v.numbers(n.inputs[1] ?? '');
    const rank = v.shape(n.inputs[0]!)?.length;
    const last = axes?.length === 1 && (axes[0] === -1 || (rank !== undefined && axes[0] === rank - 1));
    return last && attrInt(n, 'keepdims', 1) === 1 ? undefined : `${label(n)} does not reduce the last axis alone`;
  });

const x = value('x');
const vector = (name: string) => constant(name);
/** x̂ = c / √(mean(c²) + ε), in every way to divide by a root. */
function whiten(c: Pattern): Pattern {
  const variance = either(Add(mean(through(CAST, square(c))), number('eps')), op('Max', [mean(square(c)), number('eps')]));
  const root = either(Sqrt(variance), Pow(variance, equals(0.5)));
  const inverse = either(Reciprocal(root), Div(equals(1), root), Pow(variance, equals(-0.5)));
  return either(Div(c, root), Mul(c, inverse));
}
const centred = Sub(x, mean(x));
const gain = either(vector('gain'), Add(vector('gain'), equals(1)));

/** Longest spelling first, so that an affine part is taken in. */
const spellings: readonly { readonly form: string; readonly kind: string; readonly pattern: Pattern }[] = [
  { form: 'layernorm-primitive', kind: 'layer', pattern: Add(Mul(through(CAST, whiten(centred)), vector('gain')), vector('bias')) },
  { form: 'layernorm-primitive', kind: 'layer', pattern: through(CAST, whiten(centred)) },
  { form: 'rms-primitive', kind: 'rms', pattern: Mul(through(CAST, whiten(x)), gain) },
  {
    form: 'rms-primitive',
    kind: 'rms',
    pattern: product(x, Reciprocal(Sqrt(Add(mean(square(x)), number('eps')))), vector('gain')),
  },
  { form: 'rms-primitive', kind: 'rms', pattern: through(CAST, whiten(x)) },
];

const instance = (inner: Pattern): Pattern => op('InstanceNormalization', [inner, constant('ones'), constant('zeros')]);
const grouped = Reshape(instance(Reshape(x, value('groups'))), value('shape'));
const groupSpellings: readonly Pattern[] = [Add(Mul(grouped, vector('gain')), vector('bias')), grouped];

function fromMatch(v: View, m: Match, form: string, kind: string, facts: Draft['facts']): Draft {
  const output = m.nodes.at(-1)!.outputs[0]!;
  const [scale, shift] = [m.constants.get('gain'), m.constants.get('bias')];
  const offset = m.nodes.some((n) => typeOf(n) === 'Add' && scale && n.inputs.includes(scale.name) && n.outputs[0] !== output);
  const channels = kind === 'group' ? { channel: 1 } : undefined;
  return {
    role: 'norm',
    ports: { input: activation(v, 'input', m.values.get('x')!, channels), output: activation(v, 'output', output, channels) },
    nodes: m.nodes,
    form,
    ...(shift ? { bias: shift.name } : {}),
    facts: { kind, ...facts, ...(scale ? { gain: scale.name } : {}), ...(offset && kind === 'rms' ? { gain_offset: 1 } : {}) },
    size: [scale, shift].reduce((a, c) => a + (c ? elements(c.tensor.shape) : 0), 0),
  };
}

const OPS: Readonly<Record<string, { readonly kind: string; readonly gain: number; readonly bias: number; readonly eps: number }>> = {
  LayerNormalization: { kind: 'layer', gain: 1, bias: 2, eps: 1e-5 },
  RMSNormalization: { kind: 'rms', gain: 1, bias: -1, eps: 1e-5 },
  SimplifiedLayerNormalization: { kind: 'rms', gain: 1, bias: -1, eps: 1e-5 },
  'com.microsoft::SkipLayerNormalization': { kind: 'layer', gain: 2, bias: 3, eps: 1e-12 },
  'com.microsoft::SkipSimplifiedLayerNormalization': { kind: 'rms', gain: 2, bias: -1, eps: 1e-12 },
  GroupNormalization: { kind: 'group', gain: 1, bias: 2, eps: 1e-5 },
  InstanceNormalization: { kind: 'instance', gain: 1, bias: 2, eps: 1e-5 },
  BatchNormalization: { kind: 'batch', gain: 1, bias: 2, eps: 1e-5 },
};

function fromOp(v: View, n: Node): Draft {
  const spec = OPS[typeOf(n)]!;
  const scale = v.constant(n.inputs[spec.gain] ?? '');
  const shift = v.constant(n.inputs[spec.bias] ?? '');
  const channels = spec.kind === 'layer' || spec.kind === 'rms' ? undefined : { channel: 1 };
  return {
    role: 'norm',
    ports: { input: activation(v, 'input', n.inputs[0]!, channels), output: activation(v, 'output', n.outputs[0]!, channels) },
    nodes: [n],
    form: n.op,
    ...(shift ? { bias: shift.name } : {}),
    facts: {
      kind: spec.kind,
      eps: attrFloat(n, 'epsilon', spec.eps),
      ...(scale ? { gain: scale.name } : {}),
      ...(spec.kind === 'group' ? { groups: attrInt(n, 'num_groups', 1) } : {}),
    },
    size: [scale, shift].reduce((a, c) => a + (c ? elements(c.tensor.shape) : 0), 0),
  };
}

/** The group norms of legacy exporters: Reshape to [n, groups, -1], InstanceNormalization with ones and zeros, Reshape back, Mul, Add. */
function groupNorm(v: View, n: Node): Draft | undefined {
  const back = v.consumers(n.outputs[0]!).find((c) => typeOf(c) === 'Reshape');
  if (!back) return undefined;
  const scaled = v.consumers(back.outputs[0]!).find((c) => typeOf(c) === 'Mul');
  const shifted = scaled && v.consumers(scaled.outputs[0]!).find((c) => typeOf(c) === 'Add');
  const roots = [shifted?.outputs[0], back.outputs[0]];
  for (const [i, root] of roots.entries()) {
    const m = root === undefined ? undefined : match(v, groupSpellings[i]!, root);
    if (!m || !isMatch(m)) continue;
    const groups = v.numbers(m.values.get('groups')!)?.[1] ?? elements(m.constants.get('ones')!.tensor.shape);
    return fromMatch(v, m, 'groupnorm-instance', 'group', { groups, eps: attrFloat(n, 'epsilon', 1e-5) });
  }
  return undefined;
}

/** Outputs that a norm around this ReduceMean may have: a few nodes on, nearest last so that affine parts are seen first. */
function roots(v: View, start: Node): string[] {
  const found = new Set<Node>();
  let front: Node[] = [start];
  for (let step = 0; step < 10 && front.length > 0; step++) {
    front = [...new Set(front.flatMap((n) => v.consumers(n.outputs[0]!)))].filter((n) => !found.has(n) && SPELT.has(typeOf(n)));
    for (const n of front) found.add(n);
  }
  return [...found].filter((n) => ROOT.has(typeOf(n))).map((n) => n.outputs[0]!);
}
const ROOT = new Set(['Mul', 'Div', 'Add', 'Cast']);
const SPELT = new Set([...ROOT, 'Sub', 'Sqrt', 'Pow', 'Reciprocal', 'ReduceMean', 'Max', 'Identity']);

function primitive(v: View, start: Node, candidates: readonly string[]): { draft: Draft } | { why: string } {
  let deepest: Failure | undefined;
  for (const s of spellings) {
    for (const root of candidates) {
      const m = match(v, s.pattern, root);
      if (isMatch(m) && m.nodes.includes(start)) {
        const alone = m.nodes.findLastIndex((n) => typeOf(n) !== 'Cast');
        const kept = s.form.endsWith('primitive') && !m.constants.has('gain') ? { ...m, nodes: m.nodes.slice(0, alone + 1) } : m;
        return { draft: fromMatch(v, kept, s.form, s.kind, { eps: m.numbers.get('eps')! }) };
      }
      if (!isMatch(m) && m.seen.has(start) && (!deepest || m.depth > deepest.depth)) deepest = m;
    }
  }
  return { why: deepest?.why ?? 'no Mul, Div or Add uses it' };
}

/** Normalisations, as operators and written out. */
const norm: Role = {
  name: 'norm',
  since: '0.1.0',
  doc: 'LayerNorm, RMSNorm, GroupNorm, InstanceNorm, also written out in primitive operators. Facts: kind, eps, gain (the initializer), groups.',
  formula: 'layer: (x − mean) / √(var + ε) · g + b; rms: x / √(mean(x²) + ε) · g',
  params: {},
  ports: ['input', 'output'],
  match(v): Found {
    const drafts: Draft[] = [];
    const misses: Miss[] = [];
    const claimed = new Set<Node>();
    const take = (d: Draft) => {
      drafts.push(d);
      for (const n of d.nodes) claimed.add(n);
    };
    for (const n of v.nodes('InstanceNormalization')) {
      const d = groupNorm(v, n);
      if (d) take(d);
    }
    for (const n of v.nodes(...Object.keys(OPS))) if (!claimed.has(n)) take(fromOp(v, n));
    for (const n of v.nodes('ReduceMean')) {
      if (claimed.has(n)) continue;
      const found = primitive(v, n, roots(v, n));
      if ('draft' in found) take(found.draft);
      else misses.push(miss('norm', n, found.why));
    }
    return { drafts, misses };
  },
};
export default norm;
