/** Every reason for which a transform is refused, for each transform that can meet it. What is tested beside a transform's own folds is in its file. */
import { readFileSync } from 'node:fs';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { nodeHost } from '../../compiler/node/host.ts';
import type { QType } from '../../compiler/plan/types.ts';
import type { Site } from '../../compiler/sites.ts';
import { Builder } from '../roles/build.ts';
import { attention, biased, gemm, layer, linear, rms } from './graphs.ts';
import { apply, built, int, refusal } from './help.ts';

const host = await nodeHost({ threads: 1 });
test.after(() => host.close());
const N = 16;
const input = (b: Builder, ...shape: (number | string)[]) => b.input('x', shape.length ? shape : [1, 3, N]);
type Make = (b: Builder) => readonly string[];
type On = { readonly edges?: readonly [string, string][]; readonly tied?: readonly [string, string][]; readonly sites?: readonly string[] };
type Types = (site: Site, port: string) => QType | undefined;

/** Paths or roles of sites → what the transform is asked for. */
async function why(kind: string, make: Make, on: On, args: Record<string, unknown> = {}, types?: Types): Promise<string> {
  const b = built(make);
  const ids = (on.sites ?? []).map(
    (p) => b.sites.sites.find((s) => s.path === p || s.role === p)?.id ?? assert.unreachable(`no site ${p}`),
  );
  const edges = (list: readonly [string, string][] | undefined) => (list ?? []).map(([from, to]) => ({ from, to }));
  return refusal(() => apply(host, b, kind, { edges: edges(on.edges), tied: edges(on.tied), sites: ids as string[] }, args, types));
}

/** A stream: embedding, one residual sum, a norm, a head. */
const stream =
  (norm: (b: Builder, x: string, name: string, n: number) => string = rms): Make =>
  (b) => {
    const x = b.op('Gather', [b.weight('embed_tokens.weight', [11, N]), b.input('ids', [1, 3], 'int64')]);
    const y = b.op('Add', [x, linear(b, norm(b, x, 'l1', N), 'fc', N, N)]);
    return [linear(b, norm(b, y, 'l2', N), 'lm_head', N, 11)];
  };
