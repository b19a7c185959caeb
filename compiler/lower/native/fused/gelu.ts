/** `Gelu…`, `GeluTanh…` where quantized layers read them: x·Φ(x) in floats, in codes by the row, in codes under a step. Elsewhere ONNX Runtime's own fusion is as good. */
import type { Func } from '../../../graph/types.ts';
import { Add, Div, Erf, either, equals, isMatch, Mul, match, type Pattern, Pow, product, Tanh, value } from '../../../match/pattern.ts';
import { attrString, typeOf, type View } from '../../../match/view.ts';
import { emitted } from '../emits.ts';
import { Body, DOMAIN } from '../function.ts';
import type { Fusion, Place } from '../fuse.ts';
import { codesOf, rowsBehind } from '../rowcodes.ts';
import { readInCodes } from './normquantize.ts';

const x = value('x');
const half = (one: Pattern): Pattern => either(product(x, one, equals(0.5)), Mul(Div(x, equals(2)), one));
const cubed = either(Pow(x, equals(3)), product(x, x, x));
const cubic = either(Add(x, Mul(cubed, equals(0.044715))), Add(x, product(Mul(x, x), x, equals(0.044715))));
const inner = either(
  Mul(cubic, equals(0.7978845608)),
  product(x, equals(0.7978845608), Add(Mul(either(Mul(x, x), Pow(x, equals(2))), equals(0.044715)), equals(1))),
);
const kinds = {
  Gelu: half(Add(Erf(either(Div(x, equals(Math.SQRT2)), Mul(x, equals(Math.SQRT1_2)))), equals(1))),
  GeluTanh: half(Add(Tanh(inner), equals(1))),
} as const;
type Kind = keyof typeof kinds;

/** The body of a variant. */
function body(name: string, opset: number): Func {
  const [, kind, how] = /^(Gelu(?:Tanh)?)(Quantize(?:Static)?)?$/.exec(name)!;
  const form = how === undefined ? 'floats' : how === 'Quantize' ? 'rows' : 'steps';
  const b = new Body(opset);
  const one = b.float(1);
  const cube = () => b.op('Mul', [b.op('Mul', [b.op('Mul', ['x', 'x']), 'x']), b.float(0.044715)]);
  const bent =
    kind === 'Gelu'
      ? b.op('Erf', [b.op('Div', ['x', b.float(Math.SQRT2)])])
      : b.op('Tanh', [b.op('Mul', [b.op('Add', ['x', cube()]), b.float(Math.sqrt(2 / Math.PI))])]);
  const whole = b.op('Mul', ['x', b.op('Add', [bent, one])]);
  const y = b.op('Mul', [whole, b.float(0.5)], {}, form === 'floats' ? 'y' : undefined);
  const { results, attrs } = emitted(b, y, form);
  const formula = kind === 'Gelu' ? 'x/2 · (1 + erf(x / √2))' : 'x/2 · (1 + tanh(√(2/π)·(x + 0.044715·x³)))';
  const doc = `y = ${formula}${{ floats: '', rows: ', as codes with a scale a row', steps: ', as codes under a step' }[form]}`;
  return b.function(name, ['x', ...(form === 'steps' ? ['step'] : [])], results, attrs, doc);
}

/** What a value is the GELU of. */
function argument(v: View, y: string, kind: Kind): string | undefined {
  const n = v.producer(y)!;
  if (typeOf(n) === 'Gelu') return (attrString(n, 'approximate') === 'tanh') === (kind === 'GeluTanh') ? n.inputs[0] : undefined;
  const m = match(v, kinds[kind], y);
  return isMatch(m) ? m.values.get('x') : undefined;
}

const plain = (kind: Kind): Fusion => ({
  name: kind,
  body,
  find: (v): Place[] =>
    v.nodes('Mul', 'Gelu').flatMap((n): Place[] => {
      const y = n.outputs[0]!;
      const from = v.dtype(y) === 'float32' && readInCodes(v, y) ? argument(v, y, kind) : undefined;
      return from === undefined ? [] : [{ inputs: [from], attrs: {}, outputs: [y] }];
    }),
});
export const gelus: readonly Fusion[] = [plain('Gelu'), plain('GeluTanh')];

const rows = (kind: Kind): Fusion => ({
  name: `${kind}Quantize`,
  body,
  find: (v, e): Place[] =>
    v.nodes(`${DOMAIN}::${kind}`).flatMap((n): Place[] => {
      const r = rowsBehind(v, e, n.outputs[0]!);
      if (!r?.symmetric) return [];
      const rewire = r.rewire ? { rewire: r.rewire } : {};
      return [{ inputs: n.inputs, attrs: r.attrs, outputs: [r.codes, r.scale], replaces: [n, ...r.nodes], ...rewire }];
    }),
});
const steps = (kind: Kind): Fusion => ({
  name: `${kind}QuantizeStatic`,
  body,
  find: (v): Place[] =>
    v.nodes(`${DOMAIN}::${kind}`).flatMap((n): Place[] => {
      const c = codesOf(v, n.outputs[0]!);
      if (!c) return [];
      const attrs = { lo: { float: c.lo }, hi: { float: c.hi }, zero: { float: c.zero } };
      return [{ inputs: [...n.inputs, c.step], attrs, outputs: [c.codes], replaces: [n, ...c.nodes] }];
    }),
});
/** The rounding behind a GELU becomes part of it. */
export const geluQuantize: readonly Fusion[] = (['Gelu', 'GeluTanh'] as const).flatMap((kind) => [rows(kind), steps(kind)]);
