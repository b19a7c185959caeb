/** `--io quantized`: caches travel from step to step as codes, and the tokens are those of the cache that is quantized inside. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { loadModel } from '../../compiler/graph/load.ts';
import type { Session, Value } from '../../compiler/host.ts';
import { distance } from '../../compiler/lower/prove.ts';
import type { QcError } from '../../grammar/diagnostics.ts';
import { workplace } from './help.ts';

const w = await workplace();
test.after(() => w.close());
const ints = (values: readonly number[], shape: readonly number[]): Value => ({
  dtype: 'int64',
  shape,
  bytes: new Uint8Array(BigInt64Array.from(values, BigInt).buffer),
});
const bytes: Record<string, number> = { float32: 4, uint8: 1 };

/** Decodes tokens one after another through the model's own caches; gives the logits of each step. */
async function decoded(path: string, tokens: readonly number[], first: number): Promise<Value[]> {
  const loaded = await loadModel(w.host, path);
  const session: Session = await w.host.session(loaded.model, loaded.dir);
  const caches = loaded.model.graph.inputs.filter((i) => i.name.startsWith('past'));
  let state: Record<string, Value> = Object.fromEntries(
    caches.map((i) => {
      const shape = i.shape!.map((d, axis) => (typeof d === 'number' ? d : axis === 0 ? 1 : 0));
      return [i.name, { dtype: i.dtype!, shape, bytes: new Uint8Array(shape.reduce((a, b) => a * b, 1) * bytes[i.dtype!]!) }];
    }),
  );
  const logits: Value[] = [];
  for (let at = 0; at < tokens.length; ) {
    const n = at === 0 ? first : 1;
    const now = tokens.slice(at, at + n);
    const feeds = {
      ...state,
      input_ids: ints(now, [1, n]),
      attention_mask: ints(Array(at + n).fill(1), [1, at + n]),
      position_ids: ints(
        now.map((_, i) => at + i),
        [1, n],
      ),
    };
    const out = await session.run(Object.fromEntries(session.inputs.map((name) => [name, feeds[name as keyof typeof feeds]!])));
    state = Object.fromEntries(caches.map((i) => [i.name, out[i.name.replace('past_key_values.', 'present.')]!]));
    logits.push(out['logits']!);
    at += n;
  }
  await session.close();
  return logits;
}

const kv = (type: string) => `quantize key, value of attention as ${type} { mode: dynamic, per: head }`;
const data = { data: { calib: 'test/models/llama/calib' } };

for (const type of ['uint4', 'int4', 'int8', 'uint8'])
  test(`${type}: every step gives the logits of the cache that is quantized inside`, async () => {
    const text = `calibrate data("calib") { samples: 1 }\n${kv(type)}`;
    const [inside, outside] = [await w.compiled('llama', text, data), await w.compiled('llama', text, { ...data, io: 'quantized' })];
    const { model } = await loadModel(w.host, outside.output);
    const key = model.graph.inputs.find((i) => i.name === 'past_key_values.0.key')!;
    assert.is(key.dtype, 'uint8');
    assert.is(key.shape!.at(-1), type.endsWith('4') ? 16 : 32);
    assert.is(
      model.graph.inputs.some((i) => i.name === 'past_key_values.0.key_zero'),
      type.startsWith('u'),
    );
    assert.ok(model.graph.outputs.some((o) => o.name === 'present.0.key_scale'));
    const tokens = [0, 17, 250, 31, 8, 99, 1200, 5, 61, 7];
    const [a, b] = [await decoded(inside.output, tokens, 4), await decoded(outside.output, tokens, 4)];
    assert.is(a.length, 7);
    for (const [i, x] of a.entries()) assert.ok(distance(x, b[i]!) < 1e-5, `step ${i}: ${distance(x, b[i]!)}`);
    const float = await decoded('test/models/llama/model.onnx', tokens, 4);
    assert.ok(distance(float.at(-1)!, b.at(-1)!) > 1e-4, 'the cache is quantized');
  });

test('a cache in float, and scales of a whole tensor, are refused', async () => {
  const code = (text: string) =>
    w.compiled('llama', text, { ...data, io: 'quantized' }).then(
      () => 'none',
      (e) => (e as QcError).diagnostics[0]!.code,
    );
  assert.is(await code('quantize linear as W8A16'), 'io-nothing');
  assert.is(await code('quantize key of attention as int8 { mode: dynamic, per: tensor }'), 'io-cache');
});
test.run();
