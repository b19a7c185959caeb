/**
 * State-space models: the fused selective scan and the fused convolution against the exported operators in stock ONNX Runtime, cut out of the model at
 * the same values; then whole models. Turn by turn in one process of Python's onnxruntime, CPU time of one thread or wall time of several, medians; memory each in
 * a process of its own. Writes Markdown.
 *
 *   npx tsx bench/scan.ts --prepare    # compiles whole models into --dir
 *   npx tsx bench/scan.ts [--models ../shared/models] [--dir /tmp/qc-bench] [--seconds 1] [--threads 1] [--out docs/measured/scan.md]
 *
 * Needs `npm run build`, Python with onnxruntime. Scales of the parts are fixed numbers: they do not change what is computed.
 */
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { loadavg } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { cut } from '../compiler/graph/cut.ts';
import { infer } from '../compiler/graph/infer.ts';
import { loadModel } from '../compiler/graph/load.ts';
import type { Model } from '../compiler/graph/types.ts';
import { writeModel } from '../compiler/graph/write.ts';
import { findSites } from '../compiler/match/find.ts';
import { nodeHost } from '../compiler/node/host.ts';
import type { QuantizedValue, Simulated } from '../compiler/simulated.ts';
import native from '../compiler/targets/native.ts';
import ort from '../compiler/targets/ort.ts';
import { cli, watch } from './watch.ts';

const { values: o } = parseArgs({
  options: {
    models: { type: 'string', default: '../shared/models' },
    model: { type: 'string', multiple: true, default: ['mamba', 'mamba2'] },
    dir: { type: 'string', default: '/tmp/qc-bench' },
    seconds: { type: 'string', default: '1' },
    threads: { type: 'string', default: '1' },
    out: { type: 'string', default: 'docs/measured/scan.md' },
    prepare: { type: 'boolean', default: false },
    python: { type: 'string', default: 'python3' },
  },
});
mkdirSync(o.dir, { recursive: true });
const TOKENS = 256;
const host = await nodeHost();
const library = join(import.meta.dirname, `../runtime/native/qc-ops.${process.platform}-${process.arch}.so`);

interface Runner {
  readonly name: string;
  /** Stock operators and bodies, or our kernels. */
  readonly way: 'stock' | 'ours';
  readonly file: string;
}
interface Timed {
  readonly ms: readonly number[];
  readonly mib: number | null;
}
const median = (x: readonly number[]) => [...x].sort((a, b) => a - b)[Math.floor(x.length / 2)]!;

/** Every model turn by turn, in one process of Python's ONNX Runtime. */
async function race(runners: readonly Runner[], tokens: number): Promise<{ ms: number; ratio: number; mib: number | null }[]> {
  const models = runners.map((r, i) => `${i}=${r.file}${r.way === 'ours' ? `:${library}` : ''}`);
  const args = [
    join(import.meta.dirname, 'peers/scan.py'),
    '--tokens',
    String(tokens),
    '--seconds',
    o.seconds,
    '--threads',
    o.threads,
    ...(tokens === 1 ? ['--speed-only'] : []),
    ...models,
  ];
  const done = await watch(o.python, args);
  if (done.code !== 0) throw new Error(done.output);
  const all = done.output
    .trim()
    .split('\n')
    .filter((l) => l.startsWith('{'))
    .map((l) => JSON.parse(l) as Timed);
  return all.map((t) => ({ ms: median(t.ms), ratio: median(all[0]!.ms.map((x, i) => x / t.ms[i]!)), mib: t.mib }));
}

/** Every port of every recurrence and every convolution's input in int8, one scale a channel, the state one an element. */
function quantized(model: Model): Simulated {
  const sites = findSites(model);
  const int8 = (site: QuantizedValue['site'], port: string, shape: readonly number[]): QuantizedValue => ({
    site,
    port,
    value: site.ports[port]!.value,
    type: {
      format: { name: 'int', args: { bits: 8 } },
      codes: { kind: 'int', bits: 8, signed: true, lo: -128, hi: 127 },
      bits: 8,
      symmetric: true,
      grain: { per: 'element' },
      mode: 'static',
      law: { name: 'minmax', args: {} },
      scaleType: 'model',
      text: 'int8',
    },
    scale: new Float32Array(shape.reduce((a, b) => a * b, 1)).fill(0.02),
    shape,
  });
  const values = sites.sites.flatMap((site) => {
    const dims = (port: string, from: number) => site.ports[port]!.shape!.slice(from) as number[];
    if (site.role === 'ssm') return ['x', 'B', 'C', 'dt', 'z', 'state'].map((p) => int8(site, p, dims(p, p === 'state' ? 1 : 2)));
    return site.role === 'conv' ? [int8(site, 'input', [...dims('input', 1).slice(0, 1), 1])] : [];
  });
  return { model, sites, weights: [], values };
}

const lines: string[] = [];
const scratch = mkdtempSync(join(o.dir, 'scan-'));
const folders = o.model
  .map((name) => ({ name, folder: join(o.models, name) }))
  .filter(({ folder }) => existsSync(folder) || console.log(`skipped: no ${folder}`));
