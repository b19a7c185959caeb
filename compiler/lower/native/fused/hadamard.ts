/** `Hadamard`: a rotation at run time by Sylvester's matrix ⊗ a small one, which the kernel computes in O(n log n). */
import type { Func } from '../../../graph/types.ts';
import { attrInt, typeOf, type View } from '../../../match/view.ts';
import { float32s } from '../../make.ts';
import { emitted } from '../emits.ts';
import { Body, DOMAIN } from '../function.ts';
import type { Fusion, Place } from '../fuse.ts';
import { codesOf, rowsBehind } from '../rowcodes.ts';
import { made } from '../walk.ts';

/** The numbers of a square float32 constant. */
function square(v: View, value: string | undefined): { n: number; at: Float32Array } | undefined {
  const c = value === undefined ? undefined : v.constant(value);
  if (!c || c.via.length > 0 || c.tensor.dtype !== 'float32' || c.tensor.source.kind !== 'bytes') return undefined;
  const [n, m] = c.tensor.shape;
  if (c.tensor.shape.length !== 2 || n === undefined || n !== m) return undefined;
  return { n, at: new Float32Array(c.tensor.source.bytes.slice().buffer) };
}

const parity = (x: number): number => {
  let odd = 0;
  for (let left = x; left > 0; left &= left - 1) odd ^= 1;
  return odd;
};

/** The smallest order m with F = S ⊗ M for a Sylvester matrix S and M of order m; undefined where the elements differ in magnitude. */
export function hadamardOrder(n: number, at: Float32Array): number | undefined {
  const unit = Math.abs(at[0] ?? 0);
  if (unit === 0 || at.some((x) => Math.abs(x) !== unit)) return undefined;
  let m = n;
  while (m % 2 === 0) m /= 2;
  for (; m <= n; m *= 2) {
    const fits = at.every((x, k) => {
      const [i, j] = [Math.floor(k / n), k % n];
      return x === (parity(Math.floor(i / m) & Math.floor(j / m)) ? -1 : 1) * at[(i % m) * n + (j % m)]!;
    });
    if (fits) return m;
  }
  return undefined;
}

interface Turned {
  readonly x: string;
  readonly left: string | undefined;
  readonly right: string;
  readonly order: number;
}

/** What a value is the rotation of: Reshape, MatMul, MatMul, Reshape, or one MatMul (fold/online.ts). */
function turned(v: View, y: string): Turned | undefined {
  const back = made(v, y, 'Reshape');
  const last = made(v, back ? back.inputs[0] : y, 'MatMul');
  if (!last) return undefined;
  const left = square(v, last.inputs[0]);
  const first = left ? made(v, last.inputs[1], 'MatMul') : last;
  const right = square(v, first?.inputs[1]);
  if (!first || !right || (left && hadamardOrder(left.n, left.at) !== 1)) return undefined;
  const order = hadamardOrder(right.n, right.at);
  if (order === undefined || order * order * 4 > right.n * right.n * (left?.n ?? 1)) return undefined;
  const apart = back && made(v, first.inputs[0], 'Reshape');
  if (back && !apart) return undefined;
  const x = apart ? apart.inputs[0]! : first.inputs[0]!;
  const width = v.shape(x)?.at(-1);
  const size = right.n * (left?.n ?? 1);
  const inner = apart && v.numbers(apart.inputs[1] ?? '');
  const blocks = inner?.filter((d) => d !== 0).join();
  const sizes = left ? [left.n, right.n] : [right.n];
  if (typeof width !== 'number' || width % size !== 0) return undefined;
  if (!apart) return width === size ? { x, left: undefined, right: first.inputs[1]!, order } : undefined;
  const expected = [...(width === size ? [] : [width / size]), ...sizes].join();
  if (blocks !== expected || v.shape(y)?.join() !== v.shape(x)?.join()) return undefined;
  return { x, left: left ? last.inputs[0] : undefined, right: first.inputs[1]!, order };
}

const emits = {
  Hadamard: 'floats',
  HadamardQuantize: 'rows',
  HadamardQuantizeAsymmetric: 'asymmetric',
  HadamardQuantizeStatic: 'steps',
} as const;

/** The body: blocks as matrices between their factors. */
function body(name: string, opset: number): Func {
  const b = new Body(opset);
  const sizes = ['left', 'right'].map((m) => b.slice(b.op('Shape', [m]), 0, 1));
  const blocks = b.op('Reshape', ['x', b.op('Concat', [b.ints([-1]), ...sizes], { axis: 0 })]);
  const product = b.op('MatMul', ['left', b.op('MatMul', [blocks, 'right'])]);
  const form = emits[name as keyof typeof emits];
  const y = b.op('Reshape', [product, b.op('Shape', ['x'])], {}, form === 'floats' ? 'y' : undefined);
  const { results, attrs } = emitted(b, y, form);
  const doc = `each block of x times left ⊗ right, Sylvester's matrix over one of order \`order\`${form === 'floats' ? '' : ', as codes'}`;
  return b.function(name, ['x', 'left', 'right', ...(form === 'steps' ? ['step'] : [])], results, ['order', ...attrs], doc);
}

const fusion: Fusion = {
  name: 'Hadamard',
  body,
  find(v, e): Place[] {
    const ends = v.nodes('Reshape', 'MatMul').map((n) => n.outputs[0]!);
    return ends.flatMap((y): Place[] => {
      const readers = v.consumers(y);
      // The product in front of a Reshape is a part of what ends there.
      const part = made(v, y, 'MatMul') && readers.length === 1 && ['Reshape', 'MatMul'].includes(typeOf(readers[0]!));
      const t = part && turned(v, readers[0]!.outputs[0]!) ? undefined : turned(v, y);
      if (!t || v.dtype(y) !== 'float32') return [];
      const left = t.left ?? e.shared('qc/one/matrix', () => float32s([1], [1, 1]));
      return [{ inputs: [t.x, left, t.right], attrs: { order: t.order }, outputs: [y] }];
    });
  },
};
export default fusion;

const NAME = `${DOMAIN}::Hadamard`;
const byRows = (symmetric: boolean): Fusion => ({
  name: symmetric ? 'HadamardQuantize' : 'HadamardQuantizeAsymmetric',
  body,
  find: (v, e): Place[] =>
    v.nodes(NAME).flatMap((n): Place[] => {
      const r = rowsBehind(v, e, n.outputs[0]!);
      if (r?.symmetric !== symmetric) return [];
      const attrs = { order: attrInt(n, 'order', 1), ...r.attrs };
      return [
        { inputs: n.inputs, attrs, outputs: [r.codes, r.scale], replaces: [n, ...r.nodes], ...(r.rewire ? { rewire: r.rewire } : {}) },
      ];
    }),
});
const bySteps: Fusion = {
  name: 'HadamardQuantizeStatic',
  body,
  find: (v): Place[] =>
    v.nodes(NAME).flatMap((n): Place[] => {
      const c = codesOf(v, n.outputs[0]!);
      if (!c) return [];
      const attrs = { order: attrInt(n, 'order', 1), lo: { float: c.lo }, hi: { float: c.hi }, zero: { float: c.zero } };
      return [{ inputs: [...n.inputs, c.step], attrs, outputs: [c.codes], replaces: [n, ...c.nodes] }];
    }),
};
/** The rounding behind a rotation becomes part of it. */
export const hadamardQuantize: readonly Fusion[] = [byRows(true), byRows(false), bySteps];
