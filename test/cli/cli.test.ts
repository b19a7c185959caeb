import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { qc, scratch } from './qc.ts';

const commands = [
  'compile',
  'check',
  'explain',
  'inspect',
  'reproduce',
  'eval',
  'run',
  'fmt',
  'upgrade',
  'init',
  'docs',
  'add',
  'update',
  'outdated',
  'why',
  'api',
  'publish',
];
const model = join(process.cwd(), 'test/models/mlp-conv/model.onnx');

test('the help of every command is as reviewed', async () => {
  let text = (await qc(['--help'])).out;
  for (const c of commands) text += `\n──── qc ${c} --help\n${(await qc([c, '--help'])).out}`;
  const file = new URL('./help.expected.txt', import.meta.url);
  if (process.env['UPDATE']) writeFileSync(file, text);
  assert.is(text, readFileSync(file, 'utf8'));
});

test('help and version are done, no command is wrong input', async () => {
  assert.is((await qc(['--help'])).status, 0);
  const version = (JSON.parse(readFileSync('package.json', 'utf8')) as { version: string }).version;
  assert.equal(await qc(['--version']), { status: 0, out: `${version}\n`, err: '' });
  assert.is((await qc([])).status, 2);
});

test('a bug is told as a bug: status 3, the stack only when asked for', async () => {
  const { report } = await import('../../compiler/cli/errors.ts');
  const { processIo } = await import('../../compiler/cli/io.ts');
  const answer = (env: Record<string, string>) => {
    let text = '';
    const status = report(
      new TypeError('x is not a function'),
      {
        ...processIo(),
        color: false,
        env,
        err(t) {
          text += t;
        },
      },
      false,
    );
    return { status, text };
  };
  const plain = answer({});
  assert.is(plain.status, 3);
  assert.match(plain.text, 'error[internal] this is a bug of qc: x is not a function');
  assert.not.match(plain.text, /^\s+at /m);
  assert.match(answer({ QC_DEBUG: '1' }).text, /^\s+at /m);
});

test('errors as JSON are one object on stdout', async () => {
  const r = await qc(['compile', 'none.onnx', 'none.qrecipe', '--json']);
  assert.is(r.status, 2);
  assert.is(r.err, '');
  const answer = JSON.parse(r.out) as { ok: boolean; diagnostics: { code: string; message: string; severity: string }[] };
  assert.is(answer.ok, false);
  assert.equal([answer.diagnostics[0]!.code, answer.diagnostics[0]!.severity], ['file-missing', 'error']);
});

test('run sums up outputs and writes what numpy reads', async () => {
  const dir = scratch();
  const out = join(dir, 'o.npz');
  const r = await qc(['run', model, 'test/models/mlp-conv/calib/000.npz', '-o', out, '--json']);
  assert.is(r.status, 0, r.err);
  const { batches } = JSON.parse(r.out) as { batches: { outputs: { name: string; shape: number[]; dtype: string; mean: number }[] }[] };
  assert.equal([batches[0]!.outputs[0]!.name, batches[0]!.outputs[0]!.shape], ['logits', [16, 10]]);
  const { decodeNpz } = await import('../../compiler/calibrate/npz.ts');
  assert.equal(decodeNpz(readFileSync(out), 'o').get('logits')!.shape, [16, 10]);
  assert.is((await qc(['run', model, 'test/models/mlp-conv/calib/000.npz', '-o', out])).status, 2, 'does not replace');
});

test('run writes a file for each batch into a folder', async () => {
  const dir = scratch();
  mkdirSync(join(dir, 'in'));
  for (const n of ['000', '001']) writeFileSync(join(dir, `in/${n}.npz`), readFileSync(`test/models/mlp-conv/calib/${n}.npz`));
  assert.is((await qc(['run', model, join(dir, 'in'), '-o', join(dir, 'out')])).status, 0);
  assert.ok(existsSync(join(dir, 'out/000.npz')) && existsSync(join(dir, 'out/001.npz')));
});

test('eval gives the task metrics of a folder', async () => {
  const r = await qc(['eval', model, '--json']);
  const { metrics } = JSON.parse(r.out) as { metrics: { name: string; value: number }[] };
  assert.ok(Math.abs(metrics.find((m) => m.name === 'top1')!.value - 0.99444) < 1e-4);
  assert.match((await qc(['eval', model])).out, /top1 +0\.99444/);
});

test('eval compares two models on data', async () => {
  const r = await qc(['eval', model, model, '--data', 'test/models/mlp-conv/calib', '--json']);
  const { metrics } = JSON.parse(r.out) as { metrics: { name: string; value: number }[] };
  assert.is(metrics.find((m) => m.name === 'cosine logits')!.value.toFixed(6), '1.000000');
});

test('init writes a recipe that is formatted and checks, and never replaces one', async () => {
  const dir = scratch();
  const r = await qc(['init', model], { cwd: dir });
  assert.is(r.out, 'mlp_conv.qrecipe\n'.replace('_', '-'));
  const path = join(dir, 'mlp-conv.qrecipe');
  const text = readFileSync(path, 'utf8');
  assert.match(text, 'recipe mlp_conv version');
  assert.is((await qc(['fmt', '--check', path])).status, 0);
  assert.is((await qc(['check', path])).status, 0);
  assert.is((await qc(['init', model], { cwd: dir })).status, 2);
  assert.is(readFileSync(path, 'utf8'), text);
});

test.run();
