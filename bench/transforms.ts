/**
 * Measures what transforms bring: each scheme with and without them, scored by score.py on the evaluation files. Rows go into
 * docs/measured/transforms.md between the two marks; rows that are not run stay.
 *
 *   npx tsx bench/transforms.ts [--only name,…] [--list] [--models ../shared/models] [--before QUEUE]
 *
 * Needs `npm run build`, and Python with onnxruntime for score.py.
 */
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { cli, watch } from './watch.ts';

const { values: o } = parseArgs({
  options: {
    models: { type: 'string', default: '../shared/models' },
    score: { type: 'string', default: '../shared/tools/score.py' },
    only: { type: 'string', default: '' },
    python: { type: 'string', default: 'python3' },
    /** A command that runs others (a queue). */
    before: { type: 'string', default: '' },
    list: { type: 'boolean', default: false },
  },
});
const PAGE = 'docs/measured/transforms.md';
const [BEGIN, END] = ['<!-- measured -->', '<!-- /measured -->'];

const outliers = `transform smooth on attention.v -> attention.output
  transform smooth on mlp.up -> mlp.down`;
const rotations = `transform rotate on residual { matrix: hadamard }
  transform rotate on attention.v -> attention.output { per: head }
  transform rotate on mlp.up -> mlp.down { online: yes }`;
const w4 = 'quantize weight of linear as int4 { group: 32, scale: mse(40, shrink: 0.6, signed: yes) }';
const a4 = `${w4}
  quantize input of linear as int4 { mode: dynamic, group: 32, symmetric: no }`;
const solve = 'solve gptq on linear { order: hessian, cd: 2, rescale: yes }';

interface Row {
  readonly models: readonly string[];
  readonly scheme: string;
  readonly transforms: string;
  readonly recipe: string;
}
const both = ['llama', 'llama-outlier'];
const rows: Readonly<Record<string, Row>> = {
  w8a8: { models: both, scheme: 'W8A8 per token', transforms: 'none', recipe: 'quantize linear as W8A8' },
  'w8a8-rotated': { models: both, scheme: 'W8A8 per token', transforms: 'std.llm_w8a8_rotated', recipe: 'apply std.llm_w8a8_rotated()' },
  'w8a8-static': { models: both, scheme: 'W8A8 static', transforms: 'none', recipe: 'quantize linear as W8A8_STATIC' },
  'w8a8-migrated': {
    models: both,
    scheme: 'W8A8 static, norm inputs migrated',
    transforms: 'std.w8a8_migrated',
    recipe: 'apply std.w8a8_migrated()',
  },
  'w8a8-migrated-gptq': {
    models: ['llama'],
    scheme: 'W8A8 static, norm inputs migrated',
    transforms: 'std.w8a8_migrated, GPTQ toward the float model',
    recipe: 'apply std.w8a8_migrated()\n  solve gptq on linear { order: hessian, target: float }',
  },
  w4a4: { models: both, scheme: 'W4A4 group 32, GPTQ', transforms: 'none', recipe: `${a4}\n  ${solve}` },
  'w4a4-hadamard': {
    models: both,
    scheme: 'W4A4 group 32, GPTQ',
    transforms: 'smooth on v -> o, up -> down; Hadamard rotations',
    recipe: `${outliers}\n  ${rotations}\n  ${a4}\n  ${solve}`,
  },
  'w4a4-ostquant': {
    models: both,
    scheme: 'W4A4 group 32, GPTQ',
    transforms: 'std.ostquant (learnt rotations)',
    recipe: 'apply std.ostquant()',
  },
  'w4a4-svd32': { models: both, scheme: 'W4A4 group 32, GPTQ', transforms: 'std.svdquant, rank 32', recipe: 'apply std.svdquant()' },
  'w4a4-svd16': {
    models: ['llama'],
    scheme: 'W4A4 group 32, GPTQ',
    transforms: 'std.svdquant, rank 16',
    recipe: 'apply std.svdquant(rank: 16)',
  },
  'w4a4-svd-learnt': {
    models: ['llama'],
    scheme: 'W4A4 group 32, GPTQ',
    transforms: 'as std.ostquant, then lowrank 32',
    recipe: `apply std.ostquant()\n  transform lowrank on linear { rank: 32, share: [q, k, v, gate, up] }`,
  },
  'w4a4-svd16-learnt': {
    models: ['llama'],
    scheme: 'W4A4 group 32, GPTQ',
    transforms: 'as std.ostquant, then lowrank 16',
    recipe: `apply std.ostquant()\n  transform lowrank on linear { rank: 16, share: [q, k, v, gate, up] }`,
  },
  'w4a4-token': {
    models: both,
    scheme: 'W4A4 by channel and token, GPTQ',
    transforms: 'none',
    recipe: `quantize weight of linear as int4 { per: channel, scale: mse(40, shrink: 0.6) }
  quantize input of linear as int4 { mode: dynamic, per: token, symmetric: no }
  solve gptq on linear { order: hessian }`,
  },
  mergequant: {
    models: both,
    scheme: 'W4A4 static by channel behind norms, GPTQ',
    transforms: 'std.mergequant',
    recipe: 'apply std.mergequant()',
  },
  w4a16: { models: both, scheme: 'W4A16 group 32, rounded', transforms: 'none', recipe: w4 },
  'w4a16-awq': {
    models: both,
    scheme: 'W4A16 group 32, rounded',
    transforms: 'awq on v -> o, up -> down, norm -> linear',
    recipe: `transform scale on attention.v -> attention.output { law: awq(20) }
  transform scale on mlp.up -> mlp.down { law: awq(20) }
  transform scale on norm -> linear { law: awq(20) }
  ${w4}`,
  },
  'smoothquant-plus': {
    models: ['llama-outlier'],
    scheme: 'uint4 group 32, rounded',
    transforms: 'std.smoothquant_plus',
    recipe: 'apply std.smoothquant_plus(group: 32, samples: 8)',
  },
  'smoothquant-plus-none': {
    models: ['llama-outlier'],
    scheme: 'uint4 group 32, rounded',
    transforms: 'none',
    recipe: 'quantize weight of linear as uint4 { group: 32 }',
  },
};

