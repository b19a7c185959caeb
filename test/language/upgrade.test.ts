// Old names: they mean what they meant, a warning says what to write, and `upgrade` writes it.
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { Deprecation } from '../../compiler/catalog/deprecations.ts';
import { deprecations } from '../../compiler/catalog/deprecations.ts';
import { find, roles, statements } from '../../compiler/catalog/index.ts';
import { check, type Resolver } from '../../compiler/check/check.ts';
import { upgrade } from '../../compiler/driver/upgrade.ts';

const old: readonly Deprecation[] = [
  { kind: 'law', name: 'min_max', to: 'minmax', since: '9.0.0' },
  { kind: 'role', name: 'dense', to: 'linear', since: '9.0.0', note: 'One word for MatMul and Gemm.' },
  { kind: 'scheme', name: 'INT4', to: 'W4A16', since: '9.0.0' },
  { kind: 'solver', name: 'optq', to: 'gptq', since: '9.0.0' },
  { kind: 'metric', name: 'snr', to: 'sqnr', since: '9.0.0' },
];
const text = `language 1
# what it is for
use "pkg@^1" as pkg
recipe r version "1.0.0" {
  quantize dense and not dense.x as INT4 { group_size: 32 }   # groups
  quantize weight of dense as int8 { scale: min_max, symmetric: true }
  solve optq on dense { percdamp: 0.01 }
  apply pkg.w4(size: 64)
  require snr(output("y")) >= 20dB
}
`;
const wanted = `language 1
# what it is for
use "pkg@^1" as pkg
recipe r version "1.0.0" {
  quantize linear as W4A16 { group: 32 } # groups
  quantize weight of linear as int8 { scale: minmax, symmetric: yes }
  solve gptq on linear { damp: 0.01 }
  apply pkg.w4a16(group: 64)
  require sqnr(output("y")) >= 20dB
}
`;
const inPackage: readonly Deprecation[] = [
  { kind: 'recipe', name: 'w4', to: 'w4a16', since: '1.1.0' },
  { kind: 'parameter', name: 'w4a16.size', to: 'group', since: '1.2.0' },
];
const resolve: Resolver = () => ({
  path: 'pkg@1.2.0/index.qrecipe',
  package: 'pkg@1.2.0',
  deprecations: inPackage,
  text: 'recipe w4a16 version "1.0.0" (group = 128) {\n  quantize dense as W4A16(group_size: group)\n}\n',
});
const written = text.replace(' and not dense.x', '');
const bare = (x: unknown): unknown => JSON.parse(JSON.stringify(x, (k, v: unknown) => (k === 'span' || k === 'text' ? undefined : v)));

test('old names warn, with a fix, and the program is that of the new ones', () => {
  const before = check({ path: 'r', text: written }, resolve, { deprecations: old });
  assert.equal(
    before.diagnostics.map((d) => [d.severity, d.fix?.text]),
    ['linear', 'W4A16', 'linear', 'minmax', 'gptq', 'linear', 'w4a16', 'group', 'sqnr'].map((t) => ['warning', t]),
  );
  assert.match(before.diagnostics[0]!.message, 'The role `dense` is deprecated since 9.0.0');
  assert.match(before.diagnostics[0]!.hint!, 'Write `linear`. One word for MatMul and Gemm.');
  const after = check({ path: 'r', text: wanted }, resolve, { deprecations: old });
  assert.equal(after.diagnostics, []);
  assert.equal(bare(before.program?.recipes), bare(after.program?.recipes));
});

test('upgrade writes them and the spellings of other tools, keeps comments, and has nothing to do twice', () => {
  const done = upgrade({ path: 'r', text: written }, resolve, { deprecations: old });
  assert.is(done.text, wanted);
  assert.is(done.changes.length, 12);
  assert.equal(done.changes[0], { line: 5, from: 'dense', to: 'linear' });
  assert.equal(upgrade({ path: 'r', text: wanted }, resolve, { deprecations: old }), { text: wanted, changes: [] });
});

test('a name of the recipe is never taken for an old one', () => {
  const own = 'recipe r version "1.0.0" {\n  let dense = conv\n  quantize dense as W8A16\n}\n';
  assert.equal(check({ path: 'r', text: own }, undefined, { deprecations: old }).diagnostics, []);
});

test('what is deprecated exists under its new name, and not under the old', () => {
  for (const d of deprecations) {
    if (d.kind === 'key') {
      const schemas = [statements.quantize, statements.calibrate, statements.solve];
      assert.ok(
        schemas.some((s) => s[d.to]?.aliases?.includes(d.name)),
        `${d.name} is an alias of ${d.to}`,
      );
    } else if (d.kind === 'role') assert.ok(roles.has(d.to) && !roles.has(d.name));
    else if (d.kind !== 'recipe' && d.kind !== 'parameter') assert.ok(find(d.kind, d.to) && !find(d.kind, d.name));
  }
});

test.run();
