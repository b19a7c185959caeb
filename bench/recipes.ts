/**
 * Measures every recipe of recipes/ on the model of its folder and writes the numbers into the folder's README, between the two marks.
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
/** Models whose recurrence carries states. */
const STATES = new Set(['mamba', 'mamba2']);
const [BEGIN, END] = ['<!-- measured -->', '<!-- /measured -->'];
const dir = mkdtempSync(join(tmpdir(), 'qc-recipes-'));

type Scores = Record<string, number | Record<string, number>>;
const size = (path: string): number => [path, `${path}.data`].reduce((n, p) => n + (existsSync(p) ? statSync(p).size : 0), 0);
const figure = (x: number): string => (Math.abs(x) >= 1000 || Math.abs(x) < 1e-4 ? x.toExponential(2) : String(Number(x.toPrecision(4))));

/** Compiles one recipe; the paths of its model. Error: a compile that fails, with what it said. */
async function compiled(name: string, recipe: string, target: string): Promise<string> {
  const folder = join(o.models, name);
  const file = join('recipes', name, `${recipe}.qrecipe`);
  const out = join(dir, `${name}.${recipe}.${target}.onnx`);
  const args = ['compile', join(folder, 'model.onnx'), file, '-o', out, '--target', target, '--json', '--quiet', '--force'];
  // The doc of a recipe says whether what it applies wants data.
  const needsData = /data\("calib"\)|Needs data/.test(readFileSync(file, 'utf8'));
  const done = await watch(process.execPath, [cli, ...args, ...(needsData ? ['--data', `calib=${join(folder, 'calib')}`] : [])]);
  if (done.code !== 0) throw new Error(`${name}, ${recipe}, ${target}: status ${done.code}\n${done.output}`);
  return out;
}

/** The folder's own recipe on both targets, the others on `ort`; models with states also token by token. */
async function measure(name: string): Promise<string> {
  const folder = join(o.models, name);
  const model = join(folder, 'model.onnx');
  const recipes = readdirSync(join('recipes', name))
    .filter((f) => f.endsWith('.qrecipe'))
    .map((f) => f.slice(0, -'.qrecipe'.length))
    .sort((a, b) => Number(b === name) - Number(a === name) || (a < b ? -1 : 1));
  const float = await score<Scores>(o.python, o.score, folder);
  const keys = Object.keys(float).filter((k) => typeof float[k] === 'number' && k !== 'nll_diff_se');
  const steps = STATES.has(name) ? ['decode_kl'] : [];
  const rows = [
    ['float32', '', `${(size(model) / 1e6).toFixed(2)} MB`, '', ...keys.map((k) => figure(float[k] as number)), ...steps.map(() => '')],
  ];
  for (const recipe of recipes)
    for (const target of recipe === name ? ['portable', 'ort'] : ['ort']) {
      const out = await compiled(name, recipe, target);
      const scores = await score<Scores>(o.python, o.score, folder, out);
      const decode = steps.length ? await score<Scores>(o.python, o.score, folder, out, '--decode') : {};
      rows.push([
        recipe,
        target,
        `${(size(out) / 1e6).toFixed(2)} MB`,
        `${(size(out) / size(model)).toFixed(3)}x`,
        ...[...keys, ...steps].map((k) => figure((scores[k] ?? decode[k]) as number)),
      ]);
      console.log(rows.at(-1)!.join(' '));
    }
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
  const head = ['recipe', 'target', 'size', 'ratio', ...keys, ...steps];
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