const run = (command: string, args: readonly string[]) => (o.before ? watch(o.before, [command, ...args]) : watch(command, args));

async function measure(name: string, row: Row, model: string, dir: string): Promise<string> {
  const folder = join(o.models, model);
  const [recipe, out] = [join(dir, `${name}.qrecipe`), join(dir, `${name}-${model}.onnx`)];
  const data = row.recipe.includes('calibrate') ? '' : 'calibrate data("calib") { samples: 128 }\n  ';
  writeFileSync(recipe, `use "@qrecipe/std@^0.1" as std\n\nrecipe measured version "1.0.0" {\n  ${data}${row.recipe}\n}\n`);
  const args = [
    cli,
    'compile',
    join(folder, 'model.onnx'),
    recipe,
    '-o',
    out,
    '--target',
    'ort',
    '--data',
    `calib=${join(folder, 'calib')}`,
    '--force',
  ];
  const done = await run(process.execPath, [...args, '--json', '--quiet']);
  if (done.code !== 0)
    return `| ${model} | ${row.scheme} | ${row.transforms} | does not compile: ${done.output.slice(0, 160).replaceAll('\n', ' ')} | | |`;
  const scored = await run(o.python, [o.score, folder, out]);
  const s = JSON.parse(scored.output.trim().split('\n').at(-1)!) as Record<string, number>;
  const proof = /within ([\d.e-]+)/.exec(done.output)?.[1] ?? '';
  rmSync(out, { force: true });
  rmSync(`${out}.data`, { force: true });
  const n = (x: number, digits = 3) => Number(x.toPrecision(digits)).toString();
  return `| ${model} | ${row.scheme} | ${row.transforms} | ${n(s['kl']!)} | ${s['nll_diff']!.toFixed(5)} ± ${s['nll_diff_se']!.toFixed(5)} | ${proof} |`;
}

const key = (line: string): string => line.split('|').slice(1, 4).join('|');
/** Puts a row in the place of the one for the same model, scheme and transforms, or at the end. */
function keep(line: string): void {
  const page = readFileSync(PAGE, 'utf8');
  const [from, to] = [page.indexOf(BEGIN), page.indexOf(END)];
  const [head, ...found] = page
    .slice(from + BEGIN.length, to)
    .trim()
    .split(/\n(?=\| llama|\| minilm|\| vit)/);
  const lines = found.filter((l) => key(l) !== key(line));
  const order = (l: string): string => key(l).split('|').slice(0, 2).join('|');
  const all = [...lines, line].toSorted((a, b) => (order(a) < order(b) ? -1 : order(a) > order(b) ? 1 : 0));
  writeFileSync(PAGE, `${page.slice(0, from + BEGIN.length)}\n${head}\n${all.join('\n')}\n${page.slice(to)}`);
}

if (o.list) console.log(Object.keys(rows).join('\n'));
else {
  if (!existsSync(cli)) throw new Error('run `npm run build` first');
  const dir = mkdtempSync(join(tmpdir(), 'qc-transforms-'));
  try {
    const only = o.only ? new Set(o.only.split(',')) : undefined;
    for (const [name, row] of Object.entries(rows))
      for (const model of row.models)
        if (!only || only.has(name) || only.has(`${name}@${model}`)) {
          const line = await measure(name, row, model, dir);
          console.log(line);
          keep(line);
        }
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}
