import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { checkFeeds } from '../../compiler/calibrate/feeds.ts';
import {
  type CalibrateRequest,
  calibrate,
  decodeStatistics,
  encodeStatistics,
  observerFor,
  rangeOf,
  type Source,
} from '../../compiler/calibrate/index.ts';
import { zip } from '../../compiler/calibrate/npz.ts';
import { passes, tapped } from '../../compiler/calibrate/tap.ts';
import { ofFloats } from '../../compiler/calibrate/values.ts';
import type { Model } from '../../compiler/graph/types.ts';
import { nodeHost } from '../../compiler/node/host.ts';
import { errorOf, floatTensor, graph, info, model, node, numbers } from './_make.ts';

const host = await nodeHost({ threads: 1 });
test.after(() => host.close());

// x [b, n, 4] → x·W → relu → ·V; and an If whose branches compute on the relu.
const branch = graph([], [node('Neg', ['r'], ['inner'])], [info('inner', 'float32', ['b', 'n', 3])]);
const net: Model = model(
  graph(
    [info('x', 'float32', ['b', 'n', 4]), info('yes', 'bool', [])],
    [
      node('MatMul', ['x', 'W'], ['h']),
      node('Relu', ['h'], ['r']),
      node('If', ['yes'], ['chosen'], { then_branch: { type: 'graph', value: branch }, else_branch: { type: 'graph', value: branch } }),
      node('MatMul', ['chosen', 'V'], ['y']),
    ],
    [info('y', 'float32', ['b', 'n', 2])],
    { W: floatTensor([4, 3], [...numbers(12, 3)]), V: floatTensor([3, 2], [...numbers(6, 4)]) },
  ),
);
const yes = { dtype: 'bool' as const, shape: [], bytes: Uint8Array.of(1) };
/** Batches of different lengths. */
const source = (lengths: readonly number[], data = numbers): Source => ({
  describe: 'numbers',
  async *read(g) {
    for (const [i, n] of lengths.entries()) {
      const feeds = { x: ofFloats([2, n, 4], data(8 * n, i + 1)), yes };
      checkFeeds(g, new Map(Object.entries(feeds)), `batch ${i}`);
      yield { label: `batch ${i}`, feeds, samples: 2 };
    }
  },
});
const request = (needs: CalibrateRequest['needs'], more: Partial<CalibrateRequest> = {}): CalibrateRequest => ({
  host,
  model: net,
  dir: '.',
  source: source([3, 5, 1]),
  needs,
  hash: 'abc',
  ...more,
});
const same = (a: Uint8Array, b: Uint8Array) => assert.ok(Buffer.compare(a, b) === 0, 'the bytes differ');
const minmax = { name: 'minmax', args: {} };
const everything = ['x', 'h', 'r', 'chosen', 'y'].flatMap((value) =>
  [minmax, { name: 'moments', args: {} }, { name: 'histogram', args: {} }].map((observer) => ({ value, observer })),
);

test('inputs, inner values and outputs, over sequences of different length', async () => {
  const stats = await calibrate(request(everything));
  const x = [3, 5, 1].flatMap((n, i) => [...numbers(8 * n, i + 1)]);
  const W = numbers(12, 3);
  const h = x.flatMap((_, i) => (i % 4 ? [] : [0, 1, 2].map((c) => [0, 1, 2, 3].reduce((s, k) => s + x[i + k]! * W[k * 3 + c]!, 0))));
  const got = (value: string) => ['min', 'max'].map((k) => stats.get(value, minmax)[k]![0]!);
  assert.equal(got('x'), [Math.min(...x), Math.max(...x)]);
  for (const [a, b] of [
    [got('h'), [Math.min(...h), Math.max(...h)]],
    [got('r'), [0, Math.max(...h)]],
    [got('chosen'), [-Math.max(...h), 0]],
  ] as const)
    for (const [i, v] of a.entries()) assert.ok(Math.abs(v - b[i]!) < 1e-6, `${a} is not ${b}`);
  assert.equal([stats.from.samples, stats.from.batches, stats.from.graph], [6, 3, 'abc']);
  assert.is(stats.get('h', { name: 'moments', args: {} })['count']![0], 18);
});

test('several passes give the same statistics as one', async () => {
  const one = await calibrate(request(everything));
  const seen: number[] = [];
  const many = await calibrate(request(everything, { memory: 1, onProgress: (p) => seen.push(p.passes) }));
  same(encodeStatistics(many), encodeStatistics(one));
  assert.is(Math.max(...seen), 4);
});

test('passes are cut by estimated bytes, in graph order', () => {
  const feeds = { x: ofFloats([2, 8, 4], numbers(64)) };
  const g = {
    ...net.graph,
    values: new Map([info('h', 'float32', ['b', 'n', 3]), info('r', 'float32', ['b', 'n', 3])].map((v) => [v.name, v])),
  };
  // 2·8·3·4 = 192 bytes each, y 128
  assert.equal(passes(g, ['y', 'r', 'h'], feeds, 400), [['h', 'r'], ['y']]);
  assert.equal(passes(g, ['y', 'r', 'h'], feeds, 191), [['h'], ['r'], ['y']]);
  assert.equal(passes(g, ['y', 'r', 'h'], feeds, 4000), [['h', 'r', 'y']]);
  // 2·8 rows of 3, and one more: 51 numbers; a symbol that nothing binds counts as the largest size, 8
  const symbolic = {
    ...g,
    values: new Map([info('h', 'float32', ['3*b*n + 3']), info('r', 'float32', ['?0', 4])].map((v) => [v.name, v])),
  };
  assert.equal(passes(symbolic, ['h', 'r'], feeds, 204 + 128), [['h', 'r']]);
  assert.equal(passes(symbolic, ['h', 'r'], feeds, 204 + 127), [['h'], ['r']]);
});

