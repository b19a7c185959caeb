/**
 * Patterns, written as the code that would build the subgraph and matched from its output backwards:
 * `Mul(x, Sigmoid(x))` is SiLU. A name that comes twice must be one value. A miss carries its deepest reason.
 */
import type { Node } from '../graph/types.ts';
import { label } from './draft.ts';
import { type Constant, typeOf, type View } from './view.ts';

/** Says why something does not fit; undefined when it does. */
type Check<T> = (x: T, v: View) => string | undefined;

export type Pattern =
  | { readonly kind: 'value'; readonly name: string }
  | { readonly kind: 'constant'; readonly name: string; readonly check?: Check<Constant> }
  | { readonly kind: 'number'; readonly name?: string; readonly equals?: number }
  | {
      readonly kind: 'op';
      readonly types: readonly string[];
      readonly inputs: readonly Pattern[];
      readonly commutative: boolean;
      readonly check?: Check<Node>;
    }
  | { readonly kind: 'either'; readonly of: readonly Pattern[] }
  | { readonly kind: 'through'; readonly types: readonly string[]; readonly of: Pattern };

/** Any value; two of one name are the same value (seen through copies). */
export const value = (name: string): Pattern => ({ kind: 'value', name });
/** An initializer. */
export const constant = (name: string, check?: Check<Constant>): Pattern => ({ kind: 'constant', name, ...(check ? { check } : {}) });
/** A constant with one element, captured under a name. */
export const number = (name: string): Pattern => ({ kind: 'number', name });
/** A constant with one element that is this number (relative 1e-3: exporters round). */
export const equals = (n: number): Pattern => ({ kind: 'number', equals: n });
/** A node of one of these types; inputs that the pattern does not name are free. */
export const op = (types: string | readonly string[], inputs: readonly Pattern[], check?: Check<Node>): Pattern => ({
  kind: 'op',
  types: typeof types === 'string' ? [types] : types,
  inputs,
  commutative: false,
  ...(check ? { check } : {}),
});
const commutative =
  (type: string) =>
  (a: Pattern, b: Pattern): Pattern => ({
    kind: 'op',
    types: [type],
    inputs: [a, b],
    commutative: true,
  });
const simple =
  (type: string) =>
  (...inputs: Pattern[]): Pattern =>
    op(type, inputs);

export const Add = commutative('Add');
export const Mul = commutative('Mul');
export const Sub = simple('Sub');
export const Div = simple('Div');
export const Pow = simple('Pow');
export const Sqrt = simple('Sqrt');
export const Exp = simple('Exp');
export const Erf = simple('Erf');
export const Tanh = simple('Tanh');
export const Sigmoid = simple('Sigmoid');
export const Softplus = simple('Softplus');
export const Reciprocal = simple('Reciprocal');
export const Reshape = simple('Reshape');

/** The first alternative that fits. */
export const either = (...of: Pattern[]): Pattern => ({ kind: 'either', of });
/** The pattern, behind any number of nodes of these types that pass on their first input. */
export const through = (types: readonly string[], of: Pattern): Pattern => ({ kind: 'through', types, of });
export const square = (x: Pattern): Pattern => either(Pow(x, equals(2)), Mul(x, x));
/** a·b·c in any association. */
export const product = (a: Pattern, b: Pattern, c: Pattern): Pattern => either(Mul(Mul(a, b), c), Mul(Mul(a, c), b), Mul(Mul(b, c), a));

export interface Match {
  readonly values: ReadonlyMap<string, string>;
  readonly constants: ReadonlyMap<string, Constant>;
  readonly numbers: ReadonlyMap<string, number>;
  /** In topological order; the last one yields the matched value. */
  readonly nodes: readonly Node[];
}

/** Why a pattern did not fit: the reason that was found deepest in it, and every node that was looked at. */
export interface Failure {
  readonly why: string;
  readonly depth: number;
  readonly seen: ReadonlySet<Node>;
}
export const isMatch = (m: Match | Failure): m is Match => 'values' in m;

