// Attention without a cache as one operator: every spelling computes what it did, by bodies and by kernels; what only looks alike stays.
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { Model, Node } from '../../compiler/graph/types.ts';
import { float32s, int64s, node } from '../../compiler/lower/make.ts';
import { fuse } from '../../compiler/lower/native/fuse.ts';
import { floats, modelOf } from '../targets/build.ts';
import { operators, prover, x } from './proved.ts';

const { proved, close } = await prover();

interface Spelling {
  readonly keys?: 'direct' | 'turned' | 'split' | 'gathered';
  readonly scale?: 'both' | 'scores' | 'shape' | 'none';
  readonly bias?: 'padding' | 'nothing';
  readonly cross?: boolean;
  readonly kv?: number;
}
/** Four heads of 8 over 5 tokens of 16 channels; a cross attention reads 7 others. */
function attention({ keys = 'turned', scale = 'scores', bias, cross = false, kv = 4 }: Spelling): Model {
  const nodes: Node[] = [];
  const op = (type: string, inputs: string[], out: string, attrs = {}) => {
    nodes.push(node(type, inputs, [out], attrs));
    return out;
  };
  const packed = keys === 'split' || keys === 'gathered';
  const apart = (name: string, n: number) =>
    op('Reshape', [op('MatMul', [cross && name !== 'q' ? 'other' : 'x', `w${name}`], `${name}3`), `split${n}`], `${name}4`);
  const heads = (name: string, n: number) => op('Transpose', [apart(name, n)], `${name}t`, { perm: [0, 2, 1, 3] });
  let q = '';
  let kt = '';
  let v = '';
  if (packed) {
    const all = op('Transpose', [op('Reshape', [op('MatMul', ['x', 'wqkv'], 'qkv'), 'split3'], 'qkv5')], 'which', {
      perm: [2, 0, 3, 1, 4],
    });
    if (keys === 'split') nodes.push(node('Split', [all, 'ones'], ['s0', 's1', 's2'], { axis: 0 }));
    const [a, b, c] = [0, 1, 2].map((i) =>
      keys === 'split' ? op('Squeeze', [`s${i}`, 'i0'], `p${i}`) : op('Gather', [all, `n${i}`], `p${i}`, { axis: 0 }),
    );
    [q, v] = [a!, c!];
    kt = op('Transpose', [b!], 'across', { perm: [0, 1, 3, 2] });
  } else {
    q = heads('q', 4);
    const repeat = (y: string) =>
      kv === 4 ? y : op('Reshape', [op('Expand', [op('Unsqueeze', [y, 'i2'], `${y}u`), 'times'], `${y}e`), 'joined'], `${y}j`);
    kt =
      keys === 'direct'
        ? op('Transpose', [apart('k', kv)], 'across', { perm: [0, 2, 3, 1] })
        : op('Transpose', [repeat(heads('k', kv))], 'across', { perm: [0, 1, 3, 2] });
    v = repeat(heads('v', kv));
  }
  let c = 'c';
  if (scale === 'shape') {
    op('Cast', [op('Slice', [op('Shape', [q], 'qs'), 'last', 'far'], 'qd')], 'qf', { to: 1 });
    c = op('Sqrt', [op('Div', ['one', op('Sqrt', ['qf'], 'root')], 'inverse')], 'factor');
  }
  const each = scale === 'both' || scale === 'shape';
  let s = op('MatMul', [each ? op('Mul', [q, c], 'qc') : q, each ? op('Mul', [kt, c], 'kc') : kt], 'scores');
  if (scale === 'scores') s = op('Div', [s, 'c'], 'scaled');
  if (bias) s = op('Add', ['bias', s], 'masked');
  let p = op('Softmax', [s], 'p', { axis: -1 });
  if (bias === 'nothing') p = op('Where', [op('IsNaN', [p], 'odd'), 'zero', p], 'clean');
  op('Reshape', [op('Transpose', [op('MatMul', [p, v], 'ctx')], 'ctxt', { perm: [0, 2, 1, 3] }), 'merge'], 'y');
  const total = cross ? 7 : 5;
  const padding = Float32Array.from({ length: total }, (_, i) => (i >= total - 2 ? -1e30 : 0.1 * i));
  const nothing = Float32Array.from({ length: 5 * total }, (_, i) => (i < total ? Number.NEGATIVE_INFINITY : 0.1 * (i % 3)));
  return modelOf({
    nodes,
    input: [2, 5, 16],
    initializers: {
      wq: floats([16, 32], 1),
      wk: floats([16, 8 * kv], 2),
      wv: floats([16, 8 * kv], 3),
      wqkv: floats([16, 96], 4),
      other: floats([2, 7, 16], 5),
      bias: bias === 'nothing' ? float32s(nothing, [1, 1, 5, total]) : float32s(padding, [1, 1, 1, total]),
      split4: int64s([0, 0, 4, 8]),
      [`split${kv}`]: int64s([0, 0, kv, 8]),
      split3: int64s([0, 0, 3, 4, 8]),
      merge: int64s([0, 0, 32]),
      times: int64s([1, 1, 4 / kv, 1, 1]),
      joined: int64s([0, 4, -1, 8]),
      ones: int64s([1, 1, 1]),
      i0: int64s([0]),
      i2: int64s([2]),
      n0: int64s([0], []),
      n1: int64s([1], []),
      n2: int64s([-1 + 3], []),
      last: int64s([-1]),
      far: int64s([1000]),
      one: float32s([1], []),
      zero: float32s([0], []),
      c: float32s([0.6], []),
    },
  });
}

test('Attention in its spellings', async () => {
  const spellings: Spelling[] = [
    {},
    { keys: 'direct', scale: 'both' },
    { keys: 'split', scale: 'shape' },
    { keys: 'gathered', scale: 'none', bias: 'padding' },
    { kv: 2, bias: 'nothing' },
    { kv: 1, cross: true, bias: 'padding' },
    { cross: true, keys: 'direct', scale: 'shape' },
  ];
  for (const spelling of spellings) {
    const fused = await proved(attention(spelling), [x(2, 5, 16)]);
    const packed = spelling.keys === 'split' || spelling.keys === 'gathered';
    assert.equal(operators(fused).sort(), ['Attention', ...Array(packed ? 1 : 3).fill('MatMul')], JSON.stringify(spelling));
  }
});

test('what only looks alike stays', () => {
  const seen = attention({});
  const read: Model = {
    ...seen,
    graph: {
      ...seen.graph,
      nodes: [...seen.graph.nodes, node('Relu', ['p'], ['read'])],
      outputs: [...seen.graph.outputs, { name: 'read', dtype: 'float32' }],
    },
  };
  assert.is(fuse(read), read, 'its probabilities are read');
  const across = attention({});
  for (const n of across.graph.nodes) if (n.op === 'Softmax') n.attrs.set('axis', { type: 'int', value: 2 });
  assert.is(fuse(across), across, 'softmax over the queries');
  const wide = attention({ keys: 'gathered' });
  for (const n of wide.graph.nodes)
    if (n.op === 'Transpose' && n.outputs[0] === 'which') n.attrs.set('perm', { type: 'ints', value: [2, 0, 1, 3, 4] });
  assert.is(fuse(wide), wide, 'heads and tokens stand the other way');
});

test.after(close);
test.run();
