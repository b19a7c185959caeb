/**
 * State-space models, part by part: compiles each variant, scores it by score.py (whole windows, and token by token), writes Markdown tables.
 *
 *   npx tsx bench/ssm.ts [--models ../shared/models] [--model mamba] [--out docs/measured/ssm.md]
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
    model: { type: 'string', multiple: true, default: ['mamba', 'mamba2'] },
    score: { type: 'string', default: '../shared/tools/score.py' },
    out: { type: 'string', default: 'docs/measured/ssm.md' },
  },
});

const smooth = 'transform smooth on norm -> linear { alpha: 0.8 }';
const rotate = 'transform rotate on any -> ssm.output { online: yes }';
const int8 = 'quantize weight of linear as int8 { per: channel }\n  quantize weight of conv as int8 { per: channel }';
const int4 =
  'quantize linear as W4A16 { group: 32, scale: mse(40, shrink: 0.6, signed: yes) }\n  solve gptq on linear { order: hessian, cd: 2, rescale: yes, target: float }';
const conv8 = 'quantize weight of conv as int8 { per: channel }';
const fixed = 'quantize input of linear as int8 { mode: static }';
const dynamic = 'quantize input of linear as int8 { mode: dynamic, per: token }';
const scan = (x: string, others: string) =>
  `quantize input of conv as int8 { mode: static, per: ${x === 'tensor' ? 'tensor' : 'channel'} }
  quantize x, dt of ssm as int8 { mode: static, per: ${x} }\n  quantize B, C, z of ssm as int8 { mode: static, per: ${others} }`;
const state = (per: string, margin = '') =>
  `quantize state of ssm as int8 { mode: static, per: ${per}${margin && `, scale: minmax(margin: ${margin})`} }`;
const best = [smooth, rotate, fixed, scan('channel', 'tensor')];

/** Each line is a whole recipe. */
const variants: readonly (readonly [name: string, parts: readonly string[]])[] = [
  ['W8A8: everything, state per element, margin 1.1', [int8, ...best, state('element', '1.1')]],
  ['W8A8 dynamic linears, scan tensors int8, state float', [int8, smooth, rotate, dynamic, scan('channel', 'tensor')]],
  ['W4A8 group 32, everything, state per element, margin 1.1', [int4, conv8, ...best, state('element', '1.1')]],
  ['W4A16 group 32 GPTQ, rotated out_proj', [int4, rotate]],
  ['W8A8 static linears, no transform', [int8, fixed]],
  ['+ scan tensors and state per tensor', [int8, fixed, scan('tensor', 'tensor'), state('tensor')]],
  ['W8A8 static linears, smooth + Hadamard', [int8, smooth, rotate, fixed]],
  ['+ x, dt, conv per channel, B, C, z per tensor', [int8, ...best]],
  ['  + state per tensor', [int8, ...best, state('tensor')]],
  ['  + state per state_group', [int8, ...best, state('state_group')]],
  ['  + state per cluster', [int8, ...best, state('cluster')]],
  ['  + state per channel', [int8, ...best, state('channel')]],
  ['  + state per element', [int8, ...best, state('element')]],
  ['  + state per element, margin 1.25', [int8, ...best, state('element', '1.25')]],
  ['x, dt per cluster, B, C, z per state_group', [int8, smooth, rotate, fixed, scan('cluster', 'state_group')]],
  ['only the state, per element, margin 1.1', [state('element', '1.1')]],
  ['W4A16 group 32 GPTQ, not rotated', [int4]],
];

const dir = mkdtempSync(join(tmpdir(), 'qc-ssm-'));
const tables: string[] = [];
const write = () =>
  writeFileSync(
    o.out,
    `# State-space models, part by part

Written by \`npx tsx bench/ssm.ts\`; score.py on target \`ort\` (KL to float32 in nats a token; \`decode_kl\` is token by token through the states). Everything: linears, the
depthwise convolution, x, B, C, dt, z and the state that the Scan carries.
${tables.join('')}`,
  );
for (const model of o.model) {
  const folder = join(o.models, model);
  if (!existsSync(folder)) {
    console.log(`skipped: no ${folder}`);
    continue;
  }
  tables.push(`\n## ${model}\n\n| | kl | decode_kl | nll_diff |\n| --- | --- | --- | --- |\n`);
  for (const [name, parts] of variants) {
    const recipe = join(dir, 'r.qrecipe');
    const out = join(dir, 'm.onnx');
    writeFileSync(recipe, `recipe r version "1.0.0" {\n  calibrate data("calib")\n  ${parts.join('\n  ')}\n}\n`);
    const data = `calib=${join(folder, 'calib')}`;
    const compile = ['compile', join(folder, 'model.onnx'), recipe, '-o', out, '--force', '--quiet', '--target', 'ort', '--data', data];
    const done = await watch(process.execPath, [cli, ...compile]);
    if (done.code !== 0) throw new Error(`${name}: ${done.output}`);
    const cells: string[] = [];
    for (const flags of [[], ['--decode']]) {
      const s = await score('python3', o.score, folder, out, ...flags);
      cells.push(...(flags.length ? [s['decode_kl']!.toFixed(5)] : [s['kl']!.toFixed(5), s['nll_diff']!.toFixed(5)]));
    }
    const [kl, nll, decode] = cells;
    const row = `| ${name.trim()} | ${kl} | ${decode} | ${nll} |\n`;
    tables.push(row);
    console.log(`${model} ${row.trim()}`);
    write();
  }
}
rmSync(dir, { recursive: true, force: true });
