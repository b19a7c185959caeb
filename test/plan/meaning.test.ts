/** Rules of meaning: who decides a slot. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { planned, refused, typeOf } from './help.ts';

const q = 'layers.0.self_attn.q_proj';

test('the later statement wins, and the earlier is remembered', async () => {
  const p = await planned('llama', 'quantize weight of linear as int4 { group: 32 }\nquantize weight of linear as int8 { per: channel }');
  assert.is(typeOf(p, q), 'int8 per channel minmax');
  const slot = p.slots.find((s) => s.site.path === q)!;
  assert.is(slot.by.span.line, 3);
  assert.equal(
    slot.shadowed.map((d) => d.span.line),
    [2],
  );
});

test('keep beats all, wherever it stands', async () => {
  const p = await planned('llama', 'keep path("lm_head")\nquantize weight of linear as int8');
  assert.is(typeOf(p, 'lm_head'), 'float');
  const kept = p.untouched.find((u) => u.site.path === 'lm_head' && u.port === 'weight')!;
  assert.is(kept.why, 'kept');
  assert.is(kept.by?.span.line, 2);
  assert.is(kept.shadowed?.[0]?.span.line, 3);
});

test('keep at casts the weight', async () => {
  const p = await planned('llama', 'quantize weight of linear as int8\nkeep path("lm_head") at float16');
  assert.is(typeOf(p, 'lm_head'), 'float16');
  assert.is(typeOf(p, 'lm_head', 'input'), 'float');
});

test('a solve whose condition does not hold leaves an earlier one', async () => {
  const calibrate = 'calibrate data("calib")\nquantize linear as W4A16 { group: 32 }\n';
  const p = await planned('llama', `${calibrate}solve gptq on linear { when: 1 == 1 }\nsolve adaround on linear { when: 1 == 2 }`);
  assert.equal([...new Set(p.solves.map((x) => x.solver.name))], ['gptq']);
});

test('an applied recipe is earlier than its caller, and narrowed by `to`', async () => {
  const text = `recipe inner version "1.0.0" (g = 32) { quantize weight of linear as int4 { group: g } }
recipe outer version "1.0.0" {
  quantize weight of path("lm_head") as int8
  apply inner(g: 64) to path("lm_head") or block(0)
}`;
  const p = await planned('llama', text);
  assert.is(typeOf(p, 'lm_head'), 'int8 per channel minmax');
  assert.is(typeOf(p, q), 'int4 group 64 minmax');
  assert.is(typeOf(p, 'layers.1.self_attn.q_proj'), 'float');
});

test('schemes give each port its part; fields refine the weight', async () => {
  const p = await planned('llama', 'quantize linear as W8A8\nquantize path("lm_head") as W4A8 { group: 64, scale: minmax }');
  assert.is(typeOf(p, q, 'input'), 'int8 per token dynamic');
  assert.is(typeOf(p, 'lm_head'), 'int4 group 64 minmax');
  assert.is(typeOf(p, 'lm_head', 'input'), 'int8 per token dynamic');
});

test('a scheme on a port gives only that part', async () => {
  const p = await planned('llama', 'quantize weight of linear as W8A8');
  assert.is(typeOf(p, q, 'input'), 'float');
  assert.is(typeOf(p, q), 'int8 per channel minmax');
});

test('groups are for matrices: a kernel under W4A16 has a scale for each output channel', async () => {
  const p = await planned('mlp-conv', 'quantize conv as W4A16 { group: 32, scale: minmax }');
  assert.ok(p.slots.length > 5);
  assert.ok(p.slots.every((s) => s.type!.text === 'int4 per channel minmax'));
});

test('tied groups have one type', async () => {
  const text = 'quantize weight of linear as int4 { group: 32 }\nquantize weight of path("**.q_proj") as int8';
  const d = await refused('llama', text);
  assert.is(d.code, 'tied-conflict');
  assert.match(d.message, 'layers.0.self_attn.q_proj');
  assert.is(d.related?.length, 1);
  const free = await planned('llama', text.replace('as int8', 'as int8 { tie: none }'));
  assert.is(typeOf(free, q), 'int8 per channel minmax');
});

test('a condition is judged for each tied group', async () => {
  const text = `let b in [4, 8] each linear
quantize weight of linear as int(b) { group: 32, when: b == 4 }
search b { objective: mse(layer), method: sitewise }`;
  const first = await planned('llama', text);
  assert.is(typeOf(first, q), 'int4 group 32 minmax');
  const key = Object.keys(first.binding).find((k) => k.includes('layers.0.self_attn.{'))!;
  const second = await planned('llama', text, { binding: { [key]: 8 } });
  assert.is(typeOf(second, q), 'float');
  assert.is(typeOf(second, 'layers.0.self_attn.o_proj'), 'int4 group 32 minmax');
  assert.match(second.untouched.find((u) => u.site.path === q)!.why, 'condition');
});

test('parameters come from the command line', async () => {
  const text = 'recipe r version "1.0.0" (g = 32 in [32, 64]) { quantize weight of linear as int4 { group: g } }';
  assert.is(typeOf(await planned('llama', text, { params: { g: 64 } }), q), 'int4 group 64 minmax');
  assert.is((await refused('llama', text, { params: { g: 48 } })).code, 'param-domain');
  assert.is((await refused('llama', text, { params: { h: 1 } })).code, 'unknown-param');
});

test.run();
