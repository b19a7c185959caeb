/** A solve that is killed goes on where it was, and gives the same bytes. */
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { random } from '../crunch/engines.ts';

const dir = mkdtempSync(join(tmpdir(), 'qc-resume-'));
test.after(() => rmSync(dir, { recursive: true, force: true }));
const recipe = join(dir, 'r.qrecipe');
const solve = 'solve gptq on block(0..2) and linear { order: hessian }';
const text = (group: number) =>
  `recipe r version "1.0.0" {\n  calibrate data("calib") { samples: 1 }\n  quantize linear as W4A16 { group: ${group} }\n  ${solve}\n}\n`;
writeFileSync(recipe, text(32));

const output = join(dir, 'q.onnx');
const work = `${output}.solving`;
const layers = () => (existsSync(work) ? readdirSync(work).filter((n) => n.endsWith('.layer')).length : 0);

/** Runs the compiler; kills it as soon as `layers` layers are stored, after `wait` more milliseconds. */
function compile(
  more: readonly string[],
  kill?: { readonly layers: number; readonly wait: number },
): Promise<{ code: number | null; err: string }> {
  const args = [
    'compile',
    'test/models/llama/model.onnx',
    recipe,
    '-o',
    output,
    '--data',
    'calib=test/models/llama/calib',
    '--quiet',
    ...more,
  ];
  return new Promise((done) => {
    const child = spawn(process.execPath, ['--import', 'tsx', 'compiler/cli/main.ts', ...args], { stdio: ['ignore', 'ignore', 'pipe'] });
    let err = '';
    child.stderr.on('data', (part: Buffer) => (err += part));
    let waiting = false;
    const timer = setInterval(() => {
      if (!kill || waiting || layers() < kill.layers) return;
      waiting = true;
      setTimeout(() => child.kill('SIGKILL'), kill.wait);
    }, 1);
    child.on('close', (code) => {
      clearInterval(timer);
      done({ code, err });
    });
  });
}

test('killed at ten random moments, the output is that of a run without a kill', async () => {
  assert.is((await compile([])).code, 0);
  assert.not(existsSync(work), 'nothing is left beside the output');
  const whole = readFileSync(output);
  rmSync(output);
  const next = random(11);
  const total = 21;
  const stops = Array.from({ length: 10 }, () => ({ layers: 1 + Math.floor(next() * (total - 2)), wait: next() * 20 })).sort(
    (a, b) => a.layers - b.layers,
  );
  let before = 0;
  for (const [i, stop] of stops.entries()) {
    const { code, err } = await compile(i === 0 ? [] : ['--resume'], stop);
    assert.is(code, null, `killed ${i}: ${err}`);
    assert.ok(layers() >= before, `${layers()} of ${before}`);
    before = layers();
    assert.not(existsSync(output));
  }
  const { code, err } = await compile(['--resume']);
  assert.is(code, 0, err);
  assert.ok(readFileSync(output).equals(whole));
  assert.not(existsSync(work));
});

test('nothing to resume, and what was made for another recipe, are refused', async () => {
  rmSync(output, { force: true });
  const nothing = await compile(['--resume']);
  assert.is(nothing.code, 2);
  assert.match(nothing.err, 'resume-nothing');
  await compile([], { layers: 2, wait: 0 });
  writeFileSync(recipe, text(64));
  const other = await compile(['--resume']);
  assert.is(other.code, 2);
  assert.match(other.err, 'resume-differs');
  rmSync(work, { recursive: true });
  mkdirSync(work);
  writeFileSync(join(work, 'mine.txt'), 'x');
  const foreign = await compile([]);
  assert.is(foreign.code, 2);
  assert.match(foreign.err, 'workspace-foreign');
  assert.ok(existsSync(join(work, 'mine.txt')));
});
test.run();