const whole = (name: string, what: string) => join(o.dir, `${name}-${what}.onnx`);
const kinds = { ort: ['ort', 'keep'], native: ['native', 'keep'], 'native-int8-states': ['native', 'quantized'] } as const;

if (o.prepare) {
  rmSync(scratch, { recursive: true });
  const recipe = join(o.dir, 'scan.qrecipe');
  writeFileSync(recipe, 'use "@qrecipe/std@^0.1" as std\nrecipe r version "1.0.0" {\n  apply std.mambaquant(samples: 8)\n}\n');
  for (const { name, folder } of folders)
    for (const [what, [target, io]] of Object.entries(kinds)) {
      const data = `calib=${join(folder, 'calib')}`;
      const args = [
        'compile',
        join(folder, 'model.onnx'),
        recipe,
        '-o',
        whole(name, what),
        '--target',
        target,
        '--io',
        io,
        '--data',
        data,
        '--force',
        '--quiet',
      ];
      const done = await watch(process.execPath, [cli, ...args]);
      if (done.code !== 0) throw new Error(`${name} ${what}: ${done.output}`);
      console.log(`${name} ${what} ${done.seconds.toFixed(0)} s`);
    }
  await host.close();
  process.exit(0);
}

/** A row for each runner: both shapes, memory. */
async function table(title: string, runners: readonly Runner[]): Promise<void> {
  lines.push(
    `\n## ${title}\n\n| | prefill ${TOKENS}, ms | ratio | one token, ms | ratio | memory, MiB |\n| --- | --- | --- | --- | --- | --- |`,
  );
  const [prefill, decode] = [await race(runners, TOKENS), await race(runners, 1)];
  for (const [i, r] of runners.entries()) {
    const [p, d] = [prefill[i]!, decode[i]!];
    lines.push(
      `| ${r.name} | ${p.ms.toFixed(3)} | ${p.ratio.toFixed(2)}× | ${d.ms.toFixed(4)} | ${d.ratio.toFixed(2)}× | ${p.mib === null ? '?' : p.mib.toFixed(1)} |`,
    );
    console.log(title, lines.at(-1));
  }
}

for (const { name, folder } of folders) {
  const { model, dir } = await loadModel(host, join(folder, 'model.onnx'));
  const float = { ...quantized(infer(model)), values: [] };
  for (const [op, what] of [
    ['SelectiveScan', 'scan with softplus, skip and gate'],
    ['CausalConv1d', 'convolution with state and SiLU'],
  ] as const) {
    const runners: Runner[] = [];
    for (const [kind, s] of [
      ['float', float],
      ['int8', quantized(infer(model))],
    ] as const) {
      const fused = (await native.lower(s, {} as never)).model;
      const exported = kind === 'float' ? s.model : (await ort.lower(s, { weights: 'fast' } as never)).model;
      const n = fused.graph.nodes.find((k) => k.op === op)!;
      const given = n.inputs.slice(0, op === 'SelectiveScan' ? 6 : 2).filter((i) => !fused.graph.initializers.has(i));
      const info = (value: string) => s.model.graph.values.get(value) ?? s.model.graph.inputs.find((i) => i.name === value)!;
      const known = new Map(given.map((i) => [i, info(i)] as const));
      for (const [who, m, way] of [
        ['exported, stock', exported, 'stock'],
        ['fused, kernel', fused, 'ours'],
        ['fused, body on stock', fused, 'stock'],
      ] as const) {
        const file = join(scratch, `${name}-${op}-${kind}-${who.startsWith('e') ? 'exported' : 'fused'}.onnx`);
        if (!runners.some((r) => r.file === file)) await writeModel(host, cut(m, known, n.outputs), file, { dir });
        runners.push({ name: `${kind}, ${who}`, way, file });
      }
    }
    await table(`${name}: ${what}`, runners);
  }
  if (!Object.keys(kinds).every((what) => existsSync(whole(name, what)))) {
    console.log(`skipped: whole models of ${name} are not compiled (--prepare)`);
    continue;
  }
  await table(`${name}: whole model`, [
    { name: 'float32, stock', way: 'stock', file: join(folder, 'model.onnx') },
    { name: 'W8A8 everything, target ort, stock', way: 'stock', file: whole(name, 'ort') },
    { name: 'W8A8 everything, target native', way: 'ours', file: whole(name, 'native') },
    { name: 'W8A8 everything, target native, int8 states outside', way: 'ours', file: whole(name, 'native-int8-states') },
  ]);
}
const head = `# State-space models: speed\n\nWritten by \`npx tsx bench/scan.ts\`: medians of runs turn by turn in Python's onnxruntime, inputs and outputs bound, ${o.threads === '1' ? 'CPU time of one thread' : `wall time of ${o.threads} threads`}, load average ${loadavg()[0]!.toFixed(1)}; ratio: the first row's time over this one's. Memory: what loading and three prefills add, in a process of its own.\n`;
writeFileSync(o.out, `${head}${lines.join('\n')}\n`);
rmSync(scratch, { recursive: true });
await host.close();
