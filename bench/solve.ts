/**
 * The whole `qc compile` with GPTQ at W4A16 group 32 on a Llama-shaped model of random weights: time, CPU time and peak anonymous memory.
 *
 *   npx tsx bench/solve.ts [--size 1b|15m] [--layers N] [--samples 8] [--length 256] [--recipe FILE]
 *
 * Needs `npm run build`, and Python with onnx and numpy for ../shared/tools/make-llama.py.
 */
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
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
const data = `
import sys, numpy as np, onnx
m = onnx.load(sys.argv[1] + '/model.onnx', load_external_data=False)
v = next(t.dims[0] for t in m.graph.initializer if 'embed' in t.name)
for s in range(${o.samples}):
    f = {}
    for i in m.graph.input:
        d = [x.dim_value if x.dim_value else None for x in i.type.tensor_type.shape.dim]
        if i.name == 'input_ids': f[i.name] = np.random.default_rng(s).integers(0, v, (1, ${o.length}))
        elif i.name == 'attention_mask': f[i.name] = np.ones((1, ${o.length}), np.int64)
        elif i.name == 'position_ids': f[i.name] = np.arange(${o.length})[None]
        else: f[i.name] = np.zeros([x if x else (1 if a == 0 else 0) for a, x in enumerate(d)], np.float32)
    np.savez(sys.argv[2] + f'/{s:03}.npz', **f)
`;
try {
  const tool = join(o.tools, 'make-llama.py');
  if (!existsSync(tool)) {
    console.log(`skipped: no ${tool}`);
    process.exit(0);
  }
  const made = await watch(o.python, [tool, dir, '--size', o.size, ...(o.layers ? ['--layers', o.layers] : [])]);
  if (made.code !== 0) throw new Error(made.output);
  mkdirSync(join(dir, 'calib'));
  writeFileSync(join(dir, 'data.py'), data);
  const fed = await watch(o.python, [join(dir, 'data.py'), dir, join(dir, 'calib')]);
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
