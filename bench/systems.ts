/**
 * Whole systems of the stdlib on a language model of a Llama's shape, for target native, beside float32 and W4A16 on stock ONNX Runtime and W4A8 on our
 * kernels: load, prefill, decode, unshared memory, the sessions turn by turn in Python's onnxruntime.
 *
 *   npx tsx bench/systems.ts [--size 1b|15m] [--threads 2] [--rounds 2] [--prompt 256] [--steps 16] [--dir /tmp/qc-bench] [--compile] [--only NAME,…] [--out docs/measured/systems.md]
 *
 * The weights are random, so accuracy means nothing: a system is compiled with the types of its recipe, without its `solve` and with one round of the
 * low-rank alternation; but for MergeQuant without the transforms that only move numbers between weights. None of that changes what runs. Compiled models are kept in --dir; --compile only makes what is not there yet.
 * Needs `npm run build`; Python with onnxruntime and onnx; ../shared/tools/make-llama.py.
 */
import { existsSync, mkdirSync, statSync, writeFileSync } from 'node:fs';
import { cpus, loadavg } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { unsolved } from '../test/systems/unsolved.ts';
import { cli, watch } from './watch.ts';

const { values: o } = parseArgs({
  options: {
    size: { type: 'string', default: '1b' },
    threads: { type: 'string', default: '2' },
    rounds: { type: 'string', default: '2' },
    prompt: { type: 'string', default: '256' },
    steps: { type: 'string', default: '16' },
    dir: { type: 'string', default: '/tmp/qc-bench' },
    maker: { type: 'string', default: '../shared/tools/make-llama.py' },
    python: { type: 'string', default: 'python3' },
    out: { type: 'string', default: '' },
    compile: { type: 'boolean', default: false },
    only: { type: 'string', default: '' },
  },
});
const here = import.meta.dirname;
const folder = join(o.dir, `llama-${o.size}-float32`);
const library = join(here, `../runtime/native/qc-ops.${process.platform}-${process.arch}.so`);
const group = o.size === '15m' ? 32 : 128;

interface Entry {
  readonly name: string;
  readonly what: string;
  readonly recipe?: string;
  readonly options: readonly string[];
}
// The embedding too, so that memory is compared with like.
const embedding = `  quantize weight of embedding as int4 { group: ${group} }\n`;
const plain = (type: string) =>
  `recipe bench version "1.0.0" {\n  quantize linear as ${type} { group: ${group}, scale: minmax }\n${embedding}}\n`;
const native = ['--target', 'native'];
/** Without the transforms that only change numbers of weights, and without data where nothing is left that needs any. */
function unfolded(recipe: string): string {
  const folds = /^ *transform (smooth |scale |rotate on (residual|attention))/;
  const lines = recipe.split('\n').filter((l) => !folds.test(l));
  return lines.filter((l) => !/^ *calibrate /.test(l) || lines.some((x) => /^ *transform /.test(x))).join('\n');
}
const all: readonly Entry[] = [
  { name: 'float32', what: 'as exported, stock operators', options: [] },
  { name: 'W4A16', what: `int4 group ${group}, target ort (MatMulNBits)`, recipe: plain('W4A16'), options: ['--target', 'ort'] },
  { name: 'W4A8', what: `int4 group ${group}, int8 by token`, recipe: plain('W4A8'), options: native },
  {
    name: 'mergequant',
    what: 'int4 per channel; norms emit int4 codes under migrated steps, int4 by token elsewhere',
    recipe: unsolved('mergequant', embedding),
    options: native,
  },
  {
    name: 'qoq',
    what: 'progressive int8 → uint4, int8 by token, cache uint4 (`--io quantized`)',
    recipe: unfolded(unsolved('qoq', embedding)),
    options: [...native, '--io', 'quantized', '--param', `group=${group}`],
  },
  {
    name: 'flexq_w6a6',
    what: `int6 group ${group}, both sides`,
    recipe: unsolved('flexq_w6a6', embedding),
    options: [...native, '--param', `group=${group}`],
  },
  {
    name: 'svdquant',
    what: 'int4 group 32, both sides, low-rank branch of 32',
    recipe: unfolded(unsolved('svdquant', embedding)),
    options: native,
  },
];

