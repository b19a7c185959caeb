/**
 * Four-bit weights of a Llama-shaped model: `qc compile` and onnxruntime's MatMulNBitsQuantizer in one run, turn by turn.
 *
 *   npx tsx bench/matmulnbits.ts [--size 1b|3b|7b] [--dtype float32|float16] [--rounds 1] [--dir /tmp/qc-bench] [--ours-only]
 *
 * Needs `npm run build`; Python with onnxruntime, onnx and onnx-ir for the peer; ../shared/tools/make-llama.py for the model. Prints ratios.
 */
import { existsSync, mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { cli, gib, median, type Watched, watch } from './watch.ts';

const { values: o } = parseArgs({
  options: {
    size: { type: 'string', default: '1b' },
    dtype: { type: 'string', default: 'float32' },
    rounds: { type: 'string', default: '1' },
    dir: { type: 'string', default: '/tmp/qc-bench' },
    maker: { type: 'string', default: '../shared/tools/make-llama.py' },
    python: { type: 'string', default: 'python3' },
    'ours-only': { type: 'boolean', default: false },
  },
});
const GROUP = 128;
const here = import.meta.dirname;
const folder = join(o.dir, `llama-${o.size}-${o.dtype}`);
const model = join(folder, 'model.onnx');
const [ours, theirs] = [join(o.dir, 'ours'), join(o.dir, 'theirs')];

async function must(what: string, command: string, args: readonly string[]): Promise<Watched> {
  const done = await watch(command, args);
  if (done.code !== 0) {
    console.error(`${what} ended with status ${done.code}:\n${done.output}`);
    process.exit(1);
  }
  return done;
}

if (!existsSync(model)) {
  if (!existsSync(o.maker)) {
    console.log(`skipped: no ${o.maker} to make the model with`);
    process.exit(0);
  }
  mkdirSync(o.dir, { recursive: true });
  console.log(`making ${folder} …`);
  await must('make-llama.py', o.python, [o.maker, folder, '--size', o.size, '--dtype', o.dtype]);
}

/** Both find the model in the page cache, as far as it fits: a disc is not what is measured. */
const warm = () => must('reading the model', 'sh', ['-c', 'cat "$0"/* > /dev/null', folder]);

const runs: { ours: Watched[]; theirs: Watched[] } = { ours: [], theirs: [] };
for (let round = 0; round < Number(o.rounds); round++) {
  for (const d of [ours, theirs]) rmSync(d, { recursive: true, force: true });
  for (const d of [ours, theirs]) mkdirSync(d, { recursive: true });
  const q = [cli, 'compile', model, join(here, 'w4g128.qrecipe'), '--target', 'ort', '-o', join(ours, 'model.onnx'), '--force', '--quiet'];
  await warm();
  runs.ours.push(await must('qc compile', process.execPath, q));
  console.log(`qc            ${runs.ours.at(-1)!.seconds.toFixed(1)} s   RssAnon ${gib(runs.ours.at(-1)!.peakAnon)}`);
  if (o['ours-only']) continue;
  await warm();
  runs.theirs.push(
    await must('MatMulNBitsQuantizer', o.python, [join(here, 'peers/matmulnbits.py'), model, join(theirs, 'model.onnx'), String(GROUP)]),
  );
  console.log(`onnxruntime   ${runs.theirs.at(-1)!.seconds.toFixed(1)} s   RssAnon ${gib(runs.theirs.at(-1)!.peakAnon)}`);
}

const time = (of: readonly Watched[]) => median(of.map((w) => w.seconds));
const memory = (of: readonly Watched[]) => Math.max(...of.map((w) => w.peakAnon));
console.log(
  `\n${o.size} ${o.dtype}, W4A16 group ${GROUP}, target ort: qc ${time(runs.ours).toFixed(1)} s, peak RssAnon ${gib(memory(runs.ours))}`,
);
if (!o['ours-only']) {
  console.log(`time   1/${(time(runs.theirs) / time(runs.ours)).toFixed(1)} of onnxruntime's ${time(runs.theirs).toFixed(1)} s`);
  console.log(`memory 1/${(memory(runs.theirs) / memory(runs.ours)).toFixed(1)} of onnxruntime's ${gib(memory(runs.theirs))}`);
  const same = await must('same_nbits.py', o.python, [
    join(here, 'peers/same_nbits.py'),
    join(ours, 'model.onnx'),
    join(theirs, 'model.onnx'),
  ]);
  const s = JSON.parse(same.output.trim().split('\n').at(-1)!) as Record<string, number>;
  console.log(
    `codes equal in ${s['same_codes']} of ${s['shared']} matrices, scales in ${s['same_scales']} (qc has ${s['ours']}, onnxruntime ${s['theirs']}; ${s['differing_bytes']} of ${s['bytes']} bytes differ)`,
  );
}
