// npm run test:packed: installs the tarballs of `npm run pack` into an empty folder, compiles and runs a model there with the native package and
// without it, and prints what that costs. Needs the dependencies in npm's cache, or a registry.
import { execFileSync, spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { packageOf, thisPlatform } from '../runtime/platforms.ts';

const root = join(import.meta.dirname, '..');
const here = thisPlatform();
if (!here) {
  console.log('skipped: there is no native package for this machine');
  process.exit(0);
}
const tarballs = readdirSync(join(root, 'out/packages')).filter((f) => f.endsWith('.tgz'));
const folder = mkdtempSync(join(tmpdir(), 'qc-packed-'));
process.on('exit', () => rmSync(folder, { recursive: true, force: true }));

function check(what: string, ok: boolean, detail: unknown = ''): void {
  console.log(`${ok ? 'ok  ' : 'FAIL'} ${what}${ok ? '' : `: ${typeof detail === 'string' ? detail : JSON.stringify(detail)}`}`);
  if (!ok) process.exit(1);
}
const qc = (...args: string[]) => {
  const began = performance.now();
  const r = spawnSync(process.execPath, [join(folder, 'node_modules/qrecipe/dist/cli.js'), ...args], { cwd: folder, encoding: 'utf8' });
  return { ...r, seconds: (performance.now() - began) / 1000 };
};

writeFileSync(join(folder, 'package.json'), '{ "name": "empty", "version": "1.0.0", "type": "module" }\n');
execFileSync(
  'npm',
  ['install', '--ignore-scripts', '--prefer-offline', '--no-audit', '--no-fund', ...tarballs.map((t) => join(root, 'out/packages', t))],
  {
    cwd: folder,
    stdio: ['ignore', 'ignore', 'inherit'],
  },
);
check(
  `npm install ${tarballs.join(' ')}`,
  readdirSync(join(folder, 'node_modules/@qrecipe')).length === 2,
  readdirSync(join(folder, 'node_modules/@qrecipe')),
);
cpSync(join(root, 'test/models/llama'), join(folder, 'llama'), { recursive: true });
writeFileSync(
  join(folder, 'w4a8.qrecipe'),
  'use "@qrecipe/std@^0.1" as std\n\nrecipe r version "1.0.0" {\n  doc "Four-bit weights, eight-bit activations."\n  apply std.w4a16(group: 32)\n  quantize input of linear as int8 { per: token, mode: dynamic }\n}\n',
);
writeFileSync(
  join(folder, 'run.mjs'),
  `import { active, loop } from 'qrecipe/runtime';
import { InferenceSession, Tensor } from 'onnxruntime-node';
const session = await InferenceSession.create('small.onnx', { intraOpNumThreads: 1 });
const ids = (n, f) => new Tensor('int64', BigInt64Array.from({ length: n }, (_, i) => BigInt(f(i))), [1, n]);
const steps = loop(session);
const first = { input_ids: ids(64, (i) => 2 + ((i * 37) % 2000)), attention_mask: ids(64, () => 1), position_ids: ids(64, (i) => i) };
let out;
const times = [];
for (let i = 0; i < 12; i++) { steps.reset(); const t = performance.now(); out = await steps.step(first); times.push(performance.now() - t); }
const { logits } = out;
console.log(JSON.stringify({ active, sum: logits.data.reduce((a, b) => a + Math.abs(b), 0), ms: times.sort((a, b) => a - b)[6] }));
`,
);

interface Outcome {
  readonly compile: number;
  readonly run: number;
  readonly sum: number;
  readonly model: Buffer;
}
function proved(native: boolean): Outcome {
  const doctor = qc('doctor', '--json');
  const found = JSON.parse(doctor.stdout);
  check(
    `qc doctor: ${found.compiler.kind}, ${found.compiler.isa}; kernels ${found.isa.chosen ?? 'none'}`,
    found.ok && (found.compiler.kind === 'native') === native,
    found,
  );
  if (native) check('the addon is the package’s', found.native.path.includes(`node_modules/${packageOf(here!)}`), found.native);
  else {
    const text = qc('doctor').stdout;
    check(
      'qc doctor says what is slower, why, and what to do',
      /slower +compiling/.test(text) && /is not installed/.test(text) && text.includes(`npm install ${packageOf(here!)}`),
      text,
    );
  }
  const compiled = qc('compile', 'llama/model.onnx', 'w4a8.qrecipe', '--target', 'native', '-o', 'small.onnx', '--force');
  check('qc compile --target native', compiled.status === 0, compiled.stderr);
  const ran = qc('eval', 'llama/model.onnx', 'small.onnx', '--data', 'llama/calib', '--samples', '2', '--json');
  check('qc eval', ran.status === 0 && JSON.parse(ran.stdout).ok, ran.stderr);
  const plain = spawnSync(process.execPath, ['run.mjs'], { cwd: folder, encoding: 'utf8' });
  check('a plain InferenceSession', plain.status === 0, plain.stderr);
  const { active, sum, ms } = JSON.parse(plain.stdout) as { active: boolean; sum: number; ms: number };
  check(native ? 'on our kernels' : 'through the bodies', active === native);
  return { compile: compiled.seconds, run: ms, sum, model: readFileSync(join(folder, 'small.onnx')) };
}

const withNative = proved(true);
rmSync(join(folder, 'node_modules', packageOf(here)), { recursive: true });
const without = proved(false);
check('the same bytes from wasm', withNative.model.equals(without.model));
check('the same numbers through bodies', Math.abs(withNative.sum / without.sum - 1) < 1e-3, [withNative.sum, without.sum]);
console.log(
  `compile ${withNative.compile.toFixed(1)} s, without the native package ${without.compile.toFixed(1)} s; a prompt of 64 tokens, one thread: ${withNative.run.toFixed(1)} ms on kernels, ${without.run.toFixed(1)} ms through bodies`,
);
