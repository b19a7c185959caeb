/** `SiLUScaled`: y = x · σ(s·x), a SiLU that a scale went through (MambaQuant's smoothing of gates). */
import type { View } from '../../../match/view.ts';
import { Body } from '../function.ts';
import type { Fusion, Place } from '../fuse.ts';
import { made } from '../walk.ts';

/** x and s of x·σ(s·x), where s is constant: one number, or one for each position of the last axis. */
export function scaledSilu(v: View, value: string): { readonly x: string; readonly scale: string } | undefined {
  const n = made(v, value, 'Mul');
  for (const [x, gate] of n ? [n.inputs, [...n.inputs].reverse()] : []) {
    const inner = made(v, made(v, gate, 'Sigmoid')?.inputs[0], 'Mul');
    const scale = inner?.inputs.find((i) => i !== x);
    if (x === undefined || scale === undefined || !inner!.inputs.includes(x)) continue;
    const s = v.constant(scale)?.tensor;
    const width = v.shape(x)?.at(-1);
    if (s?.dtype === 'float32' && s.shape.length === 1 && (s.shape[0] === 1 || s.shape[0] === width)) return { x, scale };
  }
  return undefined;
}

const fusion: Fusion = {
  name: 'SiLUScaled',
  body(_, opset) {
    const b = new Body(opset);
    b.op('Mul', ['x', b.op('Sigmoid', [b.op('Mul', ['x', 'scale'])])], {}, 'y');
    return b.function('SiLUScaled', ['x', 'scale'], ['y'], [], 'y = x · σ(scale · x)');
  },
  find(v): Place[] {
    return v.nodes('Mul').flatMap((n): Place[] => {
      const y = n.outputs[0]!;
      const found = v.dtype(y) === 'float32' ? scaledSilu(v, y) : undefined;
      return found ? [{ inputs: [found.x, found.scale], attrs: {}, outputs: [y] }] : [];
    });
  },
};
export default fusion;
