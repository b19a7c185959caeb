/**
 * Measures every recipe of recipes/ on its model and writes the numbers into its README, between the two marks.
 *
 *   npx tsx bench/recipes.ts [--models ../shared/models] [--only llama,vit]
 *
 * Needs `npm run build`, and Python with onnxruntime for score.py, which recomputes every metric from the files alone.
 */
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { cli, score, watch } from './watch.ts';

const { values: o } = parseArgs({
  options: {
    models: { type: 'string', default: '../shared/models' },
    score: { type: 'string', default: '../shared/tools/score.py' },
    only: { type: 'string', default: '' },
    python: { type: 'string', default: 'python3' },
  },
});
const [BEGIN, END] = ['<!-- measured -->', '<!-- /measured -->'];
const dir = mkdtempSync(join(tmpdir(), 'qc-recipes-'));

type Scores = Record<string, number | Record<string, number>>;
const size = (path: string): number => [path, `${path}.data`].reduce((n, p) => n + (existsSync(p) ? statSync(p).size : 0), 0);
const figure = (x: number): string => (Math.abs(x) >= 1000 || Math.abs(x) < 1e-4 ? x.toExponential(2) : String(Number(x.toPrecision(4))));

async function measure(name: string): Promise<string> {
  const folder = join(o.models, name);
  const model = join(folder, 'model.onnx');
  const float = await score<Scores>(o.python, o.score, folder);
  const keys = Object.keys(float).filter((k) => typeof float[k] === 'number' && k !== 'nll_diff_se');
  const rows = [['float32', `${(size(model) / 1e6).toFixed(2)} MB`, '', ...keys.map((k) => figure(float[k] as number))]];
  for (const target of ['portable', 'ort']) {
    const out = join(dir, `${name}.${target}.onnx`);
    const args = [
      'compile',
      model,
      `recipes/${name}/${name}.qrecipe`,
      '-o',
      out,
      '--target',
      target,
      '--data',
      `calib=${join(folder, 'calib')}`,
      '--json',
      '--quiet',
      '--force',
    ];
    const needsData = readFileSync(`recipes/${name}/${name}.qrecipe`, 'utf8').includes('data("calib")');
    const done = await watch(process.execPath, [
      cli,
      ...(needsData ? args : args.filter((a, i) => a !== '--data' && args[i - 1] !== '--data')),
    ]);
    if (done.code !== 0) throw new Error(`${name}, ${target}: status ${done.code}\n${done.output}`);
    const scores = await score<Scores>(o.python, o.score, folder, out);
    rows.push([
      target,
      `${(size(out) / 1e6).toFixed(2)} MB`,
      `${(size(out) / size(model)).toFixed(3)}x`,
      ...keys.map((k) => figure(scores[k] as number)),
    ]);
  }
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
  const head = ['', 'size', 'ratio', ...keys];
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n');
}

const wanted = o.only ? o.only.split(',') : readdirSync('recipes').sort();
for (const name of wanted) {
  if (!existsSync(join(o.models, name))) {
    console.log(`skipped: ${name}, no ${join(o.models, name)}`);
    continue;
  }
  const table = await measure(name);
  console.log(`${name}\n${table}\n`);
  const path = `recipes/${name}/README.md`;
  const text = readFileSync(path, 'utf8');
  const [from, to] = [text.indexOf(BEGIN), text.indexOf(END)];
  if (from < 0 || to < from) throw new Error(`${path} lacks the marks ${BEGIN} and ${END}`);
  writeFileSync(path, `${text.slice(0, from + BEGIN.length)}\n${table}\n${text.slice(to)}`);
}
rmSync(dir, { recursive: true });
