// Operators of qc.v1 with shapes, types and attributes that do not fit, drawn at random, through real sessions: never a crash, always an answer or an error
// that names the operator. In a process of its own, so that a crash is seen as one.
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { active } from '../../runtime/index.ts';

if (!active) console.log('skipped: the native addon is not built');
else
  test('no crash; an error names its operator', () => {
    const r = spawnSync(process.execPath, [...process.execArgv, fileURLToPath(new URL('./hostile.ts', import.meta.url)), '60', '1'], {
      encoding: 'utf8',
    });
    assert.is(r.signal, null, r.stderr.slice(-2000));
    assert.is(r.status, 0, r.stderr.slice(-2000));
    const { operators, cases, errors, answers } = JSON.parse(r.stdout.trim().split('\n').at(-1)!);
    assert.ok(operators >= 7 && cases === 60, r.stdout);
    assert.ok(errors > 0 && errors + answers === cases, r.stdout);
  });
test.run();
