/**
 * A language model of a Llama's shape end to end: four-bit weights by target `ort` on stock ONNX Runtime, and by target `native` (with int8
 * activations) on our kernels: load, prefill, decode, unshared memory, turn by turn in Python's onnxruntime.
 *
 *   npx tsx bench/llama.ts [--size 1b|15m] [--threads 2] [--rounds 3] [--prompt 256] [--steps 32] [--dir /tmp/qc-bench]
 *
 * Needs `npm run build`; Python with onnxruntime and onnx; ../shared/tools/make-llama.py. Compiled models are kept in --dir.
 */
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { loadavg } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { cli, watch } from './watch.ts';

const { values: o } = parseArgs({
  options: {
    size: { type: 'string', default: '1b' },
    threads: { type: 'string', default: '2' },
    rounds: { type: 'string', default: '3' },
    prompt: { type: 'string', default: '256' },
    steps: { type: 'string', default: '32' },
    dir: { type: 'string', default: '/tmp/qc-bench' },
    maker: { type: 'string', default: '../shared/tools/make-llama.py' },
    python: { type: 'string', default: 'python3' },
  },
});
const here = import.meta.dirname;
const folder = join(o.dir, `llama-${o.size}-float32`);
const source = join(folder, 'model.onnx');
const library = join(here, `../runtime/native/qc-ops.${process.platform}-${process.arch}.so`);

async function must(what: string, command: string, args: readonly string[]): Promise<string> {
  const done = await watch(command, args);
  if (done.code !== 0) {
    console.error(`${what} ended with status ${done.code}:\n${done.output}`);
    process.exit(1);
  }
  return done.output;
}

mkdirSync(o.dir, { recursive: true });
if (!existsSync(source)) await must('make-llama.py', o.python, [o.maker, folder, '--size', o.size]);
const group = o.size === '15m' ? 32 : 128;
const recipe = (linear: string) => `recipe bench version "1.0.0" {
  quantize linear as ${linear} { group: ${group}, scale: minmax }
  quantize weight of embedding as int4 { group: ${group} }
}
`;
const models = { stock: ['ort', 'W4A16'], native: ['native', 'W4A8'] } as const;
const files = [];
for (const [name, [target, scheme]] of Object.entries(models)) {
  const [text, out] = [join(o.dir, `${scheme}.qrecipe`), join(o.dir, `llama-${o.size}-${name}.onnx`)];
  writeFileSync(text, recipe(scheme));
  await must('qc compile', process.execPath, [cli, 'compile', source, text, '--target', target, '-o', out, '--force']);
  files.push(`${name}=${out}${name === 'native' ? `:${library}` : ''}`);
}
const options = (['threads', 'rounds', 'prompt', 'steps'] as const).flatMap((name) => [`--${name}`, o[name]]);
const output = await must('llama.py', o.python, [join(here, 'peers/llama.py'), ...files, ...options]);
const results = output
  .trim()
  .split('\n')
  .map((l) => JSON.parse(l) as { name: string; load_s: number; prefill: number[]; decode: number[]; unique_mib: number });
const median = (x: readonly number[]) => [...x].sort((a, b) => a - b)[Math.floor(x.length / 2)] ?? Number.NaN;
const ratio = (a: readonly number[], b: readonly number[]) => median(a.map((x, i) => x / (b[i] ?? Number.NaN)));
console.log(`${o.size}, ${o.threads} threads, prompt ${o.prompt}, ${o.steps} steps, ${o.rounds} rounds, load ${loadavg()[0]?.toFixed(1)}`);
for (const r of results) {
  const speed = (x: readonly number[], of: readonly number[]) =>
    `${median(x).toFixed(1)} tok/s (best ${Math.max(...x).toFixed(1)}, ${ratio(x, of).toFixed(2)}×)`;
  const [first] = results;
  console.log(
    `${r.name.padEnd(7)} load ${r.load_s.toFixed(2)} s  prefill ${speed(r.prefill, first?.prefill ?? [])}  decode ${speed(r.decode, first?.decode ?? [])}  unshared ${r.unique_mib.toFixed(0)} MiB`,
  );
}