const group: typeof rms = (b, x, name, n) => {
  const flat = b.op('Transpose', [x], { perm: [0, 2, 1] });
  const y = b.op('GroupNormalization', [flat, b.weight(`${name}.weight`, [n]), b.weight(`${name}.bias`, [n])], { num_groups: 2 });
  return b.op('Transpose', [y], { perm: [0, 2, 1] });
};
const heads = { heads: 2, kv: 2, d: 8, t: 3 };
const chain: Make = (b) => [linear(b, linear(b, input(b), 'a', N, 8), 'c', 8, 4)];
const normed: Make = (b) => [linear(b, rms(b, input(b), 'norm', N), 'fc', N, 8)];
/** A value that an If body reads too. */
const inBody: Make = (b) => {
  const h = linear(b, input(b), 'a', N, 8);
  const inner = new Builder();
  inner.graph.nodes.push({ name: 'neg', op: 'Neg', domain: '', inputs: [h], outputs: ['inner'], attrs: new Map() });
  inner.graph.outputs.push({ name: 'inner', dtype: 'float32', shape: [1, 3, 8] });
  const test = b.op('Greater', [b.op('ReduceSum', [b.input('flag', [1])], { keepdims: 0 }), b.number(0)]);
  const seen = b.op('If', [test], { then_branch: inner.graph, else_branch: inner.graph });
  return [linear(b, h, 'c', 8, 4), seen];
};
/** Weights in half precision, which the graph casts. */
const half: Make = (b) => {
  const x = b.op('Cast', [input(b)], { to: 10 });
  const y = b.op('MatMul', [b.op('Tanh', [b.op('MatMul', [x, b.half('a.weight', [N, 8])])]), b.half('c.weight', [8, 4])]);
  return [b.op('Cast', [y], { to: 1 })];
};
const cases: readonly (readonly [
  kind: string,
  name: string,
  make: Make,
  on: On,
  want: RegExp,
  args?: Record<string, unknown>,
  types?: Types,
])[] = [
  ['smooth', 'a value that a body reads', inBody, { edges: [['a', 'c']] }, /^in-body: .*body of If/],
  [
    'smooth',
    'a group norm',
    (b) => [linear(b, group(b, input(b), 'norm', N), 'fc', N, 8)],
    { edges: [['norm', 'fc']] },
    /^mixes-channels: .*group norm/,
  ],
  ['smooth', 'an explicit operator in half precision', half, { edges: [['a', 'c']] }, /^not-constant: .*float32 model/, { online: true }],
  [
    'scale',
    'q and k of which one linear makes both',
    (b) => [attention(b, input(b), 'self_attn', N, { ...heads, fused: true })],
    { tied: [['attention.q', 'attention.k']] },
    /^no-producer: .*no attention multiplies them/,
  ],
  [
    'scale',
    'two linears that no attention multiplies',
    (b) => {
      const x = input(b);
      return [linear(b, x, 'a', N, 8), linear(b, x, 'c', N, 8)];
    },
    { tied: [['a', 'c']] },
    /^no-producer: .*no attention multiplies them/,
  ],
  [
    'scale',
    'awq on q and k',
    (b) => [attention(b, input(b), 'self_attn', N, heads)],
    { tied: [['attention.q', 'attention.k']] },
    /^not-quantized: .*awq weighs errors of weights/,
    { law: { name: 'awq', args: { grid: 2 } } },
  ],
  [
    'dilate',
    'a reader that is left out',
    (b) => {
      const h = rms(b, input(b), 'norm', N);
      return [linear(b, h, 'c', N, 4), linear(b, h, 'd', N, 4)];
    },
    { edges: [['norm', 'c']] },
    /^reader-left-out: /,
  ],
  [
    'shift',
    'a scale-only producer',
    (b) => [linear(b, b.op('Relu', [biased(b, input(b), 'a', N, 8)]), 'c', 8, 4)],
    { edges: [['a', 'c']] },
    /^mixes-channels: .*Relu/,
  ],
  ['rotate', 'a stream that a group norm reads', stream(group), { sites: ['residual'] }, /^centred-norm: l1 is a group norm/],
  ['shift', 'a norm without a bias', normed, { edges: [['norm', 'fc']] }, /^no-bias: .*norm has no bias/],
  [
    'smooth',
    'what leaves the model',
    (b) => {
      const h = linear(b, input(b), 'a', N, 8);
      return [h, linear(b, h, 'c', 8, 4)];
    },
    { edges: [['a', 'c']] },
    /^model-output: /,
  ],
  [
    'rotate',
    'a stream that a convolution writes',
    (b) => {
      const conv = (v: string, name: string) => b.op('Conv', [v, b.weight(name, [N, N, 3])], { pads: [1, 1], kernel_shape: [3] });
      const x = conv(b.input('x', [1, N, 4]), 'first.weight');
      return [conv(b.op('Add', [x, conv(x, 'second.weight')]), 'last.weight')];
    },
    { sites: ['residual'] },
    /^not-a-writer: .*a conv, writes the stream/,
  ],
  ['rotate', 'nothing that it could turn', normed, {}, /^no-producer: no residual stream is selected/],
  ['rotate', 'a norm as producer of an edge', normed, { edges: [['norm', 'fc']] }, /^no-producer: .*a norm takes no rotation/],
  [
    'rotate',
    'heads of an unknown size',
    chain,
    { edges: [['a', 'c']] },
    /^layout-lost: the size of a head of a is not known/,
    { per: 'head' },
  ],
  [
    'rotate',
    'a size without a Hadamard matrix',
    (b) => [linear(b, linear(b, input(b), 'a', N, 6), 'c', 6, 4)],
    { edges: [['a', 'c']] },
    /^no-matrix: .*size 6/,
  ],
  ['rotate', 'a run-time rotation in half precision', half, { edges: [['a', 'c']] }, /^not-constant: .*float32 model/, { online: true }],
  [
    'rotate',
    'a run-time rotation before a Gemm that reads columns',
    (b) => [b.op('Gemm', [linear(b, b.input('x', [8, N]), 'a', N, 4), b.weight('c.weight', [8, 4])], { transA: 1 })],
    { edges: [['a', 'c']] },
    /^layout-lost: .*last axis/,
    { online: true },
  ],
  [
    'split',
    'more channels than may go',
    (b) => [linear(b, rms(b, b.input('x', [7, N]), 'norm', N), 'fc', N, 8)],
    { edges: [['norm', 'fc']] },
    /^no-gain: .*would have to go/,
    { law: { name: 'median', args: { times: 0.05 } }, copies: 64, width: 1 },
  ],
  [
    'migrate',
    'two types of one value',
    (b) => {
      const h = rms(b, b.input('x', [7, N]), 'norm', N);
      return [linear(b, h, 'c', N, 4), linear(b, h, 'd', N, 4)];
    },
    {
      edges: [
        ['norm', 'c'],
        ['norm', 'd'],
      ],
    },
    /^not-quantized: .*read it under two types/,
    {},
    (s, port) => (port === 'input' ? int(s.path === 'c' ? 8 : 4) : int(4)),
  ],
  ['lowrank', 'a norm', normed, { sites: ['norm'] }, /^no-producer: .*a norm takes no low-rank branch/],
  [
    'lowrank',
    'a linear that reads columns',
    (b) => [b.op('Gemm', [b.input('x', [8, N]), b.weight('c.weight', [8, 4])], { transA: 1 })],
    { sites: ['linear'] },
    /^layout-lost: .*last axis/,
  ],
  ['token_split', 'a norm', normed, { sites: ['norm'] }, /^no-producer: .*no rows of tokens/],
  [
    'reparam',
    'a value without a static integer type',
    (b) => [gemm(b, layer(b, b.input('x', [7, N]), 'norm', N), 'fc', N, 8)],
    { edges: [['norm', 'fc']] },
    /^not-quantized: /,
  ],
  [
    'noise',
    'a value without a static integer type',
    (b) => [gemm(b, layer(b, b.input('x', [7, N]), 'norm', N), 'fc', N, 8)],
    { edges: [['norm', 'fc']] },
    /^not-quantized: /,
  ],
];
const met = new Set<string>();
for (const [kind, name, make, on, want, args, types] of cases)
  test(`${kind} is refused: ${name}`, async () => {
    const found = await why(kind, make, on, args, types);
    assert.match(found, want);
    met.add(found.slice(0, found.indexOf(':')));
  });
test('no reason is left without a case', () => {
  const source = readFileSync('compiler/fold/refuse.ts', 'utf8');
  const reasons = [...source.slice(source.indexOf('type Reason')).matchAll(/\| '([a-z-]+)'/g)].map((m) => m[1]!);
  assert.ok(reasons.length >= 13);
  assert.equal(
    reasons.filter((r) => !met.has(r)),
    [],
  );
});
test.run();
