/** `SiluMul`: y = gate · σ(gate) · up, both of one shape. */
import { isMatch, Mul, match, Sigmoid, value } from '../../../match/pattern.ts';
import { Body } from '../function.ts';
import type { Fusion, Place } from '../fuse.ts';

const gate = value('gate');
const pattern = Mul(Mul(gate, Sigmoid(gate)), value('up'));

const fusion: Fusion = {
  name: 'SiluMul',
  body(_, opset) {
    const b = new Body(opset);
    b.op('Mul', [b.op('Mul', ['gate', b.op('Sigmoid', ['gate'])]), 'up'], {}, 'y');
    return b.function('SiluMul', ['gate', 'up'], ['y'], [], 'y = gate · σ(gate) · up');
  },
  find(v): Place[] {
    return v.nodes('Mul').flatMap((n): Place[] => {
      const y = n.outputs[0]!;
      const m = match(v, pattern, y);
      if (!isMatch(m) || v.dtype(y) !== 'float32') return [];
      const inputs = [m.values.get('gate')!, m.values.get('up')!];
      const [a, b] = inputs.map((i) => v.shape(i));
      return a && b && a.join() === b.join() ? [{ inputs, attrs: {}, outputs: [y] }] : [];
    });
  },
};
export default fusion;
