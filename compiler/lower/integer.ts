/** Integer products: codes of activations times codes of weights in int32, scaled once at the end. */
import type { CodeFormat } from '../crunch.ts';
import type { DType } from '../graph/types.ts';
import { attrFloat, attrInt } from '../match/view.ts';
import { encodeWeight, encodingKey, storedFormat } from '../simulate/encode.ts';
import type { QuantizedValue } from '../simulated.ts';
import { type Codes, dynamicCodes, isDynamicQuantizeLinear, sharedCodes, staticCodes } from './activations.ts';
import { Emit } from './emit.ts';
import type { Lowering, Rule, Work } from './lowering.ts';
import { numbers } from './make.ts';
import { isProgressive, progressiveBytes } from './progressive.ts';
import { opsetOf } from './weights.ts';

const bytes = (v: QuantizedValue): boolean => v.type.codes?.kind === 'int' && v.type.codes.bits <= 8;

/** May the scales of both sides be taken out of the sum? */
function scalesOutside(w: Work): boolean {
  const { codes, grain } = w.weight.type;
  return codes?.kind === 'int' && codes.bits <= 8 && (grain.per === 'tensor' || grain.per === 'channel' || isProgressive(w));
}

/** A matrix product whose activation has one scale, or one a row (without a zero point then: operators know only one). */
export function isIntegerLinear(w: Work): boolean {
  const { use, input } = w;
  if (!input || !bytes(input) || !scalesOutside(w)) return false;
  const isProduct = use.node.op === 'MatMul' || (use.node.op === 'Gemm' && attrInt(use.node, 'transA', 0) === 0);
  if (!isProduct || use.index !== 1 || w.weight.source.shape.length !== 2) return false;
  if (input.scale && input.scale.length > 1) return false;
  const { grain, symmetric, codes } = input.type;
  if (grain.per === 'tensor') return true;
  return (
    grain.per === 'token' &&
    symmetric &&
    codes?.kind === 'int' &&
    codes.signed &&
    (input.site.ports[input.port]?.axes['channel'] ?? -1) === lastAxis(input)
  );
}

const lastAxis = (v: QuantizedValue): number => {
  const port = v.site.ports[v.port];
  const axis = port?.axes['channel'] ?? -1;
  return axis < 0 ? axis : (port?.shape?.length ?? axis + 1) - 1;
};

/** Codes as unsigned bytes in the order of the source. */
function plainBytes(e: Emit, { site, weight, name }: Work): { codes: string; scale: string; zero: string } {
  const format = storedFormat(weight.type.codes as CodeFormat);
  if (format.kind !== 'int') throw new Error(`${site.id}: fp8 has no integer product`);
  const enc = encodeWeight(weight, name, 'source', { signed: false });
  const wide = (x: string) => (format.bits < 8 ? e.cast(x, 'uint8') : x);
  return {
    codes: wide(e.constant('codes', weight.source.shape.length === 2 ? enc.codes : { ...enc.codes, shape: weight.source.shape })),
    scale: e.constant('scale', enc.scales),
    zero: enc.zeros ? wide(e.constant('zero', enc.zeros)) : e.scalar(format.signed ? 2 ** (format.bits - 1) : 0, 'uint8'),
  };
}

/** Codes of a weight as unsigned bytes (see emittedCodes); [reduce, out] for products. */
export function byteWeight(l: Lowering, w: Work, product: boolean): { codes: string; scale: string; zero: string } {
  const { weight, name } = w;
  const key = `${encodingKey(weight, name)}|bytes|${product}`;
  const known = l.made.get(key);
  if (known) {
    const result = JSON.parse(known) as { codes: string; scale: string; zero: string; held: string[] };
    l.note(w.site, [], result.held);
    return result;
  }
  const e = new Emit(l.editor, name);
  const bytes = isProgressive(w) ? progressiveBytes(e, w) : plainBytes(e, w);
  const turned = product && weight.order === 'or' ? e.op('Transpose', [bytes.codes], { perm: [1, 0] }) : bytes.codes;
  const result = { ...bytes, codes: turned, held: e.initializers };
  l.editor.head(e.nodes, w.use.node, name);
  l.note(w.site, e.nodes, e.initializers);
  l.made.set(key, JSON.stringify(result));
  return result;
}

/** Codes of a site's input as bytes: by QuantizeLinear, DynamicQuantizeLinear or primitive operators. */
export function byteInput(l: Lowering, w: Work, v: QuantizedValue): Codes {
  return sharedCodes(l, w, v, 'bytes', (e) => {
    if (v.type.mode === 'static') return staticCodes(e, v.value, v, w.float);
    if (isDynamicQuantizeLinear(v.type) && w.float === 'float32') {
      const [codes = '', scale = '', zero = ''] = e.ops('DynamicQuantizeLinear', [v.value], ['codes', 'scale', 'zero']);
      return { codes, scale, zero };
    }
    return dynamicCodes(e, v.value, v, w.float);
  });
}

/** The operator set that integer weights need. */
export const byteOpset = (w: Work): number => {
  const { codes } = w.weight.type;
  const bits = codes?.kind === 'int' ? codes.bits : 8;
  return Math.max(12, bits <= 2 ? opsetOf('int2') : bits <= 4 ? opsetOf('int4') : 11);
};

/** y·α + β·C of a Gemm, or y; the last operator yields the node's output. */
export function finishProduct(e: Emit, w: Work, y: string, biasTaken = false): void {
  const { node } = w.use;
  const out = node.outputs[0];
  const isGemm = node.op === 'Gemm';
  const bias = isGemm && !biasTaken ? node.inputs[2] : undefined;
  const [alpha, beta] = isGemm ? [attrFloat(node, 'alpha', 1), attrFloat(node, 'beta', 1)] : [1, 1];
  const constant = (name: string, x: number) => e.editor.shared(`qc/${w.float}/${name}/${x}`, () => numbers(w.float, [], [x]));
  const steps: ((x: string, last?: string) => string)[] = [];
  if (alpha !== 1) steps.push((x, last) => e.op('Mul', [x, constant('alpha', alpha)], {}, last));
  if (bias) steps.push((x, last) => e.op('Add', [x, beta === 1 ? bias : e.op('Mul', [bias, constant('beta', beta)])], {}, last));
  if (steps.length === 0) {
    const last = e.nodes.at(-1);
    if (last && out !== undefined) last.outputs[0] = out;
    return;
  }
  let x = y;
  for (const [i, step] of steps.entries()) x = step(x, i === steps.length - 1 ? out : undefined);
}

export const toFloat = (e: Emit, x: string, to: DType): string => (to === 'float32' ? x : e.cast(x, to));

/** MatMulInteger, then the scales of row and column. */
export const matMulInteger: Rule = {
  name: 'MatMulInteger',
  applies: (w) => isIntegerLinear(w) && w.input?.type.mode === 'dynamic',
  opset: byteOpset,
  takesInput: () => true,
  emit(l, w) {
    const v = w.input as QuantizedValue;
    const x = byteInput(l, w, v);
    const b = byteWeight(l, w, true);
    const e = new Emit(l.editor, w.use.node.outputs[0] ?? w.site.path);
    const product = e.cast(e.op('MatMulInteger', [x.codes, b.codes, x.zero, b.zero]), 'float32');
    const scale = w.float === 'float32' ? b.scale : e.cast(b.scale, 'float32');
    const y = e.op('Mul', [e.op('Mul', [product, x.scale]), scale]);
    finishProduct(e, w, toFloat(e, y, w.float));
    l.editor.replace(w.use.node, e.nodes);
    l.note(w.site, e.nodes);
  },
};
