// QC_ISA names a set of the kernels; the solvers take the nearest below.
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { findAddon } from '../../runtime/addon.ts';
import { loadCrunch, packageFolder } from '../../runtime/crunch.ts';

/** The solvers' set for one of the kernels'; those that are not named have the best. */
const below: Readonly<Record<string, string>> = { scalar: 'scalar', neon: 'scalar', avx2: 'avx2', avxvnni: 'avx2' };

const found = await findAddon(await packageFolder());
if (typeof found === 'string') console.log(`skipped: ${found}`);
else {
  const { addon } = found;
  test('every set of this machine is good for kernels and solvers', async () => {
    const sets = addon.instructionSets();
    assert.is(sets[0]!.name, 'scalar');
    const names = addon.operators('').map((o) => o.name);
    assert.ok(names.includes('LinearW4A8'));
    const best = addon.isa('');
    for (const { name, available } of sets) {
      if (!available) {
        assert.throws(() => addon.isa(name), /bad-isa: this machine has no/);
        continue;
      }
      assert.is(addon.isa(name), below[name] ?? best);
      assert.equal(
        addon.operators(name).map((o) => o.name),
        names,
      );
      for (const o of addon.operators(name))
        assert.ok(
          sets.some((s) => s.name === o.variant),
          `${o.name}: ${o.variant}`,
        );
    }
  });

  test('another name is an error that lists them', async () => {
    const before = process.env['QC_ISA'];
    process.env['QC_ISA'] = 'sse9';
    const error = await loadCrunch().then(
      () => '',
      (e: Error) => e.message,
    );
    if (before === undefined) delete process.env['QC_ISA'];
    else process.env['QC_ISA'] = before;
    assert.match(error, /there is no instruction set sse9; known: scalar/);
    assert.throws(() => addon.operators('sse9'), /bad-isa: there is no instruction set sse9/);
  });
}
test.run();
