// Every operator that is registered: it has a case, and its kernel computes what its body says.
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { findAddon } from '../../runtime/addon.ts';
import { packageFolder } from '../../runtime/crunch.ts';
import { active } from '../../runtime/index.ts';
import { caseOf, dataOf, modelOfCase } from './cases/index.ts';
import { prover, relative, stock, Tensor } from './proved.ts';

const { run, folder, close } = await prover();
const found = await findAddon(await packageFolder());

if (!active || typeof found === 'string') console.log('skipped: the native addon is not built');
else {
  const names = found.addon.operators('').map((o) => o.name);
  test('every operator has a case', () => {
    assert.equal(
      names.filter((n) => !caseOf(n, 'small')),
      [],
      'write one in test/native/cases',
    );
  });
  test('every kernel computes what its body says', async () => {
    const off: string[] = [];
    for (const name of names) {
      const c = caseOf(name, 'small');
      if (!c) continue;
      const { model, feeds: tensors } = modelOfCase(name, c);
      const feeds = Object.fromEntries(Object.entries(tensors).map(([n, t]) => [n, new Tensor(t.dtype as 'float32', dataOf(t), t.shape)]));
      const bodies = await run(model, folder, feeds, stock);
      // Without its body nothing but the kernel can run.
      const kernels = await run({ ...model, functions: [] }, folder, feeds);
      for (const [output, y] of Object.entries(bodies)) {
        const z = kernels[output]!;
        const floats = Object.prototype.toString.call(y) === '[object Float32Array]';
        // A code at a tie may round the other way: by one.
        const far = floats ? relative(y, z) : y.reduce((most, v, i) => Math.max(most, Math.abs(v - z[i]!)), 0);
        const limit = floats ? (/Rounded|Q[48]|Half/.test(name) ? 1e-3 : 2e-6) : 1;
        if (y.length !== z.length || !(far <= limit)) off.push(`${name} ${output}: ${far}`);
      }
    }
    assert.equal(off, []);
  });
}
test.after(close);
test.run();
