/** Guard-rails: what a plan refuses, and what it says. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { planned, refused, typeOf } from './help.ts';

test('a selection that matches nothing names the nearest real paths', async () => {
  const d = await refused('llama', 'quantize weight of path("layers.0.mlp.up_pro") as int8');
  assert.is(d.code, 'dead-selection');
  assert.match(d.hint!, 'layers.0.mlp.up_proj');
  assert.is(d.span?.line, 2);
});

test('a name that does not exist is an error inside `not` too', async () => {
  const d = await refused('llama', 'quantize weight of linear and not path("lm_haed") as int8');
  assert.is(d.code, 'dead-selection');
  assert.match(d.hint!, 'lm_head');
});

test('optional may be absent, a role may be absent beside another', async () => {
  const p = await planned('llama', 'quantize weight of linear or conv as int8\nkeep optional(path("classifier"))');
  assert.is(typeOf(p, 'lm_head'), 'int8 per channel minmax');
  assert.is((await refused('llama', 'quantize weight of conv as int8')).code, 'dead-selection');
});

test('a block that is not there', async () => {
  const d = await refused('llama', 'quantize weight of block(7) as int8');
  assert.is(d.code, 'dead-selection');
  assert.match(d.hint!, '6 blocks');
});

test('negative blocks count from the end', async () => {
  const p = await planned('llama', 'quantize weight of linear and block(-1..-1) as int8');
  assert.is(p.slots.length, 7);
  assert.ok(p.slots.every((s) => s.site.block === 5));
});

test('groups must divide the axis', async () => {
  const d = await refused('vit', 'quantize weight of linear as int4 { group: 100 }');
  assert.is(d.code, 'group-divides');
  assert.match(d.message, /Groups of 100 do not divide the reduction axis of \S+, which has \d+ elements/);
  assert.match(d.hint!, '32');
});

test('int4 is signed, symmetric, −8…7 and in groups unless asked', async () => {
  const p = await planned('llama', 'quantize weight of linear as int4');
  const type = p.slots[0]!.type!;
  assert.equal(type.codes, { kind: 'int', bits: 4, signed: true, lo: -8, hi: 7 });
  assert.ok(type.symmetric);
  assert.is(type.grain.per, 'group');
});

test('head granularity needs heads', async () => {
  const d = await refused('llama', 'quantize input of linear as int8 { mode: dynamic, per: head }');
  assert.is(d.code, 'grain-axis');
});

test('a variable that nothing binds', async () => {
  const text = 'recipe r version "1.0.0" { let b in [4, 8]\n quantize weight of linear as int(b) }';
  assert.is((await refused('llama', text)).code, 'unbound-variable');
});

test.run();
