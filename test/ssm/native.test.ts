// Recurrences on target native: one operator for a Scan and one for a convolution with its state, by bodies and by kernels what is simulated.
import { mkdtempSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { openModel } from '../../compiler/driver/model.ts';
import type { Model, Node } from '../../compiler/graph/types.ts';
import { writeModel } from '../../compiler/graph/write.ts';
import { float32s, node } from '../../compiler/lower/make.ts';
import { readRecurrence } from '../../compiler/lower/native/ssm/recurrence.ts';
import { createView } from '../../compiler/match/view.ts';
import { nodeHost } from '../../compiler/node/host.ts';
import type { Grain } from '../../compiler/plan/types.ts';
import { sharing } from '../../compiler/simulate/sharing.ts';
import { simulate } from '../../compiler/simulate/simulate.ts';
import type { QuantizedValue, Simulated } from '../../compiler/simulated.ts';
import type { Site } from '../../compiler/sites.ts';
import { active } from '../../runtime/index.ts';
import { lowerTo, noise, quantized } from '../targets/build.ts';

const { InferenceSession, Tensor } = createRequire(import.meta.url)('onnxruntime-node') as typeof import('onnxruntime-node');
type Feeds = Record<string, InstanceType<typeof Tensor>>;
const host = await nodeHost();
const source = await openModel(host, 'test/models/mamba2/model.onnx');
const folder = mkdtempSync(join(tmpdir(), 'qc-scan-'));
test.after(async () => {
  source.close();
  await host.close();
  rmSync(folder, { recursive: true });
});

const all = quantized(source.model, { format: 'int8', grain: { per: 'channel' } });
const float: Simulated = { ...all, weights: [], values: [] };
const layers = all.sites.sites.filter((s) => s.role === 'ssm');
const stock = { executionProviders: ['cpu'] };
const relative = (a: ArrayLike<number>, b: ArrayLike<number>) => {
  let [error, energy] = [0, 0];
  for (let i = 0; i < a.length; i++) {
    error += (a[i]! - b[i]!) ** 2;
    energy += a[i]! ** 2;
  }
  return Math.sqrt(error / (energy || 1));
};
let count = 0;
async function run(model: Model, feeds: Feeds, options = {}): Promise<Record<string, ArrayLike<number>>> {
  const file = join(folder, `${count++}.onnx`);
  await writeModel(host, model, file, { dir: source.dir });
  const session = await InferenceSession.create(file, options);
  const results = await session.run(feeds);
  await session.release();
  return Object.fromEntries(Object.entries(results).map(([name, t]) => [name, t!.data as unknown as ArrayLike<number>]));
}
/** Ids and states of a model with a batch of b and s tokens. */
function feedsOf(model: Model, b: number, s: number): Feeds {
  return Object.fromEntries(
    model.graph.inputs.map((i, at) => {
      if (i.dtype === 'int64')
        return [
          i.name,
          new Tensor(
            'int64',
            BigInt64Array.from({ length: b * s }, (_, k) => BigInt((k * 37) % 2000)),
            [b, s],
          ),
        ];
      const shape = i.shape!.map((d) => (typeof d === 'number' ? d : b));
      return [
        i.name,
        new Tensor(
          'float32',
          noise(
            shape.reduce((x, y) => x * y),
            at + 1,
            0.4,
          ),
          shape,
        ),
      ];
    }),
  );
}
const operators = (m: Model) => m.graph.nodes.map((n) => n.op);
const ways = active ? [stock, {}] : [stock];
if (!active) console.log('skipped: the native addon is not built, bodies only');

test('in float: no Scan and no Conv remain, results are those of the model', async () => {
  const { model } = await lowerTo('native', float);
  const ops = operators(model);
  assert.equal(
    ['SelectiveScan', 'CausalConv1d', 'Scan', 'Conv', 'Softplus'].map((o) => ops.filter((x) => x === o).length),
    [3, 3, 0, 0, 0],
  );
  for (const [b, s] of [
    [1, 1],
    [2, 9],
  ] as const) {
    const feeds = feedsOf(source.model, b, s);
    const want = await run(source.model, feeds, stock);
    for (const way of ways) {
      const got = await run(model, feeds, way);
      for (const [name, x] of Object.entries(want)) assert.ok(relative(x, got[name]!) < 3e-6, `${name}: ${relative(x, got[name]!)}`);
    }
  }
});

test('a gate z·σ(s·z) that a scale went through is part of the operator', async () => {
  const gates = new Set(layers.map((s) => s.ports['z']!.value));
  const scaled = source.model.graph.nodes.flatMap((n) => {
    if (n.op !== 'Sigmoid' || !gates.has(n.inputs[0]!)) return [n];
    const inner = `${n.inputs[0]}/scaled`;
    return [node('Mul', [n.inputs[0]!, 's'], [inner]), { ...n, inputs: [inner] }];
  });
  const s = float32s(
    Float32Array.from({ length: 384 }, (_, i) => 0.5 + (i % 9) / 4),
    [384],
  );
  const { graph } = source.model;
  const edited: Model = { ...source.model, graph: { ...graph, nodes: scaled, initializers: new Map([...graph.initializers, ['s', s]]) } };
  const { model } = await lowerTo('native', { ...float, model: edited });
  assert.ok(operators(model).filter((o) => o === 'Sigmoid').length < operators(edited).filter((o) => o === 'Sigmoid').length);
  assert.is(operators(model).filter((o) => o === 'SelectiveScan').length, 3);
  const feeds = feedsOf(source.model, 1, 4);
  const [plain, want] = [await run(source.model, feeds, stock), await run(edited, feeds, stock)];
  assert.ok(relative(plain['logits']!, want['logits']!) > 1e-2, 'the scale is read');
  for (const way of ways) {
    const got = await run(model, feeds, way);
    assert.ok(relative(want['logits']!, got['logits']!) < 3e-6, `${relative(want['logits']!, got['logits']!)}`);
  }
});

const value = (site: Site, port: string, grain: Grain, zero = 0): QuantizedValue => {
  const shared = sharing(site, port, grain);
  const n = shared ? shared.shape.reduce((a, b) => a * b, 1) : 1;
  return {
    site,
    port,
    value: site.ports[port]!.value,
    type: {
      format: { name: 'int', args: { bits: 8 } },
      codes: zero ? { kind: 'int', bits: 8, signed: false, lo: 0, hi: 255 } : { kind: 'int', bits: 8, signed: true, lo: -128, hi: 127 },
      bits: 8,
      symmetric: zero === 0,
      grain,
      mode: 'static',
      law: { name: 'minmax', args: {} },
      scaleType: 'model',
      text: `int8 ${grain.per} ${zero}`,
    },
    scale: Float32Array.from({ length: n }, (_, i) => 0.01 + (i % 7) / 200),
    zero: new Float32Array(n).fill(zero),
    ...(shared ? { shape: shared.shape } : {}),
  };
};
const convs = all.sites.sites.filter((s) => s.role === 'conv');
const ports = ['x', 'B', 'C', 'dt', 'z', 'state'];

/** Zero points of the state, and of everything else. */
const grains = [
  ['tensor', 100, 30],
  ['channel', 0, 0],
  ['cluster', 60, 0],
  ['state_group', 0, 120],
  ['element', 200, 60],
] as const;
for (const [per, held, others] of grains)
  test(`quantized inside the operators, scales per ${per}, zero points ${held} and ${others}: as simulated, by bodies and by kernels`, async () => {
    const values = [
      ...layers.flatMap((s) => ports.map((p) => value(s, p, { per }, p === 'state' ? held : others))),
      ...convs.map((s) => value(s, 'input', { per: per === 'tensor' ? 'tensor' : 'channel' }, others)),
    ];
    const weights = all.weights.filter((w) => w.site.role === 'conv');
    assert.is(weights.length, 3);
    const s = { ...all, weights, values };
    const { model, emitted } = await lowerTo('native', s);
    const ops = operators(model);
    // What the operators round is rounded nowhere else.
    assert.equal(
      ['SelectiveScan', 'CausalConv1d', 'Scan', 'Conv', 'QuantizeLinear', 'DequantizeLinear', 'Round'].map(
        (o) => ops.filter((x) => x === o).length,
      ),
      [3, 3, 0, 0, 0, 0, 0],
    );
    assert.ok(convs.every((c) => emitted.find((e) => e.site === c.id)?.ops.includes('CausalConv1d')));
    const feeds = feedsOf(source.model, 2, 3);
    const want = await run(simulate(s), feeds, stock);
    const unrounded = await run(source.model, feeds, stock);
    for (const way of ways) {
      const got = await run(model, feeds, way);
      for (const [name, x] of Object.entries(want)) {
        // A tie that float32 sees otherwise moves one code by one step.
        assert.ok(relative(x, got[name]!) < 2e-3, `${name}: ${relative(x, got[name]!)}`);
        if (name.startsWith('present_ssm')) assert.ok(differing(x, got[name]!) <= 2e-4, `${name}: ${differing(x, got[name]!)}`);
      }
      assert.ok(relative(unrounded['logits']!, got['logits']!) > 1e-2, 'nothing was rounded');
    }
  });
/** The share of elements that are not equal within float32. */
function differing(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let n = 0;
  for (let i = 0; i < a.length; i++) if (Math.abs(a[i]! - b[i]!) > 1e-5 * Math.abs(a[i]!)) n++;
  return n / a.length;
}

test('what the operators do not hold stays a Scan, a Conv', async () => {
  const narrow = (q: QuantizedValue): QuantizedValue => ({
    ...q,
    type: { ...q.type, bits: 4, codes: { kind: 'int', bits: 4, signed: true, lo: -8, hi: 7 } },
  });
  const state = await lowerTo('native', { ...float, values: [narrow(value(layers[0]!, 'state', { per: 'channel' }))] });
  assert.is(operators(state.model).filter((o) => o === 'Scan').length, 1);
  const input = await lowerTo('native', { ...float, values: [narrow(value(convs[0]!, 'input', { per: 'channel' }))] });
  assert.is(operators(input.model).filter((o) => o === 'Conv').length, 1);
});

test('a body is read as an expression: one factor more, or another axis, is none', () => {
  const scan = source.model.graph.nodes.find((n) => n.op === 'Scan')!;
  const attr = scan.attrs.get('body')!;
  if (attr.type !== 'graph') throw new Error('no body');
  const outer = createView(source.model);
  const reads = (nodes: readonly Node[]) => {
    const body = { ...attr.value, nodes: [...nodes] };
    return readRecurrence(createView(source.model, body, '', outer), body);
  };
  const body = attr.value.nodes;
  const found = reads(body)!;
  assert.equal([found.perHead, found.next, found.y, new Set(Object.values(found.inputs)).size], [true, 0, 1, 5]);
  const changed = (op: string, change: (n: Node) => Node) => body.map((n) => (n.op === op ? change(n) : n));
  assert.is(reads(changed('Exp', (n) => ({ ...n, op: 'Softplus' }))), undefined);
  assert.is(reads(changed('Add', (n) => ({ ...n, op: 'Sub' }))), undefined);
  const add = body.find((n) => n.op === 'Add')!;
  assert.is(reads(changed('Add', (n) => ({ ...n, inputs: [add.inputs[0]!, add.inputs[0]!] }))), undefined);
  const last = body.filter((n) => n.op === 'Unsqueeze').at(-1)!;
  assert.is(reads(body.map((n) => (n === last ? { ...n, op: 'Identity', inputs: [n.inputs[0]!] } : n))), undefined);
});

if (active)
  test('what does not fit is an error that names the operator', async () => {
    const { model } = await lowerTo('native', float);
    const feeds = feedsOf(source.model, 1, 2);
    const bad = async (op: string, change: (n: Node) => Partial<Node>): Promise<string> => {
      const at = model.graph.nodes.find((n) => n.op === op)!;
      const nodes = model.graph.nodes.map((n) => (n === at ? { ...n, ...change(n) } : n));
      const initializers = new Map([...model.graph.initializers, ['odd', float32s([1, 2, 3], [3])]] as const);
      return run({ ...model, graph: { ...model.graph, nodes, initializers } }, feeds).then(
        () => 'nothing',
        (e: Error) => e.message,
      );
    };
    const input =
      (i: number, name = 'odd') =>
      (n: Node) => ({ inputs: n.inputs.map((v, j) => (j === i ? name : v)) });
    const attr =
      (name: string, ...v: number[]) =>
      (n: Node) => ({
        attrs: new Map([
          ...n.attrs,
          [name, v.length > 1 ? ({ type: 'ints', value: v } as const) : ({ type: 'int', value: v[0]! } as const)],
        ]),
      });
    for (const [op, change, says] of [
      ['SelectiveScan', attr('heads', 6, 4), /SelectiveScan: 4 groups cannot share 6 heads/],
      ['SelectiveScan', attr('heads', 0, 1), /SelectiveScan: the attribute "heads" is not 2 sizes/],
      ['SelectiveScan', attr('softplus', 7), /SelectiveScan: softplus is 7/],
      ['SelectiveScan', input(0), /SelectiveScan: the state has the shape \[3\]/],
      ['SelectiveScan', input(1), /SelectiveScan: x has the shape \[3\]/],
      ['SelectiveScan', input(2), /SelectiveScan: dt has the shape \[3\]/],
      ['SelectiveScan', input(5), /SelectiveScan: z has 3 elements/],
      ['SelectiveScan', input(6), /SelectiveScan: A has the shape \[3\]/],
      ['SelectiveScan', input(7), /SelectiveScan: D has 3 elements/],
      ['SelectiveScan', input(8), /SelectiveScan: state_scale has 3 elements/],
      ['SelectiveScan', input(9), /SelectiveScan: x has 3 scales/],
      ['SelectiveScan', input(14), /SelectiveScan: gate_scale has 3 elements/],
      ['SelectiveScan', input(1, 'input_ids'), /SelectiveScan: input "x" is not float32 or int8/],
      ['CausalConv1d', attr('channels', 3), /CausalConv1d: .* not 3 channels/],
      ['CausalConv1d', attr('silu', 2), /CausalConv1d: silu is 2/],
      ['CausalConv1d', input(1), /CausalConv1d: .*state/],
      ['CausalConv1d', input(2), /CausalConv1d: weight has the shape \[3\]/],
      ['CausalConv1d', input(3), /CausalConv1d: bias has 3 elements/],
      ['CausalConv1d', input(5), /CausalConv1d: x_scale has 3 elements/],
    ] as const)
      assert.match(await bad(op, change), says);
  });

test.run();
