/**
 * Every operator of qc.v1 at a usual size, by instruction set: which variant of the kernel runs, how fast it is beside the scalar one, and beside stock
 * ONNX Runtime (the nearest operator that it has, else the operator's own body). Times are those of the nodes in ONNX Runtime's profile; all sets and stock
 * run in one process, turn by turn, with outputs in ONNX Runtime's memory.
 *
 *   npx tsx bench/ops.ts [--threads 1] [--only SUBSTRING] [--sets scalar,amx] [--seconds 90] [--dir /tmp/qc-ops] [--out docs/measured/ops.md]
 *
 * The list is the registry's, the cases are those of test/native/cases: an operator without one fails a test there. A run stops after --seconds and says
 * what is left; what was measured is kept in --dir, so the same command goes on, and the table is written when nothing is left.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { writeModel } from '../compiler/graph/write.ts';
import { nodeHost } from '../compiler/node/host.ts';
import { findAddon, runtimeLibrary } from '../runtime/addon.ts';
import { packageFolder } from '../runtime/crunch.ts';
import type { NativeSession } from '../runtime/handler.ts';
import { elementOf } from '../runtime/tensors.ts';
import { caseOf, dataOf, type Fed, modelOfCase, modelOfStock, sizesOf } from '../test/native/cases/index.ts';

const { values: o } = parseArgs({
  options: {
    threads: { type: 'string', default: '1' },
    only: { type: 'string', default: '' },
    seconds: { type: 'string', default: '90' },
    dir: { type: 'string', default: '/tmp/qc-ops' },
    out: { type: 'string', default: 'docs/measured/ops.md' },
    sets: { type: 'string', default: '' },
    child: { type: 'string', default: '' },
  },
});
/** How long one node is repeated on a set, and how often, at most. */
const MILLISECONDS = 60;
const RUNS = 50;

const found = await findAddon(await packageFolder());
if (typeof found === 'string') throw new Error(found);
const { addon } = found;
const library = await runtimeLibrary();
const available = addon
  .instructionSets()
  .filter((s) => s.available)
  .map((s) => s.name);
const sets = available.filter((s) => o.sets === '' || o.sets.split(',').includes(s));
const operators = addon.operators('').map((x) => x.name);
const variants = new Map(available.map((isa) => [isa, new Map(addon.operators(isa).map((x) => [x.name, x.variant]))]));
/** An operator and a size of its cases. */
type Row = readonly [operator: string, size: string];
/** What runs the variant of a lower set is not measured twice, scalar code (which takes seconds for long sequences) at one size. */
const columnsOf = ([name, size]: Row): string[] => [
  'stock',
  ...sets.filter((isa) => variants.get(isa)!.get(name) === isa && (isa !== 'scalar' || size === sizesOf(name)[0])),
];

/** A session that is timed. */
interface Runner {
  readonly session: NativeSession;
  readonly feeds: Parameters<NativeSession['run']>[0];
  readonly folder: string;
  /** Milliseconds and runs so far. */
  spent: number;
  runs: number;
}

async function opened({ model, feeds }: Fed, isa: string): Promise<Runner> {
  const folder = mkdtempSync(join(tmpdir(), 'qc-ops-'));
  const host = await nodeHost({ threads: 1 });
  const file = join(folder, 'm.onnx');
  await writeModel(host, isa === 'stock' ? model : { ...model, functions: [] }, file, { dir: folder, external: false });
  await host.close();
  // Kernels read it when they are made.
  process.env['QC_ISA'] = isa === 'stock' ? '' : isa;
  const settings = { threads: Number(o.threads), config: [], optimize: 99, arena: true, pattern: true, flush: false, dimensions: [] };
  const session = await addon.openSession(library, file, { ...settings, kernels: isa !== 'stock', profile: join(folder, 'p') });
  const given = Object.entries(feeds).map(([name, t]) => {
    const x = dataOf(t);
    return { name, element: elementOf(t.dtype), dims: [...t.shape], data: new Uint8Array(x.buffer, x.byteOffset, x.byteLength) };
  });
  return { session, feeds: given, folder, spent: 0, runs: 0 };
}

async function step(r: Runner): Promise<void> {
  const before = performance.now();
  const results = await r.session.run(
    r.feeds,
    r.session.outputs().map((name) => ({ name, element: 0, dims: [] })),
  );
  for (const x of results) if (x.held) r.session.release(x.held);
  // The first run warms up.
  r.spent += r.runs++ === 0 ? 0 : performance.now() - before;
}

/** Microseconds of all nodes of the model, median of runs. */
function timeOf(r: Runner): number {
  r.session.endProfiling();
  r.session.close();
  const profile = readdirSync(r.folder).find((f) => f.startsWith('p'))!;
  const events = JSON.parse(readFileSync(join(r.folder, profile), 'utf8')) as { cat: string; name: string; dur: number; ts: number }[];
  rmSync(r.folder, { recursive: true });
  // A run is what lies between two ends of the whole model.
  const runs = events.filter((e) => e.name === 'model_run').map((e) => [e.ts, e.ts + e.dur] as const);
  const nodes = events.filter((e) => e.cat === 'Node' && e.name.endsWith('_kernel_time'));
  const sums = runs.slice(1).map(([from, to]) => nodes.reduce((n, e) => (e.ts >= from && e.ts < to ? n + e.dur : n), 0));
  return sums.sort((a, b) => a - b)[sums.length >> 1] ?? Number.NaN;
}

