/** `RmsNorm`: y = x / √(mean(x²) + eps) · gain over the last axis. */
import {
  Add,
  constant,
  Div,
  either,
  equals,
  isMatch,
  Mul,
  match,
  number,
  op,
  Pow,
  Reciprocal,
  Sqrt,
  square,
  through,
  value,
} from '../../../match/pattern.ts';
import { attrInt, attrInts } from '../../../match/view.ts';
import type { Fusion, Place } from '../fuse.ts';
import { normBody } from '../norms.ts';

const x = value('x');
const mean = op('ReduceMean', [square(x)], (n, v) => {
  const axes = attrInts(n, 'axes') ?? v.numbers(n.inputs[1] ?? '');
  const last = axes?.length === 1 && (axes[0] === -1 || axes[0] === (v.shape(n.inputs[0]!)?.length ?? 0) - 1);
  return last && attrInt(n, 'keepdims', 1) === 1 ? undefined : 'not the last axis alone';
});
const root = Sqrt(Add(mean, number('eps')));
const whitened = either(Div(x, root), Mul(x, either(Reciprocal(root), Div(equals(1), root), Pow(Add(mean, number('eps')), equals(-0.5)))));
const pattern = Mul(through(['Cast', 'Identity'], whitened), constant('gain'));

const fusion: Fusion = {
  name: 'RmsNorm',
  body: normBody,
  find(v): Place[] {
    return v.nodes('Mul').flatMap((n): Place[] => {
      const y = n.outputs[0]!;
      const m = match(v, pattern, y);
      if (!isMatch(m) || v.dtype(y) !== 'float32') return [];
      const gain = m.constants.get('gain')!;
      const held = n.inputs.find((i) => v.constant(i)?.name === gain.name);
      const from = m.values.get('x')!;
      const plain = gain.via.length === 0 && gain.tensor.dtype === 'float32' && gain.tensor.shape.length === 1;
      const width = v.shape(y)?.at(-1) ?? v.shape(from)?.at(-1);
      if (!plain || held === undefined || width !== gain.tensor.shape[0]) return [];
      return [{ inputs: [from, held], attrs: { eps: { float: m.numbers.get('eps')! } }, outputs: [y] }];
    });
  },
};
export default fusion;
