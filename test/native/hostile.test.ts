// Operators of qc.v1 with shapes, types, contents and attributes that do not fit, through real sessions: never a crash, always an answer or an error that
// names the operator. In a process of its own, so that a crash is seen as one.
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { active } from '../../runtime/index.ts';

const CASES = 240;
if (!active) console.log('skipped: the native addon is not built');
else
  test('no crash; an error names its operator', () => {
    const r = spawnSync(
      process.execPath,
      [...process.execArgv, fileURLToPath(new URL('./hostile.ts', import.meta.url)), String(CASES), '1'],
      {
        encoding: 'utf8',
      },
    );
    assert.is(r.signal, null, r.stderr.slice(-2000));
    assert.is(r.status, 0, r.stderr.slice(-2000));
    const { operators, cases, errors, answers } = JSON.parse(r.stdout.trim().split('\n').at(-1)!);
    assert.ok(operators <= CASES / 2 && cases === CASES, r.stdout);
    // Much that is broken is still seen as what it is: both must be there.
    assert.ok(errors > CASES / 4 && answers > CASES / 20, r.stdout);
  });
test.run();
