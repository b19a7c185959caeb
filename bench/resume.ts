/**
 * Kills a long solve at random moments and goes on with `--resume`: the bytes must be those of a run that was not killed.
 * Then interrupts one (SIGINT): nothing may be left beside the output.
 *
 *   npx tsx bench/resume.ts [--model ../shared/models/llama] [--kills 10] [--seed 1]
 *
 * Needs `npm run build`. Exit status 1 where bytes differ or something is left.
 */
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { random } from '../test/crunch/engines.ts';
import { cli } from './watch.ts';

const { values: o } = parseArgs({
  options: {
    model: { type: 'string', default: '../shared/models/llama' },
    kills: { type: 'string', default: '10' },
    seed: { type: 'string', default: '1' },
  },
});
if (!existsSync(join(o.model, 'model.onnx'))) {
  console.log(`skipped: no ${o.model}`);
  process.exit(0);
}
const dir = mkdtempSync(join(tmpdir(), 'qc-kills-'));
const recipe = join(dir, 'r.qrecipe');
writeFileSync(
  recipe,
  `recipe r version "1.0.0" {
  calibrate data("calib")
  quantize linear as W4A16 { group: 32 }
  solve gptq on linear { order: hessian, cd: 2, rescale: yes, target: float }
}
`,
);
const output = join(dir, 'q.onnx');
const data = `calib=${join(o.model, 'calib')}`;

/** Compiles; sends `signal` when so many layers are stored and so many ms have passed. Gives the exit status, null where the signal ended it. */
function compile(more: readonly string[], stop?: { signal: NodeJS.Signals; layers: number; wait: number }): Promise<number | null> {
  const args = [cli, 'compile', join(o.model, 'model.onnx'), recipe, '-o', output, '--data', data, '--quiet', ...more];
  return new Promise((done) => {
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'ignore', 'inherit'] });
    const timer = setInterval(() => {
      if (!stop || layers() < stop.layers) return;
      setTimeout(() => child.kill(stop.signal), stop.wait);
      clearInterval(timer);
    }, 2);
    child.on('close', (code) => {
      clearInterval(timer);
      done(code);
    });
  });
}
const layers = (): number => {
  const folder = `${output}.solving`;
  return existsSync(folder) ? readdirSync(folder).filter((n) => n.endsWith('.layer')).length : 0;
};
const hash = (): string => createHash('sha256').update(readFileSync(output)).digest('hex').slice(0, 16);
const left = (): string[] => readdirSync(dir).filter((n) => n !== 'r.qrecipe' && n !== 'q.onnx');

let failed = false;
try {
  if ((await compile([])) !== 0) throw new Error('the run without a kill failed');
  const whole = hash();
  console.log(`not killed: ${whole}`);
  rmSync(output);
  const next = random(Number(o.seed));
  const kills = Number(o.kills);
  for (let i = 0; i < kills; i++) {
    const [from, before] = [layers(), Math.round(next() * 5)];
    const code = await compile(i === 0 ? [] : ['--resume'], {
      signal: 'SIGKILL',
      layers: Math.min(from + before, 42),
      wait: Math.round(next() * 400),
    });
    console.log(`kill ${i + 1}: ${code === null ? 'killed' : `ended with ${code}`} with ${layers()} layers stored`);
    if (code !== null) break;
  }
  if (!existsSync(output) && (await compile(['--resume'])) !== 0) throw new Error('the resumed run failed');
  console.log(`resumed:    ${hash()}`);
  failed = hash() !== whole || left().length > 0;
  rmSync(output);
  const code = await compile([], { signal: 'SIGINT', layers: 5, wait: 100 });
  console.log(`interrupted: exit ${code}, left: ${left().join(', ') || 'nothing'}`);
  failed ||= left().length > 0 || existsSync(output);
} finally {
  rmSync(dir, { recursive: true, force: true });
}
process.exit(failed ? 1 : 0);
