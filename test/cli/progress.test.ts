import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { processIo } from '../../compiler/cli/io.ts';
import { progress, remaining } from '../../compiler/cli/progress.ts';

/** Progress on something that is no terminal, under a clock that the test turns. */
async function plain() {
  let [time, text] = [0, ''];
  const io = {
    ...processIo(),
    tty: false,
    err(t: string) {
      text += t;
    },
  };
  const shown = await progress(io, false, () => time);
  return {
    shown,
    at(ms: number) {
      time = ms;
    },
    text: () => text,
  };
}

test('a line for each phase that took long enough, none for the others', async () => {
  const p = await plain();
  p.shown.phase('load');
  p.at(1200);
  p.shown.phase('plan');
  p.at(1210);
  p.shown.phase('write', 1, 10);
  p.shown.phase('write', 2, 10);
  p.at(15_000);
  await p.shown.end();
  assert.is(p.text(), 'done  load  1.20 s\ndone  write  13.8 s\n');
});

test('a failed phase is left to the error', async () => {
  const p = await plain();
  p.shown.phase('load');
  p.at(1200);
  await p.shown.end(true);
  assert.is(p.text(), '');
});

test('what is left goes by the pace so far, once there is one', () => {
  assert.is(remaining(1000, 1, 10), undefined);
  assert.is(remaining(3000, 3, 10), 7000);
  assert.is(remaining(3000, 10, 10), undefined);
  assert.is(remaining(3000, 0, 10), undefined);
});

test('quiet draws nothing', async () => {
  const shown = await progress({ ...processIo(), err: () => assert.unreachable() }, true);
  shown.phase('load');
  await shown.end();
});

test.run();
