/**
 * How long a person waits: `qc --help`, checking a 10,000-line recipe, compiling minilm to four bits. Median of some runs each, wall time of the whole process.
 *
 *   npx tsx bench/startup.ts [--runs 7]
 *
 * Needs `npm run build`. Exits 1 when a limit is broken.
 */
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { cli, median, watch } from './watch.ts';

const { values: o } = parseArgs({
  options: { runs: { type: 'string', default: '7' }, minilm: { type: 'string', default: '../shared/models/minilm' } },
});
const dir = mkdtempSync(join(tmpdir(), 'qc-startup-'));
const qc = (...args: string[]) => watch(process.execPath, [cli, ...args]);

const LINES = 10_000;
const long = join(dir, 'long.qrecipe');
const statements = Array.from(
  { length: LINES - 2 },
  (_, i) => `  quantize weight of path("layers.${i}.*.{up,gate}_proj") as int4 { group: 32, scale: mse(80) }`,
);
writeFileSync(long, `recipe long version "1.0.0" {\n${statements.join('\n')}\n}\n`);
const w4 = join(dir, 'w4.qrecipe');
writeFileSync(w4, 'recipe w4 version "1.0.0" {\n  quantize linear as W4A16 { group: 32 }\n}\n');

const cases = [
  { name: 'qc --help', limit: 0.15, args: ['--help'] },
  { name: `qc check, ${LINES} lines`, limit: 1, args: ['check', long] },
  {
    name: 'minilm W4A16',
    limit: 3,
    args: ['compile', join(o.minilm, 'model.onnx'), w4, '-o', join(dir, 'out.onnx'), '--force', '--quiet'],
    needs: o.minilm,
  },
];
for (const c of cases) {
  if (c.needs && !existsSync(c.needs)) {
    console.log(`skipped: ${c.name}, no ${c.needs}`);
    continue;
  }
  const seconds: number[] = [];
  for (let i = 0; i < Number(o.runs); i++) {
    const w = await qc(...c.args);
    if (w.code !== 0) throw new Error(`${c.name}: status ${w.code}\n${w.output}`);
    seconds.push(w.seconds);
  }
  const took = median(seconds);
  console.log(
    `${c.name.padEnd(24)} ${(1000 * took).toFixed(0).padStart(6)} ms   limit ${1000 * c.limit} ms ${took <= c.limit ? '' : '  BROKEN'}`,
  );
  if (took > c.limit) process.exitCode = 1;
}
rmSync(dir, { recursive: true });
