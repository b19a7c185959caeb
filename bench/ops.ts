/**
 * Operators of qc.v1 by instruction set: which variant of the kernel runs, and how fast it is beside the scalar one, from ONNX Runtime's profile of
 * models that were compiled for target native, one process an instruction set.
 *
 *   npx tsx bench/ops.ts model.onnx … [--threads 1] [--out docs/measured/ops.md]
 *
 * An operator that is in none of the models has its variants and no times. A scalar kernel where the machine has more is marked.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { cpus, loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { findAddon } from '../runtime/addon.ts';
import { made, shapesOf } from '../runtime/bench-feeds.ts';
import { packageFolder } from '../runtime/crunch.ts';

const { values: o, positionals: models } = parseArgs({
  allowPositionals: true,
  options: {
    threads: { type: 'string', default: '1' },
    out: { type: 'string', default: 'docs/measured/ops.md' },
    child: { type: 'boolean' },
  },
});

/** Microseconds of each operator by the model's runs: medians of its nodes, added up. */
async function profile(model: string): Promise<Record<string, number>> {
  await import('../runtime/index.ts');
  const ort = createRequire(import.meta.url)('onnxruntime-node') as typeof import('onnxruntime-node');
  const folder = mkdtempSync(join(tmpdir(), 'qc-ops-'));
  const session = await ort.InferenceSession.create(model, {
    intraOpNumThreads: Number(o.threads),
    logSeverityLevel: 3,
    enableProfiling: true,
    profileFilePrefix: join(folder, 'p'),
  });
  const shapes = shapesOf(session.inputMetadata, {});
  const feeds = Object.fromEntries(session.inputMetadata.map((m) => [m.name, made(ort, m, shapes.get(m.name)!)]));
  for (let i = 0; i < 9; i++) await session.run(feeds);
  session.endProfiling();
  await session.release();
  const events = JSON.parse(readFileSync(join(folder, readdirSync(folder)[0]!), 'utf8')) as {
    cat: string;
    name: string;
    dur: number;
    args?: { op_name?: string; node_index?: string };
  }[];
  rmSync(folder, { recursive: true });
  const nodes = new Map<string, number[]>();
  for (const e of events)
    if (e.cat === 'Node' && e.name.endsWith('_kernel_time')) {
      const key = `${e.args?.op_name} ${e.args?.node_index}`;
      nodes.set(key, [...(nodes.get(key) ?? []), e.dur]);
    }
  const sums: Record<string, number> = {};
  for (const [key, us] of nodes) {
    const op = key.split(' ')[0]!;
    sums[op] = (sums[op] ?? 0) + us.sort((a, b) => a - b)[us.length >> 1]!;
  }
  return sums;
}

if (o.child) {
  console.log(JSON.stringify(await Promise.all(models.map(profile))));
  process.exit(0);
}
const found = await findAddon(await packageFolder());
if (typeof found === 'string') throw new Error(found);
const sets = found.addon
  .instructionSets()
  .filter((s) => s.available)
  .map((s) => s.name);
const times = new Map<string, Record<string, number>[]>();
for (const isa of sets) {
  const r = spawnSync(process.execPath, [...process.execArgv, import.meta.filename, '--child', '--threads', o.threads, ...models], {
    env: { ...process.env, QC_ISA: isa },
    encoding: 'utf8',
  });
  if (r.status !== 0) throw new Error(r.stderr);
  times.set(isa, JSON.parse(r.stdout.trim().split('\n').at(-1)!));
}
const variants = new Map(sets.map((isa) => [isa, new Map(found.addon.operators(isa).map((x) => [x.name, x.variant]))]));
const total = (isa: string, op: string) => (times.get(isa) ?? []).reduce((n, m) => n + (m[op] ?? 0), 0);
const rows = found.addon.operators('').map(({ name }) => {
  const scalar = total('scalar', name);
  const cells = sets.map((isa) => {
    const variant = variants.get(isa)!.get(name)!;
    const mark = variant === 'scalar' && isa !== 'scalar' ? '**scalar**' : variant === isa ? '' : `as ${variant}`;
    const speed =
      scalar > 0 && total(isa, name) > 0
        ? isa === 'scalar'
          ? `${(scalar / 1000).toFixed(2)} ms`
          : `${(scalar / total(isa, name)).toFixed(1)}×`
        : '';
    return [speed, mark].filter(Boolean).join(' ') || 'yes';
  });
  return { name, measured: scalar > 0, cells };
});
// Forms of the linear family are one kernel: those that were not measured stand in one row for all with the same cells.
const kept = rows.filter((r) => r.measured || !r.name.startsWith('Linear'));
const others = new Map<string, string[]>();
for (const r of rows) if (!kept.includes(r)) others.set(r.cells.join('|'), [...(others.get(r.cells.join('|')) ?? []), r.name]);
const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
const text = [
  '# Operators of qc.v1 by instruction set',
  '',
  `Written by \`npx tsx bench/ops.ts\`: ${cpus()[0]?.model.trim()}, ${o.threads} thread, load ${loadavg()[0]?.toFixed(1)}, models ${models.map((m) => m.split('/').at(-1)).join(', ')} at usual sizes.`,
  'Scalar: milliseconds of all its nodes in a run. Others: how much faster than scalar. `yes`: the variant is there and was not measured. `as …`: the set runs the variant below. **scalar**: the operator says that there is no faster kernel. Small models: short operators are near the clock’s grain.',
  '',
  line(['operator', ...sets]),
  line(['operator', ...sets].map(() => '---')),
  ...kept.map((r) => line([`\`${r.name}\``, ...r.cells])),
  ...[...others].map(([cells, names]) => line([`${names.length} more forms of \`Linear…\``, ...cells.split('|')])),
  '',
].join('\n');
writeFileSync(o.out, text);
console.log(text);