// What the others are measured by is always there.
const chosen = ['float32', 'W4A16', ...o.only.split(',')];
const entries = o.only ? all.filter((e) => chosen.includes(e.name)) : all;

async function must(what: string, command: string, args: readonly string[]): Promise<string> {
  const done = await watch(command, args);
  if (done.code !== 0) throw new Error(`${what} ended with status ${done.code}:\n${done.output.slice(-3000)}`);
  return done.output;
}

mkdirSync(o.dir, { recursive: true });
const source = join(folder, 'model.onnx');
if (!existsSync(source)) await must('make-llama.py', o.python, [o.maker, folder, '--size', o.size]);
const calib = join(o.dir, `calib-${o.size}`);
if (!existsSync(calib)) await must('sequences.py', o.python, [join(here, 'peers/sequences.py'), folder, calib, '4', '128']);

const fileOf = (e: Entry) => (e.recipe ? join(o.dir, `system-${o.size}-${e.name}.onnx`) : source);
for (const e of entries) {
  const out = fileOf(e);
  if (!e.recipe || existsSync(out)) continue;
  const text = join(o.dir, `system-${e.name}.qrecipe`);
  writeFileSync(text, e.recipe);
  const data = e.recipe.includes('calibrate ') ? ['--data', `calib=${calib}`] : [];
  const done = await watch(process.execPath, [cli, 'compile', source, text, ...e.options, ...data, '-o', out, '--force']);
  if (done.code !== 0) throw new Error(`${e.name}: ${done.output.slice(-3000)}`);
  console.log(`${e.name}: compiled in ${done.seconds.toFixed(0)} s, load ${loadavg()[0]?.toFixed(1)}`);
}
if (o.compile) process.exit(0);

const jobs = entries.map((e) => `${e.name}=${fileOf(e)}${e.options.includes('native') ? `:${library}` : ''}`);
const options = (['threads', 'rounds', 'prompt', 'steps'] as const).flatMap((name) => [`--${name}`, o[name]]);
interface Result {
  readonly name: string;
  readonly load_s: number;
  readonly prefill: readonly number[];
  readonly decode: readonly number[];
  readonly unique_mib: number;
}
const output = await must('llama.py', o.python, [join(here, 'peers/llama.py'), ...jobs, ...options]);
const results = output
  .trim()
  .split('\n')
  .map((l) => JSON.parse(l) as Result);
const median = (x: readonly number[]) => [...x].sort((a, b) => a - b)[x.length >> 1] ?? Number.NaN;
const of = (name: string) => results.find((r) => r.name === name)!;
const times = (r: Result, to: string, key: 'prefill' | 'decode') =>
  `${median(r[key].map((x, i) => x / (of(to)[key][i] ?? Number.NaN))).toFixed(2)}×`;
const mib = (e: Entry) => (statSync(`${fileOf(e)}.data`).size / 2 ** 20).toFixed(0);
const text = [
  '# Whole systems on a Llama of 1.1 B parameters',
  '',
  `Written by \`npx tsx bench/systems.ts\`: ${o.size}, random weights, ${o.threads} threads of ${cpus()[0]?.model.trim()}, load ${loadavg()[0]?.toFixed(1)}; prompt ${o.prompt}, ${o.steps} steps of decode, medians of ${o.rounds} rounds, sessions turn by turn; ratios round by round.`,
  'Systems are recipes of the stdlib for target native, with their types and without `solve`, one round of the low-rank alternation, and (but for MergeQuant) without transforms that only fold into weights: those change codes, not operators. The embedding has four bits everywhere but in float32.',
  '',
  '| system | file MiB | load s | prefill tok/s | × W4A16 | × float32 | decode tok/s | × W4A16 | × float32 | unshared MiB | numbers |',
  '|---|---|---|---|---|---|---|---|---|---|---|',
  ...entries.map((e) => {
    const r = of(e.name);
    const speed = (key: 'prefill' | 'decode') => `${median(r[key]).toFixed(1)} | ${times(r, 'W4A16', key)} | ${times(r, 'float32', key)}`;
    return `| ${e.name} | ${mib(e)} | ${r.load_s.toFixed(2)} | ${speed('prefill')} | ${speed('decode')} | ${r.unique_mib.toFixed(0)} | ${e.what} |`;
  }),
  '',
].join('\n');
console.log(text);
if (o.out) writeFileSync(o.out, text);
