/**
 * Every operator of qc.v1 at a usual size, by instruction set: which variant of the kernel runs, how fast it is beside the scalar one, and beside stock
 * ONNX Runtime (the nearest operator that it has, else the operator's own body). Times are those of the nodes in ONNX Runtime's profile.
 *
 *   npx tsx bench/ops.ts [--threads 1] [--only SUBSTRING] [--seconds 90] [--dir /tmp/qc-ops] [--out docs/measured/ops.md]
 *
 * The list is the registry's, the cases are those of test/native/cases: an operator without one fails a test there. A run stops after --seconds and says
 * what is left; what was measured is kept in --dir, so the same command goes on, and the table is written when nothing is left.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { cpus, loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { writeModel } from '../compiler/graph/write.ts';
import { nodeHost } from '../compiler/node/host.ts';
import { findAddon } from '../runtime/addon.ts';
import { packageFolder } from '../runtime/crunch.ts';
import { caseOf, dataOf, type Fed, modelOfCase, modelOfStock } from '../test/native/cases/index.ts';

const { values: o } = parseArgs({
  options: {
    threads: { type: 'string', default: '1' },
    only: { type: 'string', default: '' },
    seconds: { type: 'string', default: '90' },
    dir: { type: 'string', default: '/tmp/qc-ops' },
    out: { type: 'string', default: 'docs/measured/ops.md' },
    child: { type: 'string', default: '' },
  },
});
/** How long one node is repeated, at most. */
const MILLISECONDS = 60;

/** Microseconds of all nodes of a model, median of runs: on kernels, or stock. */
async function timed({ model, feeds: tensors }: Fed, stock: boolean): Promise<number> {
  const ort = createRequire(import.meta.url)('onnxruntime-node') as typeof import('onnxruntime-node');
  const folder = mkdtempSync(join(tmpdir(), 'qc-ops-'));
  const host = await nodeHost({ threads: 1 });
  await writeModel(host, model, join(folder, 'm.onnx'), { dir: folder, external: false });
  await host.close();
  const session = await ort.InferenceSession.create(join(folder, 'm.onnx'), {
    intraOpNumThreads: Number(o.threads),
    logSeverityLevel: 3,
    enableProfiling: true,
    profileFilePrefix: join(folder, 'p'),
    ...(stock ? { executionProviders: ['cpu'] } : {}),
  });
  const feeds = Object.fromEntries(Object.entries(tensors).map(([n, t]) => [n, new ort.Tensor(t.dtype as 'float32', dataOf(t), t.shape)]));
  await session.run(feeds);
  const ends = performance.now() + MILLISECONDS;
  for (let i = 0; i < 50 && (i < 3 || performance.now() < ends); i++) await session.run(feeds);
  session.endProfiling();
  await session.release();
  const profile = readdirSync(folder).find((f) => f.startsWith('p'))!;
  const events = JSON.parse(readFileSync(join(folder, profile), 'utf8')) as { cat: string; name: string; dur: number; ts: number }[];
  rmSync(folder, { recursive: true });
  // A run is what lies between two ends of the whole model.
  const runs = events.filter((e) => e.name === 'model_run').map((e) => [e.ts, e.ts + e.dur] as const);
  const nodes = events.filter((e) => e.cat === 'Node' && e.name.endsWith('_kernel_time'));
  const sums = runs.slice(1).map(([from, to]) => nodes.reduce((n, e) => (e.ts >= from && e.ts < to ? n + e.dur : n), 0));
  return sums.sort((a, b) => a - b)[sums.length >> 1] ?? Number.NaN;
}

/** One operator in a process of its own: QC_ISA says which variant; `stock`, what stands beside it. */
async function child(name: string): Promise<number> {
  const c = caseOf(name, 'usual')!;
  const own = modelOfCase(name, c);
  if (process.env['QC_STOCK']) return timed(c.stock ? modelOfStock(c) : own, true);
  await import('../runtime/index.ts');
  return timed({ ...own, model: { ...own.model, functions: [] } }, false);
}
if (o.child) {
  for (const name of o.child.split(',')) console.log(JSON.stringify([name, await child(name)]));
  process.exit(0);
}

const found = await findAddon(await packageFolder());
if (typeof found === 'string') throw new Error(found);
const { addon } = found;
const sets = addon
  .instructionSets()
  .filter((s) => s.available)
  .map((s) => s.name);
