/** `CachedAffine`: y = a[step]·x + b[step] channel by channel, the correction of a cached feature at a step of a sampler (CacheQuant). */
import type { Func, Node } from '../../../graph/types.ts';
import { attrInt, typeOf, type View } from '../../../match/view.ts';
import { Body } from '../function.ts';
import type { Fusion, Place } from '../fuse.ts';
import { made } from '../walk.ts';

interface Picked {
  /** [steps, channels]. */
  readonly table: string;
  readonly step: string;
  /** The axis of the channels in what it is broadcast to, of `rank` axes. */
  axisIn(rank: number): number | undefined;
}

/** The row of a table at a step, behind axes of one. */
function picked(v: View, value: string): Picked | undefined {
  const apart = made(v, value, 'Unsqueeze', 'Reshape');
  const gather = made(v, apart ? apart.inputs[0] : value, 'Gather');
  if (!gather || attrInt(gather, 'axis', 0) !== 0) return undefined;
  const [table = '', step = ''] = gather.inputs;
  const held = v.constant(table);
  const sizes = held?.name === table && held.tensor.dtype === 'float32' ? held.tensor.shape : [];
  const shape = v.shape(value);
  if (sizes.length !== 2 || v.dtype(step) !== 'int64' || (v.shape(step)?.length ?? 2) > 1 || !shape) return undefined;
  const wide = shape.map((n, i) => (n === sizes[1] ? i : -1)).filter((i) => i >= 0);
  const batch = v.shape(step)?.length === 1 && v.shape(step)?.[0] !== 1;
  // All axes but that of the channels are of one, and the first that of the batch where each of it has a step.
  const others = shape.every((n, i) => i === wide.at(-1) || n === 1 || (i === 0 && batch));
  if (wide.length === 0 || !others) return undefined;
  return {
    table,
    step,
    axisIn: (rank) => {
      const axis = wide.at(-1)! + rank - shape.length;
      return axis >= 1 && shape.length <= rank && (!batch || shape.length === rank) ? axis : undefined;
    },
  };
}

function place(v: View, n: Node): Place[] {
  if (typeOf(n) !== 'Add' || v.dtype(n.outputs[0]!) !== 'float32') return [];
  for (const i of [0, 1]) {
    const [b, product] = [picked(v, n.inputs[i]!), made(v, n.inputs[1 - i], 'Mul')];
    if (!b || !product || v.consumers(product.outputs[0]!).length !== 1) continue;
    for (const j of [0, 1]) {
      const a = picked(v, product.inputs[j]!);
      const x = product.inputs[1 - j]!;
      const rank = v.shape(x)?.length ?? 0;
      const axis = a?.axisIn(rank);
      const fits =
        a && axis !== undefined && axis === b.axisIn(rank) && a.step === b.step && v.shape(n.outputs[0]!)?.join() === v.shape(x)?.join();
      const tables = a && [a.table, b.table].map((t) => v.constant(t)!.tensor.shape.join());
      if (fits && tables![0] === tables![1])
        return [{ inputs: [x, a.step, a.table, b.table], attrs: { axis: [axis] }, outputs: [n.outputs[0]!] }];
    }
  }
  return [];
}

function body(name: string, opset: number): Func {
  const b = new Body(opset);
  const [axis, shape, step] = [b.attribute('axis'), b.op('Shape', ['x']), b.op('Reshape', ['step', b.ints([-1])])];
  const zero = b.ints([0]);
  const outer = b.op('Slice', [shape, b.ints([1]), axis, zero]);
  const count = b.op('ReduceProd', [outer], { keepdims: 1 });
  const channels = b.slice(b.op('Shape', ['a']), 1, 2);
  const x = b.op('Reshape', ['x', b.op('Concat', [zero, count, channels, b.ints([-1])], { axis: 0 })]);
  const row = (table: string) =>
    b.op('Reshape', [b.op('Gather', [table, step], { axis: 0 }), b.op('Concat', [b.ints([-1, 1]), channels, b.ints([1])], { axis: 0 })]);
  const y = b.op('Add', [b.op('Mul', [x, row('a')]), row('b')]);
  b.op('Reshape', [y, shape], {}, 'y');
  return b.function(name, ['x', 'step', 'a', 'b'], ['y'], ['axis'], 'y = a[step] · x + b[step], channels on `axis`');
}

const fusion: Fusion = {
  name: 'CachedAffine',
  body,
  find: (v): Place[] => v.nodes('Add').flatMap((n) => place(v, n)),
};
export default fusion;
