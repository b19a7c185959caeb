import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { qc, scratch } from './qc.ts';

const fixture = join(process.cwd(), 'test/models/mlp-conv');
const model = join(fixture, 'model.onnx');
const dir = scratch();
const path = (name: string) => join(dir, name);
const qcHere = (...argv: string[]) => qc(argv, { cwd: dir });
writeFileSync(
  path('s8.qrecipe'),
  'recipe s8 version "1.0.0" {\n  calibrate data("calib") { samples: 32 }\n  quantize linear or conv as W8A8_STATIC\n  require size <= 0.5x\n}\n',
);
writeFileSync(path('w4.qrecipe'), 'recipe w4 version "1.0.0" (group = 16) {\n  quantize linear as W4A16 { group: group }\n}\n');

test('compile writes model, statistics and report, and says so as JSON', async () => {
  const r = await qcHere(
    'compile',
    model,
    's8.qrecipe',
    '-o',
    's8.onnx',
    '--data',
    `calib=${fixture}/calib`,
    '--report',
    's8.html',
    '--json',
  );
  assert.is(r.status, 0, r.out + r.err);
  const answer = JSON.parse(r.out) as {
    ok: boolean;
    coverage: number;
    bytes: { before: number; after: number };
    files: { path: string; bytes: number }[];
    requires: { text: string; passed: boolean }[];
  };
  assert.ok(answer.ok);
  assert.is(answer.coverage, 1);
  assert.ok(answer.bytes.after < 0.5 * answer.bytes.before);
  assert.equal(
    answer.requires.map((q) => [q.text, q.passed]),
    [['size <= 0.5x', true]],
  );
  for (const f of answer.files) assert.is(readFileSync(f.path).length, f.bytes);
  assert.ok(existsSync(path('s8.qstats')));
  const page = readFileSync(path('s8.html'), 'utf8');
  assert.match(page, 's8.onnx');
  assert.match(page, 'l2.conv1');
  assert.not.match(page, /NaN|undefined/);
});

test('the statistics record stands in for the data: two compiles from it give the same bytes', async () => {
  const again = async (name: string) => {
    const r = await qcHere('compile', model, 's8.qrecipe', '-o', name, '--stats', 's8.qstats', '--quiet');
    assert.is(r.status, 0, r.err);
    return readFileSync(path(name));
  };
  const [a, b] = [await again('a.onnx'), await again('b.onnx')];
  assert.ok(a.equals(b));
});

test('eval sees what compile wrote', async () => {
  const r = await qcHere('eval', model, 's8.onnx', '--data', fixture, '--json');
  const { metrics } = JSON.parse(r.out) as { metrics: { name: string; value: number; float: number }[] };
  const of = (name: string) => metrics.find((m) => m.name === name)!;
  assert.ok(of('top1').value > 0.98);
  assert.ok(of('logits_sqnr_db').value > 30 && of('logits_sqnr_db').float > 100);
});

test('the default output is named after model and recipe; parameters reach the recipe', async () => {
  const r = await qcHere('compile', model, 'w4.qrecipe', '--param', 'group=32');
  assert.is(r.status, 0, r.err);
  assert.ok(existsSync(path('model.w4.onnx')));
  assert.match(r.out, 'int4 group 32');
  assert.match(r.out, 'wrote  model.w4.onnx');
});

test('a dump goes to stdout, and nothing is written without -o', async () => {
  const before = readdirSync(dir).sort();
  for (const phase of ['ast', 'recipe', 'plan', 'graph', 'lowered']) {
    const r = await qcHere('compile', model, 'w4.qrecipe', '--dump', phase, '--quiet');
    assert.is(r.status, 0, r.err);
    assert.ok(r.out.length > 100, phase);
  }
  assert.equal(readdirSync(dir).sort(), before);
});

test('explain gives the deciding statement of every port, for a selection too', async () => {
  const r = await qcHere('explain', model, 'w4.qrecipe', 'path("fc")', '--json');
  const { ports } = JSON.parse(r.out) as { ports: { path: string; port: string; type?: string; by?: { at: string } }[] };
  assert.equal(new Set(ports.map((p) => p.path)), new Set(['fc']));
  const weight = ports.find((p) => p.port === 'weight')!;
  assert.match(weight.type!, 'int4 group 16');
  assert.is(weight.by!.at, 'w4.qrecipe:2');
  assert.match((await qcHere('explain', model, 'w4.qrecipe')).out, '← w4.qrecipe:2');
});

test('explain --ledger tells what a compile did, of the model alone', async () => {
  await qcHere('compile', model, 'w4.qrecipe', '-o', 'told.onnx', '--quiet');
  const done = await qcHere('explain', 'told.onnx', '--ledger');
  assert.is(done.status, 0, done.err);
  assert.match(done.out, /^lowered\n {2}linear:/m);
  assert.match((await qcHere('explain', model, '--ledger')).err, 'error[no-ledger]');
  assert.match((await qcHere('explain', model)).err, 'error[recipe-missing]');
});

test('inspect lists the sites', async () => {
  const r = await qcHere('inspect', model, '--json');
  const { sites } = JSON.parse(r.out) as { sites: { role: string; path: string }[] };
  assert.is(sites.filter((s) => s.role === 'conv').length, 7);
  assert.match((await qcHere('inspect', model)).out, 'l3.conv1');
});

test('docs prints the page of a name', async () => {
  const r = await qcHere('docs', 'W4A16');
  assert.is(r.status, 0);
  assert.match(r.out, 'group');
});

test('--replay wants a model that qc made', async () => {
  const r = await qcHere('compile', model, 'w4.qrecipe', '-o', 'model.w4.onnx', '--replay', '--force', '--quiet');
  assert.is(r.status, 0, r.err);
  writeFileSync(path('float.onnx'), readFileSync(model));
  const refused = await qcHere('compile', model, 'w4.qrecipe', '-o', 'float.onnx', '--replay', '--force', '--json');
  assert.is(refused.status, 2);
  assert.match(refused.out, 'replay-none');
});

test.run();
