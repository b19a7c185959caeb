// Old names of a package: `qc compile` says what `qc check` says, and the editor offers the new ones.
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { qc, scratch } from '../cli/qc.ts';

const dir = scratch();
const pack = join(dir, 'node_modules/@t/base');
mkdirSync(pack, { recursive: true });
writeFileSync(
  join(pack, 'package.json'),
  JSON.stringify({
    name: '@t/base',
    version: '1.1.0',
    qrecipe: { main: './index.qrecipe', deprecated: { old: { to: 'w8', since: '1.1.0' } } },
  }),
);
writeFileSync(join(pack, 'index.qrecipe'), 'recipe w8 version "1.1.0" {\n  doc "w8"\n  quantize linear as W8A16\n}\n');
writeFileSync(join(dir, 'r.qrecipe'), 'use "@t/base@^1" as base\nrecipe r version "1.0.0" {\n  apply base.old()\n}\n');

test('a deprecated recipe is a warning with its place, in check and in compile; the model is made', async () => {
  const checked = await qc(['check', 'r.qrecipe'], { cwd: dir });
  assert.is(checked.status, 0, checked.err);
  assert.match(checked.err, 'warning[deprecated]');
  assert.match(checked.err, '--> r.qrecipe:3:');
  const model = join(process.cwd(), 'test/models/mlp-conv/model.onnx');
  const made = await qc(['compile', model, 'r.qrecipe', '-o', 'r.onnx'], { cwd: dir });
  assert.is(made.status, 0, made.err);
  assert.ok(made.err.includes(checked.err), `${made.err}\nwanted:\n${checked.err}`);
  const again = await qc(['compile', model, 'r.qrecipe', '-o', 'r.onnx', '--force', '--json'], { cwd: dir });
  const { warnings } = JSON.parse(again.out) as { warnings: { code: string; span: { line: number } }[] };
  assert.equal(
    warnings.map((w) => [w.code, w.span.line]),
    [['deprecated', 3]],
  );
});

test.run();
