/** `LayerNorm`: y = (x − mean(x)) / √(mean((x − mean(x))²) + eps) · gain + bias over the last axis; ONNX's own operator only where linear layers read codes. */

import type { Node } from '../../../graph/types.ts';
import { Add, constant, Div, either, isMatch, Mul, match, number, op, Sqrt, Sub, square, through, value } from '../../../match/pattern.ts';
import { attrFloat, attrInt, attrInts, type View } from '../../../match/view.ts';
import type { Fusion, Place } from '../fuse.ts';
import { normBody } from '../norms.ts';
import { readInCodes } from './normquantize.ts';

const lastAxis = (n: Node, v: View): string | undefined => {
  const axes = attrInts(n, 'axes') ?? v.numbers(n.inputs[1] ?? '');
  const last = axes?.length === 1 && (axes[0] === -1 || axes[0] === (v.shape(n.inputs[0]!)?.length ?? 0) - 1);
  return last && attrInt(n, 'keepdims', 1) === 1 ? undefined : 'not the last axis alone';
};
const x = value('x');
const casts = (p: Parameters<typeof through>[1]) => through(['Cast', 'Identity'], p);
const centred = casts(Sub(x, op('ReduceMean', [x], lastAxis)));
const root = Sqrt(Add(op('ReduceMean', [square(centred)], lastAxis), number('eps')));
const chain = Add(either(Mul(Div(centred, root), constant('gain')), Mul(casts(Div(centred, root)), constant('gain'))), constant('bias'));

interface Found {
  readonly x: string;
  readonly gain: string;
  readonly bias: string;
  readonly eps: number;
}

/** The name under which `node` reads the constant, if it is one row of float32. */
function row(v: View, inputs: readonly string[], width: unknown): string | undefined {
  return inputs.find((i) => {
    const c = v.constant(i);
    return c && c.via.length === 0 && c.tensor.dtype === 'float32' && c.tensor.shape.length === 1 && c.tensor.shape[0] === width;
  });
}

function found(v: View, n: Node): Found | undefined {
  const y = n.outputs[0]!;
  const width = v.shape(y)?.at(-1);
  if (n.op === 'LayerNormalization') {
    const rank = v.shape(n.inputs[0]!)?.length;
    const axis = attrInt(n, 'axis', -1);
    const [gain, bias] = [row(v, [n.inputs[1] ?? ''], width), row(v, [n.inputs[2] ?? ''], width)];
    const plain = (axis === -1 || axis === (rank ?? 0) - 1) && gain !== undefined && bias !== undefined;
    return plain ? { x: n.inputs[0]!, gain, bias, eps: attrFloat(n, 'epsilon', 1e-5) } : undefined;
  }
  const m = match(v, chain, y);
  if (!isMatch(m)) return undefined;
  const product = n.inputs.map((i) => v.producer(i)).find((p) => p?.op === 'Mul');
  const [gain, bias] = [row(v, product?.inputs ?? [], width), row(v, n.inputs, width)];
  return gain !== undefined && bias !== undefined ? { x: m.values.get('x')!, gain, bias, eps: m.numbers.get('eps')! } : undefined;
}

const fusion: Fusion = {
  name: 'LayerNorm',
  body: normBody,
  find(v): Place[] {
    return v.nodes('Add', 'LayerNormalization').flatMap((n): Place[] => {
      const y = n.outputs[0]!;
      const whole = n.op === 'LayerNormalization';
      if (v.dtype(y) !== 'float32' || n.outputs.slice(1).some((o) => o !== '') || (whole && !readInCodes(v, y))) return [];
      const f = found(v, n);
      return f ? [{ inputs: [f.x, f.gain, f.bias], attrs: { eps: { float: f.eps } }, outputs: [y] }] : [];
    });
  },
};
export default fusion;
