/**
 * Each scheme with and without each solver, on the real models: compile, score.py, docs/measured/solvers.md.
 *
 *   npx tsx bench/solvers.ts [--only 'llama .*W4A16'] [--target ort] [--models ../shared/models]
 *
 * Needs `npm run build`, and Python with onnxruntime for score.py. With --only the other rows stay as they were measured.
 */
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { type Row, table } from './solvers/rows.ts';
import { cli, score, watch } from './watch.ts';

const { values: o } = parseArgs({
  options: {
    models: { type: 'string', default: '../shared/models' },
    score: { type: 'string', default: '../shared/tools/score.py' },
    only: { type: 'string', default: '' },
    target: { type: 'string', default: 'ort' },
    python: { type: 'string', default: 'python3' },
    out: { type: 'string', default: 'docs/measured/solvers' },
  },
});
const dir = mkdtempSync(join(tmpdir(), 'qc-solvers-'));

interface Measured {
  readonly text?: string;
  readonly value?: number;
  readonly decode?: number;
  readonly seconds?: number;
  readonly ratio?: number;
}
const key = (r: Row): string => `${r.model} ${r.scheme} ${r.method}`;

async function measure(r: Row): Promise<Measured> {
  const folder = join(o.models, r.model);
  const recipe = join(dir, 'r.qrecipe');
  const out = join(dir, 'q.onnx');
  writeFileSync(recipe, `recipe r version "1.0.0" {\n  ${r.recipe}\n}\n`);
  const data = r.recipe.includes('calibrate') ? ['--data', `calib=${join(folder, 'calib')}`] : [];
  const args = ['compile', join(folder, 'model.onnx'), recipe, '-o', out, '--target', o.target, '--force', '--json', '--quiet', ...data];
  const done = await watch(process.execPath, [cli, ...args]);
  if (done.code !== 0) return { text: `status ${done.code}: ${done.output.trim().slice(0, 300)}` };
  const { bytes } = JSON.parse(done.output.slice(done.output.indexOf('{'))) as { bytes: { before: number; after: number } };
  const scores = (...flags: string[]) => score(o.python, o.score, folder, out, ...flags);
  const s = await scores();
  const text =
    s['kl'] === undefined
      ? `cosine ${s['mean_cosine']!.toFixed(5)}`
      : `kl ${s['kl'].toFixed(5)}, nll_diff ${s['nll_diff']!.toFixed(4)} ± ${s['nll_diff_se']!.toFixed(4)}`;
  const decode = r.decode ? (await scores('--decode'))['decode_kl'] : undefined;
  return {
    text,
    value: s['kl'] ?? s['mean_cosine']!,
    ...(decode === undefined ? {} : { decode }),
    seconds: done.seconds,
    ratio: bytes.after / bytes.before,
  };
}

function write(known: Readonly<Record<string, Measured>>): void {
  const holds = (r: Row, m: Measured): string => {
    if (r.bar === undefined || m.value === undefined) return '';
    const all = [m.value, ...(m.decode === undefined ? [] : [m.decode])];
    return all.every((v) => (r.model === 'minilm' ? v >= r.bar! : v <= r.bar!)) ? 'holds' : '–';
  };
  const lines = table.flatMap((r) => {
    const m = known[key(r)];
    if (!m) return [];
    const decode = m.decode === undefined ? '' : m.decode.toFixed(5);
    return [[r.model, r.scheme, r.method, m.text ?? '', decode, String(r.bar ?? ''), holds(r, m), m.ratio ? `${m.ratio.toFixed(3)}×` : '']];
  });
  const head = ['model', 'scheme', 'method', 'score', 'decode kl', 'bar', '', 'size'];
  const body = [head, head.map(() => '---'), ...lines].map((r) => `| ${r.join(' | ')} |`).join('\n');
  const notes = existsSync(`${o.out}.notes.md`) ? readFileSync(`${o.out}.notes.md`, 'utf8') : '';
  writeFileSync(
    `${o.out}.md`,
    `# Schemes with and without each solver\n\nWritten by \`npx tsx bench/solvers.ts\` (its recipes: bench/solvers/rows.ts); scored by score.py on the evaluation files, compiled on the calibration files, target ${o.target}.\nAll linear layers and lm_head are quantized. kl is the mean KL divergence to float32 per token.\n\n${body}\n${notes && `\n${notes}`}`,
  );
}

const store = `${o.out}.json`;
/** Read again each time: two runs may measure side by side. */
const stored = (): Record<string, Measured> => (existsSync(store) ? JSON.parse(readFileSync(store, 'utf8')) : {});
for (const r of table) {
  if (!new RegExp(o.only).test(key(r))) continue;
  if (!existsSync(join(o.models, r.model))) {
    console.log(`skipped: ${key(r)}, no ${join(o.models, r.model)}`);
    continue;
  }
  const m = await measure(r).catch((e: Error): Measured => ({ text: e.message }));
  const known = { ...stored(), [key(r)]: m };
  console.log(`${key(r)}: ${m.text}${m.decode === undefined ? '' : `, decode kl ${m.decode.toFixed(5)}`}`);
  writeFileSync(store, `${JSON.stringify(known, null, 2)}\n`);
  write(known);
}

rmSync(dir, { recursive: true });
