/**
 * The whole compile with GPTQ, W4A16 group 32, beside onnx-neural-compressor's GPTQ on the same calibration files, turn by turn: time, memory, metrics.
 *
 *   npx tsx bench/gptq.ts [--model ../shared/models/llama] [--rounds 3] [--peer-rounds 1] [--peer PYTHON] [--limit SECONDS]
 *
 * Needs `npm run build`; PYTHON with onnx-neural-compressor 1.0 (`pip install onnx-neural-compressor`, a venv of its own: it wants old packages);
 * python3 with onnxruntime for score.py. A peer that has not ended after `--limit` is said so.
 */
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { cli, gib, median, score, type Watched, watch } from './watch.ts';

const { values: o } = parseArgs({
  options: {
    model: { type: 'string', default: '../shared/models/llama' },
    rounds: { type: 'string', default: '3' },
    'peer-rounds': { type: 'string', default: '1' },
    peer: { type: 'string', default: 'python3' },
    limit: { type: 'string', default: '3600' },
    python: { type: 'string', default: 'python3' },
    score: { type: 'string', default: '../shared/tools/score.py' },
  },
});
const GROUP = 32;
const recipe = `recipe w4a16 version "1.0.0" {
  calibrate data("calib")
  quantize linear as W4A16 { group: ${GROUP} }
  solve gptq on linear { order: hessian }
}
`;
/** Names of what runs, and the peer's own switches for it. */
const peers = { 'as it comes': [], 'act-order': ['actorder'], 'act-order, clipping': ['actorder', 'mse'] };

const dir = mkdtempSync(join(tmpdir(), 'qc-gptq-'));
try {
  const [model, calib] = [join(o.model, 'model.onnx'), join(o.model, 'calib')];
  if (!existsSync(model)) {
    console.log(`skipped: no ${model}`);
    process.exit(0);
  }
  writeFileSync(join(dir, 'r.qrecipe'), recipe);
  const runs = new Map<string, Watched[]>();
  const outputs = new Map<string, string>();
  const run = async (name: string, command: string, args: readonly string[], out: string) => {
    const done = await watch('timeout', [o.limit, command, ...args]);
    if (done.code === 124) return console.log(`${name}: not finished after ${o.limit} s`);
    if (done.code !== 0) throw new Error(`${name}: ${done.output.slice(-1500)}`);
    runs.set(name, [...(runs.get(name) ?? []), done]);
    outputs.set(name, out);
    console.log(`${name.padEnd(24)} ${done.seconds.toFixed(2)} s, peak RssAnon ${gib(done.peakAnon)}`);
  };
  for (let round = 0; round < Number(o.rounds); round++) {
    const ours = join(dir, 'ours.onnx');
    const args = [
      'compile',
      model,
      join(dir, 'r.qrecipe'),
      '-o',
      ours,
      '--data',
      `calib=${calib}`,
      '--target',
      'ort',
      '--quiet',
      '--force',
    ];
    await run('qc', process.execPath, [cli, ...args], ours);
    if (round >= Number(o['peer-rounds'])) continue;
    for (const [how, switches] of Object.entries(peers)) {
      const out = join(mkdtempSync(join(dir, 'peer-')), 'model.onnx');
      await run(how, o.peer, [join(import.meta.dirname, 'peers/gptq.py'), model, out, String(GROUP), calib, ...switches], out);
    }
  }
  const ours = median(runs.get('qc')!.map((r) => r.seconds));
  console.log('\n| | seconds (median) | × qc | peak RssAnon | metrics |\n|---|---|---|---|---|');
  for (const [name, all] of runs) {
    const seconds = median(all.map((r) => r.seconds));
    const metrics = await score(o.python, o.score, o.model, outputs.get(name)!);
    const said = Object.entries(metrics).map(([k, v]) => `${k} ${Number(v.toPrecision(4))}`);
    const label = name === 'qc' ? 'qc' : `onnx-neural-compressor, ${name}`;
    console.log(
      `| ${label} | ${seconds.toFixed(2)} | ${(seconds / ours).toFixed(1)} | ${gib(Math.max(...all.map((r) => r.peakAnon)))} | ${said.join(', ')} |`,
    );
  }
} finally {
  rmSync(dir, { recursive: true, force: true });
}
