/**
 * RepQuant on the vision transformer, part by part: compiles each variant, scores it by score.py, writes one Markdown table.
 *
 *   npx tsx bench/vision.ts [--models ../shared/models] [--out docs/measured/vision.md]
 *
 * Needs `npm run build`, and Python with onnxruntime.
 */
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { cli, score, watch } from './watch.ts';

const { values: o } = parseArgs({
  options: {
    models: { type: 'string', default: '../shared/models' },
    score: { type: 'string', default: '../shared/tools/score.py' },
    out: { type: 'string', default: 'docs/measured/vision.md' },
  },
});
const folder = join(o.models, 'vit');
if (!existsSync(folder)) {
  console.log(`skipped: no ${folder}`);
  process.exit(0);
}

const weights = (b: number) => `quantize weight of linear as int${b} { per: channel, scale: mse }`;
const inputs = (b: number) => `quantize input of linear as uint${b} { mode: static, per: tensor, scale: mse }`;
const heads = (b: number) => `quantize q, k, v of attention as uint${b} { mode: static, per: tensor, scale: mse }`;
const headsDynamic = (b: number) => `quantize q, k, v of attention as uint${b} { mode: dynamic, per: head }`;
const uniform = (b: number) => `quantize probs of attention as uint${b} { mode: static, per: tensor, scale: mse }`;
const levels = (format: string, mode: string) => (b: number) => `quantize probs of attention as ${format}(${b}) { mode: ${mode} }`;
const norms = () => 'transform reparam on norm -> linear';
const values = () => 'transform reparam on attention.v -> attention.output';
const gptq = () => 'solve gptq on linear { order: hessian }';
const adaround = () => 'solve adaround on linear { target: float }';
const biases = () => 'solve bias_correct on linear';
const toFloat = () => 'solve gptq on linear { order: hessian, cd: 2, target: float }';

/** Each line is a whole recipe; a part is added or exchanged from line to line. */
const variants: readonly (readonly [name: string, parts: readonly ((bits: number) => string)[]])[] = [
  ['round to nearest, uniform softmax', [weights, inputs, heads, uniform]],
  ['softmax log2 static', [weights, inputs, heads, levels('log2', 'static')]],
  ['softmax log√2 static', [weights, inputs, heads, levels('log_sqrt2', 'static')]],
  ['softmax log√2 dynamic', [weights, inputs, heads, levels('log_sqrt2', 'dynamic')]],
  ['+ reparam on norm → linear', [norms, weights, inputs, heads, levels('log_sqrt2', 'dynamic')]],
  ['+ GPTQ', [norms, weights, inputs, heads, levels('log_sqrt2', 'dynamic'), gptq]],
  ['+ GPTQ toward float, descent', [norms, weights, inputs, heads, levels('log_sqrt2', 'dynamic'), toFloat]],
  ['+ q, k, v dynamic per head', [norms, weights, inputs, headsDynamic, levels('log_sqrt2', 'dynamic'), toFloat]],
  ['+ reparam on v → o', [norms, values, weights, inputs, headsDynamic, levels('log_sqrt2', 'dynamic'), toFloat]],
  ['  + biases corrected', [norms, values, weights, inputs, headsDynamic, levels('log_sqrt2', 'dynamic'), toFloat, biases]],
  ['  AdaRound toward float instead of GPTQ', [norms, values, weights, inputs, headsDynamic, levels('log_sqrt2', 'dynamic'), adaround]],
  ['  + biases corrected: std.repquant', [norms, values, weights, inputs, headsDynamic, levels('log_sqrt2', 'dynamic'), adaround, biases]],
  ['by GPTQ, without reparam', [weights, inputs, headsDynamic, levels('log_sqrt2', 'dynamic'), toFloat]],
  ['by GPTQ, with static softmax', [norms, values, weights, inputs, headsDynamic, levels('log_sqrt2', 'static'), toFloat]],
];

const dir = mkdtempSync(join(tmpdir(), 'qc-vision-'));
const rows: string[] = [];
for (const [name, parts] of variants) {
  const cells: string[] = [];
  for (const bits of [4, 6]) {
    const recipe = join(dir, 'r.qrecipe');
    const out = join(dir, 'm.onnx');
    writeFileSync(recipe, `recipe r version "1.0.0" {\n  calibrate data("calib")\n  ${parts.map((p) => p(bits)).join('\n  ')}\n}\n`);
    const done = await watch(process.execPath, [
      cli,
      'compile',
      join(folder, 'model.onnx'),
      recipe,
      '-o',
      out,
      '--force',
      '--quiet',
      '--data',
      `calib=${join(folder, 'calib')}`,
    ]);
    if (done.code !== 0) throw new Error(done.output);
    const s = await score('python3', o.score, folder, out);
    cells.push(`${s['logits_sqnr_db']!.toFixed(1)} dB`, s['top1']!.toFixed(4), s['agreement']!.toFixed(4));
  }
  rows.push(`| ${[name, ...cells].join(' | ')} |`);
  console.log(rows.at(-1));
}
rmSync(dir, { recursive: true });
writeFileSync(
  o.out,
  `# RepQuant on the vision transformer, part by part

Written by \`npx tsx bench/vision.ts\`; score.py on the 360 images of eval (one image is .0028; float32: top-1 .9694). Weights, inputs of linears, q, k, v and softmax
all have the bits of the column.

| | W4A4 SQNR | top-1 | agreement | W6A6 SQNR | top-1 | agreement |
| --- | --- | --- | --- | --- | --- | --- |
${rows.join('\n')}
`,
);
