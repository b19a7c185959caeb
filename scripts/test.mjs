// Runs every test/**/*.test.ts in a process of its own, two at a time, and adds up uvu's counts.
// Last line: `N passed, N failed[, N skipped]`. Arguments: substrings of file names to run.
import { spawn } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { availableParallelism } from 'node:os';

const wanted = process.argv.slice(2);
const files = readdirSync('test', { recursive: true })
  .map(String)
  .filter((f) => f.endsWith('.test.ts') && (wanted.length === 0 || wanted.some((w) => f.includes(w))))
  .sort();
const total = { passed: 0, failed: 0, skipped: 0 };
const broken = [];

const runFile = (file) =>
  new Promise((done) => {
    const started = Date.now();
    const child = spawn(process.execPath, ['--import', 'tsx', `test/${file}`], { env: { ...process.env, FORCE_COLOR: '0' } });
    let out = '';
    for (const s of [child.stdout, child.stderr]) s.on('data', (d) => (out += d));
    child.on('close', (code) => {
      const count = (name) => [...out.matchAll(new RegExp(`^\\s+${name}:\\s+(\\d+)`, 'gm'))].reduce((n, m) => n + Number(m[1]), 0);
      const [all, passed, skipped] = [count('Total'), count('Passed'), count('Skipped')];
      // A file that found nothing to run on this machine says so.
      const away = all === 0 && /^skipped:/m.test(out);
      const failed = Math.max(all - passed, code === 0 && (all > 0 || away) ? 0 : 1);
      total.passed += passed;
      total.failed += failed;
      total.skipped += skipped + (away ? 1 : 0);
      console.log(`${failed ? 'FAIL' : 'ok  '} ${file} (${passed}/${all}${skipped ? `, ${skipped} skipped` : ''}, ${((Date.now() - started) / 1000).toFixed(1)} s)`);
      if (failed) broken.push(`\n──── ${file} (exit ${code})\n${out}`);
      else for (const line of out.split('\n')) if (line.startsWith('skipped:')) console.log(`     ${line}`);
      done();
    });
  });

const queue = [...files];
await Promise.all(Array.from({ length: Math.min(4, availableParallelism()) }, async () => {
  for (let f = queue.shift(); f !== undefined; f = queue.shift()) await runFile(f);
}));
for (const b of broken) console.log(b);
if (files.length === 0) { console.log('no test file matches'); process.exitCode = 1; }
if (total.failed) process.exitCode = 1;
console.log(`${total.passed} passed, ${total.failed} failed${total.skipped ? `, ${total.skipped} skipped` : ''}`);