test('what cannot be tapped', async () => {
  assert.is(await errorOf(() => tapped(net, ['q'])), 'tap-unknown: the graph has no value "q"');
  assert.is(await errorOf(() => tapped(net, ['W'])), 'tap-constant: "W" is a constant, there is nothing to observe');
  assert.is(
    await errorOf(() => tapped(net, ['inner'])),
    'tap-subgraph: "inner" is computed inside the body of If "If_chosen", it cannot be observed from outside | keep that part in float, or use a dynamic type there',
  );
});

test('no data, and data that overflows', async () => {
  assert.is(
    await errorOf(() => calibrate(request(everything, { source: source([]) }))),
    'data-empty: numbers gives no batch | calibration needs data',
  );
  const huge = source([3, 3], (n, seed) => (seed === 2 ? new Float32Array(n).fill(3e38) : numbers(n, seed)));
  assert.match(
    await errorOf(() => calibrate(request([{ value: 'h', observer: minmax }], { source: huge }))),
    /^calibrate-nan: batch 1: the activation "h" holds -?Infinity at element \d+ \| the float model overflows on this data/,
  );
});

test('a stopped calibration', async () => {
  const stop = new AbortController();
  const run = calibrate(request(everything, { signal: stop.signal, onProgress: () => stop.abort() }));
  await run.then(
    () => assert.unreachable(),
    (e) => assert.is(e.name, 'AbortError'),
  );
});

test('the record: round trip, the same bytes in any order, refused elsewhere', async () => {
  const stats = await calibrate(request(everything));
  const bytes = encodeStatistics(stats);
  const back = decodeStatistics(bytes, 'a.qstats');
  assert.equal(back.from, stats.from);
  assert.equal(back.entries, stats.entries);
  same(encodeStatistics(back), bytes);
  same(encodeStatistics(await calibrate(request([...everything].reverse()))), bytes);
  assert.is(back.expectGraph('abc'), back);
  assert.is(
    await errorOf(() => back.expectGraph('abd')),
    'stats-mismatch: the statistics record is of another graph: it was made from abc…, this model is abd… | use the model that it was made from, or calibrate again with --data',
  );
  assert.is(
    await errorOf(() => back.get('y', { name: 'hessian', args: {} })),
    'stats-missing: the statistics record has no hessian() of "y"; it has histogram(bins: 4096), minmax(), moments(axis: -1) | the recipe asks for more than was observed: calibrate again with --data',
  );
});

test('records that are none', async () => {
  const json = (x: unknown) => zip({ 'header.json': new TextEncoder().encode(JSON.stringify(x)) });
  const damaged = ' | it is not a record that qc wrote, or it is damaged; calibrate again';
  const observed = [{ value: 'h', observer: minmax, arrays: ['min'] }];
  const header = { qstats: 1, graph: 'abc', source: 's', samples: 1, batches: 1, observed };
  const cases: [Uint8Array, string][] = [
    [new Uint8Array(9), 'npz-malformed: s.qstats: not a readable zip archive (invalid zip data) | write it again; it may be cut off'],
    [zip({ x: new Uint8Array(1) }), `stats-malformed: s.qstats: there is no header.json in it${damaged}`],
    [zip({ 'header.json': new Uint8Array(1) }), `stats-malformed: s.qstats: its header.json is not JSON${damaged}`],
    [json([]), `stats-malformed: s.qstats: its header.json is not an object${damaged}`],
    [
      json({ ...header, qstats: 7 }),
      'stats-version: s.qstats: version 7 of the record is not known, this qc writes version 1 | calibrate again',
    ],
    [json({ ...header, samples: 'many' }), `stats-malformed: s.qstats: its header lacks fields${damaged}`],
    [json(header), `stats-malformed: s.qstats: array min of "h" is missing${damaged}`],
  ];
  for (const [bytes, message] of cases) assert.is(await errorOf(() => decodeStatistics(bytes, 's.qstats')), message);
});

test('ranges for scale laws', async () => {
  const stats = await calibrate(request(everything));
  const int8 = { kind: 'int', bits: 8, signed: true, lo: -128, hi: 127 } as const;
  const range = (name: string, args = {}) => rangeOf(stats, 'x', { name, args }, int8, false, host.crunch);
  const full = await range('minmax');
  assert.equal([full.lo, full.hi], [stats.get('x', minmax)['min']![0], stats.get('x', minmax)['max']![0]]);
  for (const law of ['percentile', 'entropy', 'mse']) {
    const { lo, hi } = await range(law);
    assert.ok(lo < hi && lo >= full.lo && hi <= full.hi, `${law}: ${lo}…${hi} of ${full.lo}…${full.hi}`);
  }
  assert.match(await errorOf(() => observerFor({ name: 'hqq', args: {} })), /^law-activation: the scale law hqq is for weights/);
});

test.run();
