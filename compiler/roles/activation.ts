import type { Role } from '../define.ts';
import type { Node } from '../graph/types.ts';
import { type Draft, type Found, miss, activation as port } from '../match/draft.ts';
import {
  Add,
  Div,
  Erf,
  either,
  equals,
  type Failure,
  isMatch,
  Mul,
  match,
  type Pattern,
  Pow,
  product,
  Sigmoid,
  Softplus,
  Tanh,
  value,
} from '../match/pattern.ts';
import { attrFloat, attrString, typeOf, type View } from '../match/view.ts';
import type { Miss } from '../sites.ts';

const x = value('x');
const cubed = either(Pow(x, equals(3)), product(x, x, x));
const cubic = either(Add(x, Mul(cubed, equals(0.044715))), Add(x, product(Mul(x, x), x, equals(0.044715))));
/** √(2/π) (x + 0.044715 x³), or x √(2/π) (1 + 0.044715 x²). */
const inner = either(
  Mul(cubic, equals(0.7978845608)),
  product(x, equals(0.7978845608), Add(Mul(either(Mul(x, x), Pow(x, equals(2))), equals(0.044715)), equals(1))),
);
const half = (one: Pattern): Pattern => either(product(x, one, equals(0.5)), Mul(Div(x, equals(2)), one));

/** The kind of activation by the operator that gives it away; the pattern's root is a product of it. */
const SPELLINGS: readonly { readonly key: string; readonly form: string; readonly kind: string; readonly pattern: Pattern }[] = [
  {
    key: 'Erf',
    form: 'GELU-erf',
    kind: 'gelu',
    pattern: half(Add(Erf(either(Div(x, equals(Math.SQRT2)), Mul(x, equals(Math.SQRT1_2)))), equals(1))),
  },
  { key: 'Tanh', form: 'GELU-tanh', kind: 'gelu', pattern: half(Add(Tanh(inner), equals(1))) },
  { key: 'Sigmoid', form: 'SiLU', kind: 'silu', pattern: Mul(x, Sigmoid(x)) },
  { key: 'Sigmoid', form: 'GELU-sigmoid', kind: 'gelu', pattern: Mul(x, Sigmoid(Mul(x, equals(1.702)))) },
  { key: 'Tanh', form: 'Mish', kind: 'mish', pattern: Mul(x, Tanh(Softplus(x))) },
];

const OPS: Readonly<Record<string, string>> = {
  Relu: 'relu',
  LeakyRelu: 'leaky_relu',
  PRelu: 'prelu',
  Elu: 'elu',
  HardSwish: 'hard_swish',
  Mish: 'mish',
  Swish: 'silu',
  Gelu: 'gelu',
  'com.microsoft::Gelu': 'gelu',
  'com.microsoft::FastGelu': 'gelu',
  'com.microsoft::QuickGelu': 'gelu',
};

function draft(v: View, nodes: readonly Node[], input: string, form: string, facts: Draft['facts']): Draft {
  return {
    role: 'activation',
    ports: { input: port(v, 'input', input), output: port(v, 'output', nodes.at(-1)!.outputs[0]!) },
    nodes,
    form,
    facts,
    size: 0,
  };
}

/** Products within a few nodes of `start`: where the pattern's output may be. */
function products(v: View, start: Node): string[] {
  let front: readonly Node[] = [start];
  const out: string[] = [];
  for (let step = 0; step < 4; step++) {
    front = front.flatMap((n) => v.consumers(n.outputs[0]!)).filter((n) => typeOf(n) === 'Mul' || typeOf(n) === 'Add');
    out.push(...front.filter((n) => typeOf(n) === 'Mul').map((n) => n.outputs[0]!));
  }
  return out;
}

/** Element-wise nonlinearities. */
const activation: Role = {
  name: 'activation',
  since: '0.1.0',
  doc: 'SiLU, GELU (erf, tanh, sigmoid), ReLU and their kind, as operators and written out. Fact: kind.',
  params: {},
  ports: ['input', 'output'],
  match(v): Found {
    const drafts: Draft[] = [];
    const misses: Miss[] = [];
    for (const n of v.nodes(...Object.keys(OPS))) {
      const kind = OPS[typeOf(n)]!;
      const alpha = n.attrs.has('alpha') ? { alpha: attrFloat(n, 'alpha', 1) } : {};
      const form = n.op === 'Gelu' && attrString(n, 'approximate') === 'tanh' ? 'Gelu-tanh' : n.op;
      drafts.push(draft(v, [n], n.inputs[0]!, form, { kind, ...alpha }));
    }
    for (const key of new Set(SPELLINGS.map((s) => s.key))) {
      for (const n of v.nodes(key)) {
        let deepest: Failure | undefined;
        let found: Draft | undefined;
        for (const root of products(v, n)) {
          for (const s of SPELLINGS.filter((k) => k.key === key)) {
            const m = found ? undefined : match(v, s.pattern, root);
            if (m && isMatch(m)) {
              if (m.nodes.includes(n)) found = draft(v, m.nodes, m.values.get('x')!, s.form, { kind: s.kind });
            } else if (m?.seen.has(n) && (!deepest || m.depth > deepest.depth)) deepest = m;
          }
        }
        if (found) drafts.push(found);
        else if (key === 'Erf') misses.push(miss('activation', n, deepest?.why ?? 'no product of it has the form of a GELU'));
      }
    }
    return { drafts, misses };
  },
};
export default activation;