const operators = addon.operators('').map((x) => x.name);
const variants = new Map(sets.map((isa) => [isa, new Map(addon.operators(isa).map((x) => [x.name, x.variant]))]));

mkdirSync(o.dir, { recursive: true });
const kept = join(o.dir, `times-${o.threads}.json`);
type Times = Record<string, Record<string, number>>;
const times: Times = existsSync(kept) ? (JSON.parse(readFileSync(kept, 'utf8')) as Times) : {};
const ends = performance.now() + 1000 * Number(o.seconds);
// What runs the variant of a lower set is not measured twice.
const columns = ['stock', ...sets];
const missing = (name: string): string[] =>
  columns.filter((c) => times[name]?.[c] === undefined && (c === 'stock' || variants.get(c)!.get(name) === c));
const batches = new Map<string, string[]>();
for (const name of operators.filter((n) => n.includes(o.only)))
  for (const c of missing(name)) {
    const all = batches.get(c) ?? batches.set(c, []).get(c)!;
    all.push(name);
  }
let left = 0;
for (const [column, names] of batches)
  for (let at = 0; at < names.length; at += 8) {
    const some = names.slice(at, at + 8);
    if (performance.now() > ends) {
      left += some.length;
      continue;
    }
    const env = { ...process.env, ...(column === 'stock' ? { QC_STOCK: '1' } : { QC_ISA: column }) };
    const args = [...process.execArgv, import.meta.filename, '--threads', o.threads, '--child', some.join(',')];
    const r = spawnSync(process.execPath, args, { env, encoding: 'utf8' });
    if (r.status !== 0) throw new Error(`${column} ${some.join(' ')}:\n${r.stderr.slice(-2000)}`);
    for (const line of r.stdout.trim().split('\n')) {
      const [name, us] = JSON.parse(line) as [string, number];
      times[name] = { ...times[name], [column]: us };
    }
    writeFileSync(kept, JSON.stringify(times));
  }
if (left > 0) {
  console.log(`${left} measurements are left: the same command goes on`);
  process.exit(0);
}

const best = sets.at(-1)!;
const of = (name: string, isa: string): number => {
  // The time of the variant that runs there.
  const variant = variants.get(isa)!.get(name)!;
  return times[name]?.[variant] ?? Number.NaN;
};
const ms = (us: number) => (us >= 1000 ? `${(us / 1000).toFixed(2)} ms` : `${us.toFixed(0)} µs`);
const factor = (x: number) => (Number.isFinite(x) ? `${x.toFixed(x < 10 ? 2 : 0)}×` : 'not measured');
const rows = operators
  .filter((n) => n.includes(o.only))
  .map((name) => {
    const c = caseOf(name, 'usual')!;
    const cells = sets.slice(1).map((isa) => {
      const variant = variants.get(isa)!.get(name)!;
      if (variant === 'scalar') return '**scalar**';
      return variant === isa ? factor(of(name, 'scalar') / of(name, isa)) : `as ${variant}`;
    });
    const beside = c.stock ? c.stock.op : 'its body';
    const inputs = Object.values(c.inputs)[0]!.shape.join('×');
    const shape = Array.isArray(c.attrs['shape']) ? `${inputs} · ${(c.attrs['shape'] as number[]).join('×')}` : inputs;
    return [
      `\`${name}\``,
      shape,
      ms(of(name, 'scalar')),
      ...cells,
      ms(of(name, best)),
      ms(times[name]!['stock']!),
      factor(times[name]!['stock']! / of(name, best)),
      beside,
    ];
  });
const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
const head = ['operator', 'of', 'scalar', ...sets.slice(1), `time on ${best}`, 'stock', '× stock', 'stock is'];
const text = [
  '# Operators of qc.v1 by instruction set',
  '',
  `Written by \`npx tsx bench/ops.ts\`: ${cpus()[0]?.model.trim()}, ${o.threads} thread, load at the end ${loadavg()[0]?.toFixed(1)}. Every operator of the registry, on a model of that one node.`,
  'Sets: how much faster than scalar; `as …`: the set runs the variant of the one below; **scalar**: there is no faster kernel. Stock: the nearest operator of ONNX Runtime on the same first input (MatMulNBits: four bits in groups of 128 under `accuracy_level` 4, whatever the width here), or the body on stock ONNX Runtime, whose constant parts it computes once: for linear layers that is a product in float32.',
  '',
  line(head),
  line(head.map(() => '---')),
  ...rows.map(line),
  '',
].join('\n');
writeFileSync(o.out, text);
console.log(text);
