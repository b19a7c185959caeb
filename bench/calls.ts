/**
 * What a call of an operator costs beside its arithmetic: a hundred nodes in a row on a few elements, ours and stock's, turn by turn. Microseconds a node.
 *
 *   npx tsx bench/calls.ts [--seconds 3] [--out docs/measured/calls.md]
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import type { Node, Tensor } from '../compiler/graph/types.ts';
import { writeModel } from '../compiler/graph/write.ts';
import { type AttrValue, node, numbers } from '../compiler/lower/make.ts';
import { nodeHost } from '../compiler/node/host.ts';
import { findAddon, runtimeLibrary } from '../runtime/addon.ts';
import { packageFolder } from '../runtime/crunch.ts';
import { elementOf } from '../runtime/tensors.ts';
import { caseOf, dataOf, modelOfCase } from '../test/native/cases/index.ts';

const { values: o } = parseArgs({
  options: { seconds: { type: 'string', default: '3' }, out: { type: 'string', default: 'docs/measured/calls.md' } },
});
const NODES = 100;
const WIDTH = 32;
const found = await findAddon(await packageFolder());
if (typeof found === 'string') throw new Error(found);
const { addon } = found;
const library = await runtimeLibrary();

const ones = (shape: number[], x = 0.5): Tensor => numbers('float32', shape, Array(shape.reduce((a, b) => a * b, 1)).fill(x));
interface Chained {
  readonly op: string;
  readonly domain: string;
  /** Constants behind the first input. */
  readonly constants: Readonly<Record<string, Tensor>>;
  readonly attrs: Readonly<Record<string, AttrValue>>;
  readonly more?: number;
}
const linear = caseOf('LinearW4A8', 'small')!;
const gain = { gain: ones([WIDTH], 1) };
const chains: Chained[] = [
  { op: 'Mul', domain: '', constants: gain, attrs: {} },
  { op: 'MatMul', domain: '', constants: { w: ones([WIDTH, WIDTH], 0.01) }, attrs: {} },
  { op: 'SimplifiedLayerNormalization', domain: '', constants: gain, attrs: { axis: -1, epsilon: { float: 1e-5 } } },
  {
    op: 'SkipSimplifiedLayerNormalization',
    domain: 'com.microsoft',
    constants: { r: ones([1, 1, WIDTH]), ...gain },
    attrs: { epsilon: { float: 1e-5 } },
  },
  {
    op: 'MatMulNBits',
    domain: 'com.microsoft',
    constants: { B: numbers('uint8', [WIDTH, 1, 16], Array(WIDTH * 16).fill(0x87)), scales: ones([WIDTH], 0.01) },
    attrs: { K: WIDTH, N: WIDTH, bits: 4, block_size: 32, accuracy_level: 4 },
  },
  { op: 'SiLUScaled', domain: 'qc.v1', constants: gain, attrs: {} },
  { op: 'RmsNorm', domain: 'qc.v1', constants: gain, attrs: { eps: { float: 1e-5 } } },
  { op: 'AddRmsNorm', domain: 'qc.v1', constants: { r: ones([1, 1, WIDTH]), ...gain }, attrs: { eps: { float: 1e-5 } }, more: 1 },
  {
    op: 'LinearW4A8',
    domain: 'qc.v1',
    constants: {
      ...Object.fromEntries(Object.entries(linear.inputs).slice(1)),
      codes: numbers('uint8', [1, WIDTH / 4, 64], Array((WIDTH / 4) * 64).fill(0x87)),
      scales: ones([1, 1, 32], 0.01),
    },
    attrs: { shape: [WIDTH, WIDTH], group: 32, layout: 1 },
  },
];

const host = await nodeHost({ threads: 1 });
const folder = mkdtempSync(join(tmpdir(), 'qc-calls-'));
async function opened(c: Chained, count: number) {
  const nodes: Node[] = Array.from({ length: count }, (_, i) => ({
    ...node(
      c.op,
      [i ? `x${i}` : 'x', ...Object.keys(c.constants)],
      [i + 1 === count ? 'y' : `x${i + 1}`, ...Array.from({ length: c.more ?? 0 }, (_, k) => `o${i}_${k}`)],
      c.attrs,
    ),
    domain: c.domain,
  }));
  const { model } = modelOfCase('SiLUScaled', caseOf('SiLUScaled', 'small')!);
  model.functions.length = 0;
  model.graph.nodes = nodes;
  model.graph.inputs = [{ name: 'x', dtype: 'float32', shape: [1, 1, WIDTH] }];
  model.graph.outputs = [{ name: 'y' }];
  model.graph.initializers = new Map(Object.entries(c.constants));
  const file = join(folder, `${c.op}-${count}.onnx`);
  await writeModel(host, model, file, { dir: folder, external: false });
  return addon.openSession(library, file, {
    threads: 1,
    config: [],
    optimize: 0,
    arena: true,
    pattern: false,
    flush: false,
    dimensions: [],
    kernels: true,
  });
}
const data = new Uint8Array(dataOf(ones([1, 1, WIDTH])).buffer);
const rows = [];
for (const c of chains) rows.push({ c, sessions: [await opened(c, NODES), await opened(c, 1)], us: [[], []] as number[][] });
for (const ends = performance.now() + 1000 * Number(o.seconds); performance.now() < ends; )
  for (const { sessions, us } of rows)
    for (const [i, s] of sessions.entries()) {
      const from = performance.now();
      const [y] = await s.run(
        [{ name: 'x', element: elementOf('float32'), dims: [1, 1, WIDTH], data }],
        [{ name: 'y', element: 0, dims: [] }],
      );
      us[i]!.push(1000 * (performance.now() - from));
      if (y?.held) s.release(y.held);
    }
// The median of what is least disturbed: a call is short beside what else the machine does.
const low = (x: number[]) => x.sort((a, b) => a - b)[x.length >> 2]!;
const text = [
  '# What a call costs',
  '',
  `Written by \`npx tsx bench/calls.ts\`: ${cpus()[0]?.model.trim()}, 1 thread, load ${loadavg()[0]?.toFixed(1)}. ${NODES} nodes in a row on ${WIDTH} floats, of which one is taken off; the lower quartile of runs, stock's operators and ours turn by turn.`,
  '',
  '| operator | of | a call |',
  '| --- | --- | --- |',
  ...rows.map(({ c, us }) => `| \`${c.op}\` | ${c.domain || 'ONNX'} | ${((low(us[0]!) - low(us[1]!)) / (NODES - 1)).toFixed(2)} µs |`),
  '',
].join('\n');
writeFileSync(o.out, text);
console.log(text);
await host.close();
rmSync(folder, { recursive: true });
