// Linear layers of target native beside stock MatMulNBits (accuracy level 4) and DynamicQuantizeMatMul in the same runs, turn by turn, in Python's
// onnxruntime; the machine's peaks where `cargo build --release --example machine -p qc-kernels` has been run.
// usage: npx tsx bench/kernels.ts [K] [N] [threads] [rows …]      QC_ISA=scalar|avx2|avxvnni|avx512vnni|amx forces an instruction set, ONLY=W8A8,W4A8-g128 picks operators
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Model } from '../compiler/graph/types.ts';
import { writeModel } from '../compiler/graph/write.ts';
import { float32s, node, numbers } from '../compiler/lower/make.ts';
import { nodeHost } from '../compiler/node/host.ts';
import { floats, type Kind, lowerTo, modelOf, quantized } from '../test/targets/build.ts';

const [k = 4096, n = 4096, threads = 2, ...rows] = process.argv.slice(2).map(Number);
const path = (relative: string) => fileURLToPath(new URL(relative, import.meta.url));
// Of the kernels alone: the solvers that make the weights know other sets.
const isa = process.env['QC_ISA'] ?? '';
delete process.env['QC_ISA'];
const host = await nodeHost();
const folder = mkdtempSync(join(tmpdir(), 'qc-bench-'));
const base = modelOf({ nodes: [node('MatMul', ['x', 'w'], ['y'])], input: ['M', k], initializers: { w: floats([k, n]) } });
const token: Kind = { format: 'int8', grain: { per: 'token' }, mode: 'dynamic' };
const int4 = (group: number): Kind => ({ format: 'int4', grain: { per: 'group', group } });
const step: Kind = { format: 'int8', grain: { per: 'tensor' } };
const progressive: Kind = {
  format: 'progressive',
  args: { outer: { name: 'int8', args: { bound: 119 } }, inner: { name: 'uint4', args: { group: 128 } } },
  grain: { per: 'group', group: 128 },
};
const int8: Kind = { format: 'int8', grain: { per: 'channel' } };

const write = async (name: string, model: Model) => {
  const file = join(folder, `${name}.onnx`);
  await writeModel(host, model, file, { dir: folder, external: true });
  return { name, model: file, rows: rows.length ? rows : [1, 8, 128, 512] };
};
const native = async (name: string, w: Kind, x?: Kind) => write(name, (await lowerTo('native', quantized(base, w, x))).model);
const stock = async (name: string, w: Kind) => {
  const { model } = await lowerTo('ort', quantized(base, w));
  for (const op of model.graph.nodes) if (op.op === 'MatMulNBits') op.attrs.set('accuracy_level', { type: 'int', value: 4 });
  return write(name, model);
};

/** As onnxruntime.quantization writes it: signed weights by channel, which its kernels are fastest with (target ort keeps bytes unsigned: DECISIONS 8). */
const dynamicQuantizeMatMul = async (name: string) => {
  const model = modelOf({
    nodes: [node('com.microsoft.DynamicQuantizeMatMul', ['x', 'w', 'scale', 'zero'], ['y'])],
    input: ['M', k],
    initializers: {
      w: numbers(
        'int8',
        [k, n],
        Int8Array.from({ length: k * n }, (_, i) => ((i * 2654435761) >>> 24) - 128),
      ),
      scale: float32s(new Float32Array(n).fill(0.01), [n]),
      zero: numbers('int8', [n], new Int8Array(n)),
    },
  });
  model.opsets.set('com.microsoft', 1);
  return write(name, model);
};

const wanted = process.env['ONLY']?.split(',');
const writers: Record<string, (name: string) => Promise<{ name: string; model: string; rows: number[] }>> = {
  'MatMulNBits-g128': (name) => stock(name, int4(128)),
  DynamicQuantizeMatMul: dynamicQuantizeMatMul,
  'LinearW4A8-g128': (name) => native(name, int4(128), token),
  'LinearW4A8-g32': (name) => native(name, int4(32), token),
  'LinearP4A8-g128': (name) => native(name, progressive, token),
  LinearW8A8: (name) => native(name, int8, token),
  LinearW8C8: (name) => native(name, int8, step),
  'LinearW6A8-g128': (name) => native(name, { format: 'int6', grain: { per: 'group', group: 128 } }, token),
  'LinearW3A8-g128': (name) => native(name, { format: 'int3', grain: { per: 'group', group: 128 } }, token),
  'LinearW4-g128': (name) => native(name, int4(128)),
  LinearMXF4: (name) => native(name, { format: 'mxfp4', grain: { per: 'group', group: 32 } }),
  LinearF8E4M3: (name) => native(name, { format: 'fp8', grain: { per: 'channel' } }),
};
const jobs: { name: string; model: string; rows: number[] }[] = [];
for (const [name, make] of Object.entries(writers)) {
  if (!wanted || !name.startsWith('Linear') || wanted.includes(name.slice('Linear'.length))) jobs.push(await make(name));
}
const library = path(`../runtime/native/qc-ops.${process.platform}-${process.arch}.so`);
const r = spawnSync('python3', [path('peers/ops.py'), library, String(threads), String(k)], {
  input: jobs.map((j) => JSON.stringify(j)).join('\n'),
  encoding: 'utf8',
  env: { ...process.env, QC_ISA: isa },
});
await host.close();
rmSync(folder, { recursive: true });
if (r.status !== 0) throw new Error(r.stderr);
const times = JSON.parse(r.stdout) as Record<string, Record<string, number[]>>;

const median = (x: readonly number[]) => [...x].sort((a, b) => a - b)[Math.floor(x.length / 2)] ?? Number.NaN;
/** Turn by turn: what slows one turn slows both. */
const ratio = (a: readonly number[], b: readonly number[]) => median(a.map((x, i) => x / (b[i] ?? Number.NaN)));
const machine = path('../runtime/native/target/release/examples/machine');
const peak = spawnSync(machine, [String(threads)], { encoding: 'utf8' });
console.log(peak.status === 0 ? `machine ${peak.stdout.trim()}` : 'machine: cargo build --release --example machine');
const clock = threads === 1 ? 'processor time' : 'wall time';
console.log(
  `K ${k}, N ${n}, ${threads} threads, ${clock}, load ${loadavg()[0]?.toFixed(1)}; best and median ms, GOPS and weight GB/s at best, medians of ratios turn by turn`,
);
for (const [rows, of] of Object.entries(times)) {
  const [nbits = [], dynamic = []] = jobs.map((j) => of[j.name] ?? []);
  for (const [name, all] of Object.entries(of)) {
    const best = Math.min(...all);
    const gops = (2 * Number(rows) * k * n) / best / 1e6;
    const bits = name.startsWith('Dyn') ? 8 : Number(/Linear(?:W|P|MXF|F)(\d)/.exec(name)?.[1] ?? 4);
    const gbs = (k * n * bits) / 8 / best / 1e6;
    const cells = [`${best.toFixed(3)} (${median(all).toFixed(3)}) ms`, `${gops.toFixed(0)} GOPS`, `${gbs.toFixed(1)} GB/s`];
    const ratios = `${ratio(nbits, all).toFixed(2)}× MatMulNBits  ${ratio(dynamic, all).toFixed(2)}× DynamicQuantizeMatMul`;
    console.log(
      `M ${rows.padStart(3)}  ${name.padEnd(21)} ${cells[0]?.padStart(22)} ${cells[1]?.padStart(10)} ${cells[2]?.padStart(10)}  ${ratios}`,
    );
  }
}