interface State {
  readonly values: ReadonlyMap<string, string>;
  readonly constants: ReadonlyMap<string, Constant>;
  readonly numbers: ReadonlyMap<string, number>;
  readonly nodes: ReadonlySet<Node>;
}

const close = (a: number, b: number): boolean => Math.abs(a - b) <= 1e-3 * Math.max(Math.abs(a), Math.abs(b));
const describe = (p: Pattern): string => (p.kind === 'op' ? p.types.join(' or ') : p.kind);

/** Fits a pattern to what computes `root`. Cost is bounded by the pattern, not by the graph. */
export function match(v: View, pattern: Pattern, root: string): Match | Failure {
  let deepest: { why: string; depth: number } = { why: 'nothing fits', depth: -1 };
  const seen = new Set<Node>();
  const fail = (depth: number, why: string) => {
    if (depth > deepest.depth) deepest = { depth, why };
  };

  function* fit(p: Pattern, at: string, s: State, depth: number): Generator<State> {
    switch (p.kind) {
      case 'value': {
        const bound = s.values.get(p.name);
        if (bound === undefined) yield { ...s, values: new Map(s.values).set(p.name, at) };
        else if (v.origin(bound) === v.origin(at)) yield s;
        else fail(depth, `${p.name} is "${bound}" in one place and "${at}" in another`);
        return;
      }
      case 'constant': {
        const c = v.constant(at);
        const bound = s.constants.get(p.name);
        const why = c ? p.check?.(c, v) : `"${at}" is not constant`;
        if (why !== undefined || !c) fail(depth, why ?? '');
        else if (bound && bound.name !== c.name) fail(depth, `${p.name} is two different constants`);
        else yield { ...s, constants: new Map(s.constants).set(p.name, c) };
        return;
      }
      case 'number': {
        const x = v.scalar(at);
        if (x === undefined) fail(depth, `"${at}" is not a constant number`);
        else if (p.equals !== undefined && !close(x, p.equals)) fail(depth, `"${at}" is ${x}, not ${p.equals}`);
        else yield p.name === undefined ? s : { ...s, numbers: new Map(s.numbers).set(p.name, x) };
        return;
      }
      case 'either':
        for (const one of p.of) yield* fit(one, at, s, depth);
        return;
      case 'through': {
        yield* fit(p.of, at, s, depth);
        const n = v.producer(at);
        if (n && p.types.includes(typeOf(n))) yield* fit(p, n.inputs[0] ?? '', { ...s, nodes: new Set(s.nodes).add(n) }, depth);
        return;
      }
      case 'op':
        yield* fitOp(p, at, s, depth);
    }
  }

  function* fitOp(p: Extract<Pattern, { kind: 'op' }>, at: string, s: State, depth: number): Generator<State> {
    const n = v.producer(at);
    if (!n || !p.types.includes(typeOf(n))) {
      fail(depth, `"${at}" comes from ${n ? typeOf(n) : 'outside'}, not ${describe(p)}`);
      return;
    }
    seen.add(n);
    const why = n.inputs.length < p.inputs.length ? `${label(n)} has ${n.inputs.length} inputs` : p.check?.(n, v);
    if (why !== undefined) {
      fail(depth + 1, why);
      return;
    }
    const entered: State = { ...s, nodes: new Set(s.nodes).add(n) };
    yield* fitAll(p.inputs, n.inputs, 0, entered, depth + 1);
    if (p.commutative) yield* fitAll(p.inputs, [n.inputs[1]!, n.inputs[0]!], 0, entered, depth + 1);
  }

  function* fitAll(ps: readonly Pattern[], at: readonly string[], i: number, s: State, depth: number): Generator<State> {
    if (i === ps.length) {
      yield s;
      return;
    }
    for (const next of fit(ps[i]!, at[i]!, s, depth)) yield* fitAll(ps, at, i + 1, next, depth);
  }

  for (const s of fit(pattern, root, { values: new Map(), constants: new Map(), numbers: new Map(), nodes: new Set() }, 0)) {
    return { ...s, nodes: [...s.nodes].sort((a, b) => v.order(a) - v.order(b)) };
  }
  return { ...deepest, seen };
}
