// Names that the language gives to members mean the sites that carry them.
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { select } from '../../compiler/plan/select.ts';
import type { Selection } from '../../compiler/recipe.ts';
import { model } from './help.ts';

const span = { file: '', start: 0, end: 0, line: 1, column: 1 };
async function ids(name: string, member: string): Promise<string[]> {
  const { model: m, sites } = await model(name);
  const [role = '', of = ''] = member.split('.');
  const sel: Selection = { kind: 'role', role, member: of, span };
  return select(sel, { model: m, sites }).sites.map((s) => s.id);
}

test('attention: key, value, o, qkv, probs', async () => {
  for (const [other, own] of Object.entries({ key: 'k', value: 'v', o: 'output' }))
    assert.equal(await ids('llama', `attention.${other}`), await ids('llama', `attention.${own}`));
  assert.is((await ids('llama', 'attention.qkv')).length, 18);
  assert.ok((await ids('llama', 'attention.probs')).every((id) => id.startsWith('softmax:')));
  assert.is((await ids('llama', 'attention.probs')).length, 6);
});

test('ssm: in, x, z, out', async () => {
  for (const [other, own] of Object.entries({ in: 'input', x: 'input', z: 'gate', out: 'output' }))
    assert.equal(await ids('mamba2', `ssm.${other}`), await ids('mamba2', `ssm.${own}`));
});

test.run();
