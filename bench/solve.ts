/**
 * The whole `qc compile` with GPTQ at W4A16 group 32 on a Llama-shaped model of random weights: time, CPU time and peak anonymous memory.
 *
 *   npx tsx bench/solve.ts [--size 1b|15m] [--layers N] [--samples 8] [--length 256] [--recipe FILE]
 *
 * Needs `npm run build`, and Python with onnx and numpy for ../shared/tools/make-llama.py.
 */
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { cli, gib, watch } from './watch.ts';

const { values: o } = parseArgs({
  options: {
    size: { type: 'string', default: '1b' },
    layers: { type: 'string', default: '' },
    samples: { type: 'string', default: '8' },
    length: { type: 'string', default: '256' },
    recipe: { type: 'string', default: '' },
    python: { type: 'string', default: 'python3' },
    tools: { type: 'string', default: '../shared/tools' },
  },
});
const dir = mkdtempSync(join(tmpdir(), 'qc-solve-'));
try {
  const tool = join(o.tools, 'make-llama.py');
  if (!existsSync(tool)) {
    console.log(`skipped: no ${tool}`);
    process.exit(0);
  }
  const made = await watch(o.python, [tool, dir, '--size', o.size, ...(o.layers ? ['--layers', o.layers] : [])]);
  if (made.code !== 0) throw new Error(made.output);
  const sequences = join(import.meta.dirname, 'peers/sequences.py');
  const fed = await watch(o.python, [sequences, dir, join(dir, 'calib'), o.samples, o.length]);
  if (fed.code !== 0) throw new Error(fed.output);
  const text = `recipe w4a16 version "1.0.0" {
  calibrate data("calib")
  quantize linear as W4A16 { group: 32 }
  solve gptq on linear { order: hessian }
}
`;
  writeFileSync(join(dir, 'r.qrecipe'), o.recipe ? readFileSync(o.recipe, 'utf8') : text);
  const args = [
    'compile',
    join(dir, 'model.onnx'),
    join(dir, 'r.qrecipe'),
    '-o',
    join(dir, 'q.onnx'),
    '--data',
    `calib=${join(dir, 'calib')}`,
  ];
  const done = await watch('/usr/bin/env', ['bash', '-c', 'time "$0" "$@"', process.execPath, cli, ...args, '--json', '--quiet']);
  if (done.code !== 0) throw new Error(done.output.slice(-2000));
  const { seconds } = JSON.parse(done.output.slice(done.output.indexOf('{'), done.output.lastIndexOf('}') + 1)) as {
    seconds: Record<string, number>;
  };
  const [user, system] = ['user', 'sys'].map((k) => new RegExp(`${k}\\s+(\\S+)`).exec(done.output)?.[1] ?? '?');
  console.log(`${o.size}: ${done.seconds.toFixed(1)} s, CPU user ${user} sys ${system}, peak RssAnon ${gib(done.peakAnon)}`);
  console.log(
    Object.entries(seconds)
      .map(([k, s]) => `${k} ${s.toFixed(1)} s`)
      .join(', '),
  );
} finally {
  rmSync(dir, { recursive: true, force: true });
}