/** One operator on every set and beside stock, turn by turn. */
async function child(name: string, size: string): Promise<Record<string, number>> {
  const c = caseOf(name, size)!;
  const own = modelOfCase(name, c);
  const runners = new Map<string, Runner>();
  for (const column of columnsOf([name, size]))
    runners.set(column, await opened(column === 'stock' && c.stock ? modelOfStock(c) : own, column));
  for (;;) {
    const some = [...runners.values()].filter((r) => r.runs < 4 || (r.runs <= RUNS && r.spent < MILLISECONDS));
    if (some.length === 0) break;
    for (const r of some) await step(r);
  }
  return Object.fromEntries([...runners].map(([column, r]) => [column, timeOf(r)]));
}
if (o.child) {
  for (const row of JSON.parse(o.child) as Row[]) console.log(JSON.stringify([row.join(' '), await child(...row)]));
  process.exit(0);
}

mkdirSync(o.dir, { recursive: true });
const kept = join(o.dir, `times-${o.threads}.json`);
type Times = Record<string, Record<string, number>>;
const times: Times = existsSync(kept) ? (JSON.parse(readFileSync(kept, 'utf8')) as Times) : {};
const ends = performance.now() + 1000 * Number(o.seconds);
const table: Row[] = operators
  .flatMap((name) => sizesOf(name).map((size): Row => [name, size]))
  .filter((r) => r.join(' ').includes(o.only));
const missing = table.filter((row) => columnsOf(row).some((c) => times[row.join(' ')]?.[c] === undefined));
let left = missing.length;
for (let at = 0; at < missing.length && performance.now() < ends; at += 3) {
  const some = missing.slice(at, at + 3);
  const args = [...process.execArgv, import.meta.filename, '--threads', o.threads, '--sets', o.sets, '--child', JSON.stringify(some)];
  const r = spawnSync(process.execPath, args, { encoding: 'utf8' });
  if (r.status !== 0) throw new Error(`${some.join(' ')}:\n${r.stderr.slice(-2000)}`);
  for (const line of r.stdout.trim().split('\n')) {
    const [row, us] = JSON.parse(line) as [string, Record<string, number>];
    times[row] = us;
  }
  left -= some.length;
  writeFileSync(kept, JSON.stringify(times));
}
if (left > 0) {
  console.log(`${left} rows are left: the same command goes on`);
  process.exit(0);
}

const best = sets.at(-1)!;
/** The time of the variant that runs there. */
const of = (row: Row, isa: string): number => times[row.join(' ')]?.[variants.get(isa)!.get(row[0])!] ?? Number.NaN;
const ms = (us: number) => (Number.isNaN(us) ? '' : us >= 1000 ? `${(us / 1000).toFixed(2)} ms` : `${us.toFixed(0)} µs`);
const factor = (x: number) => (Number.isFinite(x) ? `${x.toFixed(x < 10 ? 2 : 0)}×` : '');
const rows = table.map((row) => {
  const [name, size] = row;
  const c = caseOf(name, size)!;
  const cells = sets.slice(1).map((isa) => {
    const variant = variants.get(isa)!.get(name)!;
    if (variant === 'scalar') return '**scalar**';
    return variant === isa ? factor(of(row, 'scalar') / of(row, isa)) : `as ${variant}`;
  });
  const beside = c.stock ? c.stock.op : 'its body';
  const inputs = Object.values(c.inputs)[0]!.shape.join('×');
  const shape = Array.isArray(c.attrs['shape']) ? `${inputs} · ${(c.attrs['shape'] as number[]).join('×')}` : inputs;
  const stock = times[row.join(' ')]!['stock']!;
  return [
    `\`${name}\``,
    size === 'usual' ? shape : `${shape}, ${size}`,
    ms(of(row, 'scalar')),
    ...cells,
    ms(of(row, best)),
    ms(stock),
    factor(stock / of(row, best)),
    beside,
  ];
});
const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
const head = ['operator', 'of', 'scalar', ...sets.slice(1), `time on ${best}`, 'stock', '× stock', 'stock is'];
const text = [
  '# Operators of qc.v1 by instruction set',
  '',
  `Written by \`npx tsx bench/ops.ts\`: ${cpus()[0]?.model.trim()}, ${o.threads} thread, load at the end ${loadavg()[0]?.toFixed(1)}. Every operator of the registry, on a model of that one node.`,
  'Sets: how much faster than scalar; `as …`: the set runs the variant of the one below; **scalar**: there is no faster kernel. Stock: the nearest operator of ONNX Runtime on the same first input (MatMulNBits: four bits in groups of 128 under `accuracy_level` 4, whatever the width here; GroupQueryAttention: rotary embedding, causal, over a cache of floats, whatever ours holds), or the body on stock ONNX Runtime, whose constant parts it computes once: for linear layers that is a product in float32.',
  '`after n`: one token behind n; `causal n`: n tokens under a causal mask, in 32 heads of 64 over 4 of keys; `of n`: n tokens of 16 heads of 64. Scalar code is measured at the first size of an operator.',
  'arm64: every operator has a NEON variant, tested under qemu-user (`sh scripts/test-arm64.sh`); there was no such machine to measure on.',
  '',
  line(head),
  line(head.map(() => '---')),
  ...rows.map(line),
  '',
].join('\n');
writeFileSync(o.out, text);
console.log(text);
