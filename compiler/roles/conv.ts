import type { Role } from '../define.ts';
import { elements, isFloat } from '../graph/dtype.ts';
import type { Node } from '../graph/types.ts';
import { activation, type Draft, type Found, miss, weight } from '../match/draft.ts';
import { attrInt, attrInts, attrString, type View } from '../match/view.ts';
import type { Miss } from '../sites.ts';
import { pointwise } from './linear.ts';

function convolution(v: View, n: Node): Draft | string {
  const [x = '', w = '', b = ''] = n.inputs;
  const c = v.constant(w);
  if (!c) return v.producer(w)?.op === 'DequantizeLinear' ? 'its weight is quantized already' : 'its weight is not constant';
  if (!isFloat(c.tensor.dtype)) return `its weight is ${c.tensor.dtype}`;
  if (c.perm) return 'its weight is transposed';
  const bias = b === '' ? undefined : v.constant(b);
  if (b !== '' && !bias) return 'its bias is not constant';
  const transposed = n.op === 'ConvTranspose';
  const groups = attrInt(n, 'group', 1);
  const { shape } = c.tensor;
  const spatial = shape.slice(2);
  const ones = spatial.map(() => 1);
  const inputs = transposed ? shape[0]! : shape[1]! * groups;
  const outputs = transposed ? shape[1]! * groups : shape[0]!;
  return {
    role: 'conv',
    ports: {
      weight: transposed ? weight(c, 1, 0) : weight(c, 0, 1),
      input: activation(v, 'input', x, { channel: 1 }),
      output: activation(v, 'output', n.outputs[0]!, { channel: 1 }),
    },
    nodes: [...c.via, n],
    form: n.op,
    ...(bias ? { bias: bias.name } : {}),
    facts: {
      in: inputs,
      out: outputs,
      groups,
      depthwise: groups > 1 && groups === inputs,
      kernel: spatial,
      strides: attrInts(n, 'strides') ?? ones,
      dilations: attrInts(n, 'dilations') ?? ones,
      pads: attrInts(n, 'pads') ?? [...ones, ...ones].map(() => 0),
      auto_pad: attrString(n, 'auto_pad') ?? 'NOTSET',
    },
    size: elements(shape),
  };
}

/** A convolution with a constant kernel; BatchNormalization after it is folded before roles are found. */
const conv: Role = {
  name: 'conv',
  since: '0.1.0',
  doc: 'A convolution with a constant kernel larger than 1×1 (or grouped): Conv, ConvTranspose.',
  params: {},
  ports: ['weight', 'input', 'output'],
  match(v): Found {
    const drafts: Draft[] = [];
    const misses: Miss[] = [];
    for (const n of v.nodes('Conv', 'ConvTranspose')) {
      if (n.op === 'Conv' && pointwise(v, n)) continue;
      const found = convolution(v, n);
      if (typeof found === 'string') misses.push(miss('conv', n, found));
      else drafts.push(found);
    }
    return { drafts, misses };
  },
};
export default conv;
