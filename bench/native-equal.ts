/**
 * Real models compiled for target native: the same metric through the bodies on stock ONNX Runtime and through our kernels, in Python (score.py, and
 * its --decode for language models) and in Node (the outputs on evaluation data); how many nodes a layer has.
 *
 *   npx tsx bench/native-equal.ts [--models ../shared/models] [--only llama,vit] [--dir /tmp/qc-bench] [--out docs/measured/native.md]
 *
 * Needs `npm run build`, and Python with onnxruntime, numpy and scipy. Compiled models are kept in --dir.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { loadModel } from '../compiler/graph/load.ts';
import type { Host, Value } from '../compiler/host.ts';
import { distance } from '../compiler/lower/prove.ts';
import { nodeHost } from '../compiler/node/host.ts';
import { readNpz } from '../compiler/node/npz.ts';
import { cli, score, watch } from './watch.ts';

const { values: o } = parseArgs({
  options: {
    models: { type: 'string', default: '../shared/models' },
    score: { type: 'string', default: '../shared/tools/score.py' },
    only: { type: 'string', default: '' },
    dir: { type: 'string', default: '/tmp/qc-bench' },
    out: { type: 'string', default: 'docs/measured/native.md' },
    python: { type: 'string', default: 'python3' },
  },
});
if (!existsSync(o.models)) {
  console.log(`skipped: no ${o.models}`);
  process.exit(0);
}

interface Job {
  readonly model: string;
  readonly name: string;
  readonly recipe: string;
  readonly data?: boolean;
  readonly io?: boolean;
  /** The metric of score.py that is compared, and how far two runs may differ: what one code that rounds the other way can move. */
  readonly metric: string;
  readonly tolerance: number;
  readonly decode?: boolean;
}
const w4 = 'apply std.w4a8(group: 32)';
const w8 = 'apply std.w8a8()';
const lm = { metric: 'kl', tolerance: 2e-4, decode: true } as const;
const jobs: readonly Job[] = [
  { model: 'llama', name: 'W4A8', recipe: w4, ...lm },
  { model: 'llama', name: 'QoQ, W4A8KV4', recipe: 'apply std.qoq(group: 32, samples: 16)', data: true, ...lm },
  { model: 'llama', name: 'QoQ, cache outside', recipe: 'apply std.qoq(group: 32, samples: 16)', data: true, io: true, ...lm },
  { model: 'llama', name: 'static, migrated', recipe: 'apply std.w8a8_migrated(samples: 16)', data: true, ...lm },
  { model: 'llama', name: 'MergeQuant', recipe: 'apply std.mergequant(samples: 16)', data: true, ...lm, tolerance: 1e-2 },
  { model: 'minilm', name: 'W8A8', recipe: w8, metric: 'mean_cosine', tolerance: 2e-3 },
  { model: 'vit', name: 'W8A8', recipe: w8, metric: 'logits_sqnr_db', tolerance: 0.5 },
  { model: 'dit', name: 'W8A8', recipe: w8, metric: 'eps_sqnr_db', tolerance: 0.5 },
  { model: 'unet', name: 'W8A8', recipe: w8, metric: 'eps_sqnr_db', tolerance: 0.5 },
  { model: 'mamba', name: 'W8A8', recipe: w8, ...lm },
  { model: 'mamba2', name: 'W8A8', recipe: w8, ...lm },
];

const library = `runtime/native/qc-ops.${process.platform}-${process.arch}.so`;
const chosen = jobs.filter((j) => o.only === '' || o.only.split(',').includes(j.model));
mkdirSync(o.dir, { recursive: true });

async function compiled(j: Job): Promise<string> {
  const at = join(o.dir, `equal-${j.model}-${jobs.indexOf(j)}`);
  writeFileSync(`${at}.qrecipe`, `use "@qrecipe/std@^0.1" as std\nrecipe bench version "1.0.0" { ${j.recipe} }\n`);
  const data = j.data ? ['--data', `calib=${join(o.models, j.model, 'calib')}`] : [];
  const args = [cli, 'compile', join(o.models, j.model, 'model.onnx'), `${at}.qrecipe`, '-o', `${at}.onnx`, '--target', 'native', '--force'];
  const done = await watch(process.execPath, [...args, ...data, ...(j.io ? ['--io', 'quantized'] : [])]);
  if (done.code !== 0) throw new Error(done.output);
  return `${at}.onnx`;
}

/** The largest distance between the outputs of both on a batch of evaluation data. */
async function inNode(stock: Host, ours: Host, path: string, j: Job): Promise<number> {
  const { model, dir } = await loadModel(stock, path);
  const folder = join(o.models, j.model, 'eval');
  const names = model.graph.inputs.map((i) => i.name);
  const files = readdirSync(folder).filter((f) => f.endsWith('.npz'));
  for (const file of files) {
    const all = await readNpz(readFileSync(join(folder, file)));
    const feeds = feedsOf(all, model.graph.inputs);
    if (!feeds || !names.every((n) => feeds[n])) continue;
    const [a, b] = [await stock.session(model, dir), await ours.session(model, dir)];
    const [x, y] = [await a.run(feeds), await b.run(feeds)];
    await a.close();
    await b.close();
    return Math.max(...a.outputs.filter((n) => x[n]!.dtype === 'float32').map((n) => distance(x[n]!, y[n]!)));
  }
  throw new Error(`no file of ${folder} feeds ${j.model}`);
}
void inNode;
