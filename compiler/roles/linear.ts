import type { Role } from '../define.ts';
import { elements, isFloat } from '../graph/dtype.ts';
import type { Node } from '../graph/types.ts';
import { activation, type Draft, type Found, miss, weight } from '../match/draft.ts';
import { attrFloat, attrInt, attrInts, type Constant, typeOf, type View } from '../match/view.ts';
import type { Miss } from '../sites.ts';

const MATMUL = ['MatMul', 'com.microsoft::FusedMatMul', 'Gemm', 'Conv'];

/** A bias: a constant vector (or [1, …, n]) of as many numbers as there are outputs. */
function isBias(c: Constant | undefined, outputs: number): c is Constant {
  return c !== undefined && isFloat(c.tensor.dtype) && elements(c.tensor.shape) === outputs && (c.tensor.shape.at(-1) ?? 1) === outputs;
}

/** The Add that is the only reader of `value` and adds a constant of `outputs` numbers. */
function biasAdd(v: View, value: string, outputs: number): { node: Node; bias: Constant } | undefined {
  const readers = v.consumers(value);
  const node = readers[0];
  if (readers.length !== 1 || !node || typeOf(node) !== 'Add' || v.isOutput(value)) return undefined;
  const bias = v.constant(node.inputs[node.inputs[0] === value ? 1 : 0] ?? '');
  return isBias(bias, outputs) ? { node, bias } : undefined;
}

interface Matrix {
  readonly c: Constant;
  /** Axes of the initializer. */
  readonly out: number;
  readonly reduce: number;
}

/** A constant matrix whose axis `reduce` (as the node sees it) is summed over; else the reason why not. */
function matrix(v: View, value: string, reduceSeen: number): Matrix | string {
  const c = v.constant(value);
  if (!c) return v.producer(value)?.op === 'DequantizeLinear' ? 'its weight is quantized already' : '';
  if (!isFloat(c.tensor.dtype)) return `its weight is ${c.tensor.dtype}`;
  if (c.tensor.shape.length !== 2) return `its weight has rank ${c.tensor.shape.length}, not 2`;
  const axis = (seen: number) => c.perm?.[seen] ?? seen;
  return { c, reduce: axis(reduceSeen), out: axis(1 - reduceSeen) };
}

function matmul(v: View, n: Node): Draft | string {
  const [x = '', w = ''] = n.inputs;
  const fused = typeOf(n) !== 'MatMul';
  if (fused && (attrInt(n, 'transA', 0) || attrInt(n, 'transBatchA', 0) || attrInt(n, 'transBatchB', 0))) return 'its input is transposed';
  if (v.constant(x)) return v.constant(w) ? 'both operands are constant' : 'its constant is the left operand';
  const m = matrix(v, w, fused && attrInt(n, 'transB', 0) ? 1 : 0);
  if (typeof m === 'string') return m;
  const alpha = fused ? attrFloat(n, 'alpha', 1) : 1;
  const outputs = m.c.tensor.shape[m.out]!;
  const add = biasAdd(v, n.outputs[0]!, outputs);
  const nodes = [...m.c.via, n, ...(add ? [add.node] : [])];
  return {
    role: 'linear',
    ports: {
      weight: weight(m.c, m.out, m.reduce),
      input: activation(v, 'input', x),
      output: activation(v, 'output', nodes.at(-1)!.outputs[0]!),
    },
    nodes,
    form: `${n.op}${add ? '+Add' : ''}`,
    ...(add ? { bias: add.bias.name } : {}),
    facts: { in: m.c.tensor.shape[m.reduce]!, out: outputs, ...(alpha === 1 ? {} : { alpha }) },
    size: elements(m.c.tensor.shape),
  };
}

function gemm(v: View, n: Node): Draft | string {
  const [x = '', w = '', b = ''] = n.inputs;
  if (v.constant(x)) return v.constant(w) ? 'both operands are constant' : 'its constant is the left operand';
  const m = matrix(v, w, attrInt(n, 'transB', 0) ? 1 : 0);
  if (typeof m === 'string') return m;
  const outputs = m.c.tensor.shape[m.out]!;
  const bias = b === '' ? undefined : v.constant(b);
  if (b !== '' && !isBias(bias, outputs)) return 'its third operand is not a constant bias vector';
  const alpha = attrFloat(n, 'alpha', 1);
  const beta = attrFloat(n, 'beta', 1);
  const transposed = attrInt(n, 'transA', 0) === 1;
  return {
    role: 'linear',
    ports: {
      weight: weight(m.c, m.out, m.reduce),
      input: activation(v, 'input', x, { channel: transposed ? 0 : 1 }),
      output: activation(v, 'output', n.outputs[0]!, { channel: 1 }),
    },
    nodes: [...m.c.via, n],
    form: 'Gemm',
    ...(bias ? { bias: bias.name } : {}),
    facts: {
      in: m.c.tensor.shape[m.reduce]!,
      out: outputs,
      transA: transposed,
      transB: attrInt(n, 'transB', 0) === 1,
      ...(alpha === 1 ? {} : { alpha }),
      ...(beta === 1 || !bias ? {} : { beta }),
    },
    size: elements(m.c.tensor.shape),
  };
}

/** A convolution that is a matrix product at every position: kernel 1, one group. Other convolutions are the role `conv`. */
export function pointwise(v: View, n: Node): Constant | undefined {
  const c = v.constant(n.inputs[1] ?? '');
  const one = c && !c.perm && isFloat(c.tensor.dtype) && c.tensor.shape.length > 2 && c.tensor.shape.slice(2).every((k) => k === 1);
  const unpadded = (attrInts(n, 'pads') ?? []).every((p) => p === 0);
  return one && unpadded && attrInt(n, 'group', 1) === 1 ? c : undefined;
}

function conv(v: View, n: Node): Draft | string {
  const c = pointwise(v, n);
  if (!c) return '';
  const [x = '', , b = ''] = n.inputs;
  const bias = b === '' ? undefined : v.constant(b);
  if (b !== '' && !bias) return 'its bias is not constant';
  return {
    role: 'linear',
    ports: {
      weight: weight(c, 0, 1),
      input: activation(v, 'input', x, { channel: 1 }),
      output: activation(v, 'output', n.outputs[0]!, { channel: 1 }),
    },
    nodes: [...c.via, n],
    form: 'Conv',
    ...(bias ? { bias: bias.name } : {}),
    facts: { in: c.tensor.shape[1]!, out: c.tensor.shape[0]!, strides: attrInts(n, 'strides') ?? c.tensor.shape.slice(2).map(() => 1) },
    size: elements(c.tensor.shape),
  };
}

/** y = x W (+ b) with a constant W. */
const linear: Role = {
  name: 'linear',
  since: '0.1.0',
  doc: 'A product with a constant matrix: MatMul, MatMul + Add, Gemm, or a 1×1 Conv.',
  formula: 'y = x W + b',
  params: {},
  ports: ['weight', 'input', 'output'],
  match(v): Found {
    const drafts: Draft[] = [];
    const misses: Miss[] = [];
    for (const n of v.nodes(...MATMUL)) {
      const found = n.op === 'Gemm' ? gemm(v, n) : n.op === 'Conv' ? conv(v, n) : matmul(v, n);
      if (typeof found !== 'string') drafts.push(found);
      else if (found !== '') misses.push(miss('linear', n, found));
    }
    for (const n of v.nodes('Einsum')) {
      if (n.inputs.some((i) => v.constant(i)?.tensor.shape.length === 2))
        misses.push(miss('linear', n, 'it is an Einsum; export it as a MatMul'));
    }
    return { drafts, misses };
  },
};
export default linear;
