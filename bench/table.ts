/**
 * Every model × every scheme × every target: compile, load in stock onnxruntime (Node and Python), size, metric, coverage; one Markdown table.
 *
 *   npx tsx bench/table.ts [--models ../shared/models] [--only llama,vit] [--schemes W4A16,FP8] [--out docs/measured/table.md]
 *
 * Needs `npm run build`, and Python with onnxruntime for the metrics (score.py recomputes them from the files alone).
 */
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { parseArgs } from 'node:util';
import { InferenceSession } from 'onnxruntime-node';
import { cli, watch } from './watch.ts';

const { values: o } = parseArgs({
  options: {
    models: { type: 'string', default: '../shared/models' },
    score: { type: 'string', default: '../shared/tools/score.py' },
    only: { type: 'string', default: '' },
    schemes: { type: 'string', default: '' },
    python: { type: 'string', default: 'python3' },
    out: { type: 'string', default: 'docs/measured/table.md' },
  },
});
const dir = mkdtempSync(join(tmpdir(), 'qc-table-'));
const targets = ['portable', 'ort'];
const schemes: Record<string, string> = {
  W8A8_STATIC: 'calibrate data("calib")\n  quantize linear or conv as W8A8_STATIC',
  W8A8: 'quantize linear or conv as W8A8',
  W4A16: 'quantize linear or conv as W4A16 { group: 32 }',
  FP8: 'calibrate data("calib")\n  quantize linear or conv as FP8',
};
/** What is shown of the keys that score.py gives, in order. */
const metrics: readonly (readonly [key: string, text: (x: number) => string])[] = [
  ['kl', (x) => `kl ${x.toPrecision(3)}`],
  ['nll_diff', (x) => `nll +${x.toFixed(4)}`],
  ['mean_cosine', (x) => `cosine ${x.toFixed(4)}`],
  ['eps_sqnr_db_mean', (x) => `eps ${x.toFixed(1)} dB`],
  ['psnr_db', (x) => `PSNR ${x.toFixed(1)} dB`],
  ['frechet', (x) => `Fréchet ${x.toFixed(3)}`],
  ['logits_sqnr_db', (x) => `logits ${x.toFixed(1)} dB`],
  ['top1', (x) => `top-1 ${x.toFixed(4)}`],
];

interface Row {
  readonly model: string;
  readonly scheme: string;
  readonly target: string;
  readonly size?: string;
  readonly coverage?: string;
  readonly metric?: string;
  readonly node?: string;
  readonly python?: string;
  readonly refused?: string;
}

async function measure(model: string, scheme: string, target: string): Promise<Row> {
  const row = { model, scheme, target };
  const folder = join(o.models, model);
  const recipe = join(dir, `${scheme}.qrecipe`);
  const usable = roles.get(model)!;
  const text = schemes[scheme]!.replace('linear or conv', usable);
  writeFileSync(recipe, `recipe ${scheme.toLowerCase()} version "1.0.0" {\n  ${text}\n}\n`);
  const out = join(dir, `${model}.${scheme}.${target}.onnx`);
  const data = schemes[scheme]!.includes('data(') ? ['--data', `calib=${join(folder, 'calib')}`] : [];
  const done = await watch(process.execPath, [
    cli,
    'compile',
    join(folder, 'model.onnx'),
    recipe,
    '-o',
    out,
    '--target',
    target,
    '--force',
    '--json',
    '--quiet',
    ...data,
  ]);
  const line = done.output.slice(done.output.indexOf('{'));
  if (done.code !== 0) return { ...row, refused: reason(line) ?? `status ${done.code}` };
  const result = JSON.parse(line) as { bytes: { before: number; after: number }; coverage?: number };
  let node = 'loads';
  try {
    await (await InferenceSession.create(out)).release();
  } catch (e) {
    node = `fails: ${(e as Error).message.slice(0, 80)}`;
  }
  const scored = await watch(o.python, [o.score, folder, out]);
  const numbers = scored.code === 0 ? (JSON.parse(scored.output.trim().split('\n').at(-1)!) as Record<string, number>) : undefined;
  const shown = metrics.filter(([key]) => numbers && key in numbers).map(([key, text]) => text(numbers![key]!));
  rmSync(out, { force: true });
  return {
    ...row,
    size: `${(result.bytes.after / result.bytes.before).toFixed(3)}×`,
    ...(result.coverage === undefined ? {} : { coverage: `${(100 * result.coverage).toFixed(1)} %` }),
    ...(shown.length ? { metric: shown.join(', ') } : {}),
    node,
    python: numbers ? 'loads' : `fails: ${scored.output.trim().split('\n').at(-1)?.slice(0, 80)}`,
  };
}

function reason(json: string): string | undefined {
  try {
    const d = (JSON.parse(json) as { diagnostics?: { code: string; message: string }[] }).diagnostics?.[0];
    return d && `${d.code}: ${d.message}`;
  } catch {
    return undefined;
  }
}

/** Which of linear and conv a model has: a selection that matches nothing is an error. */
async function rolesOf(model: string): Promise<string> {
  const done = await watch(process.execPath, [cli, 'inspect', join(o.models, model, 'model.onnx'), '--json']);
  if (done.code !== 0) throw new Error(`inspect ${model}: ${done.output}`);
  const found = new Set((JSON.parse(done.output) as { sites: { role: string }[] }).sites.map((s) => s.role));
  return ['linear', 'conv'].filter((r) => found.has(r)).join(' or ');
}

if (!existsSync(o.models)) {
  console.log(`skipped: no ${o.models}`);
  process.exit(0);
}
const wanted = (list: string, all: readonly string[]) => (list ? all.filter((x) => list.split(',').includes(x)) : all);
const models = wanted(
  o.only,
  readdirSync(o.models, { withFileTypes: true })
    .filter((d) => d.isDirectory())
    .map((d) => d.name)
    .sort(),
);
const roles = new Map<string, string>();
const rows: Row[] = [];
const cells = (r: Row) =>
  r.refused
    ? [r.model, r.scheme, r.target, `refused: ${r.refused}`, '', '', '', '']
    : [r.model, r.scheme, r.target, r.size, r.coverage, r.metric, r.node, r.python];
const head = ['model', 'scheme', 'target', 'size', 'coverage', 'metric', 'Node', 'Python'];
function save(): void {
  const table = [head, head.map(() => '---'), ...rows.map(cells)].map((r) => `| ${r.map((c) => c ?? '').join(' | ')} |`).join('\n');
  mkdirSync(dirname(o.out), { recursive: true });
  writeFileSync(
    o.out,
    `# Every model × scheme × target\n\nWritten by \`npx tsx bench/table.ts\`; metrics by score.py. W4A16 has groups of 32.\n\n${table}\n`,
  );
}
for (const model of models) {
  roles.set(model, await rolesOf(model));
  for (const scheme of wanted(o.schemes, Object.keys(schemes)))
    for (const target of targets) {
      const row = await measure(model, scheme, target);
      rows.push(row);
      save();
      console.log(Object.values(row).join('  '));
    }
}
rmSync(dir, { recursive: true });
console.log(`\n${o.out}: ${rows.length} rows, ${rows.filter((r) => r.refused).length} refused`);
