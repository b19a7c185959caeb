// The law of ingest: float model + recipe → quantized model → recipe', and recipe' gives the float model the same numbers at every port.
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { keyOf, numbersOf } from '../../compiler/ingest/describe.ts';
import { ingest } from '../../compiler/ingest.ts';
import { workplace } from '../compile/help.ts';
import { planned } from '../plan/help.ts';

const place = await workplace();

/** Numbers of every port that a recipe gives to one of the committed models. */
async function numbers(model: string, text: string): Promise<Record<string, string>> {
  const p = await planned(model, text);
  const own = p.slots.filter((s) => s.what === 'type' && s.type);
  return Object.fromEntries(
    own.map((s) => [`${s.site.id}.${s.port}`, keyOf(numbersOf(s.type!, s.site.ports[s.port]?.kind ?? 'activation'))]).sort(),
  );
}

/** Compiles, reads back, and plans what was read. */
async function law(model: string, text: string, target: string): Promise<string> {
  const { output } = await place.compiled(model, text, { target, data: { calib: `test/models/${model}/calib` } });
  const read = await ingest(place.host, output, { name: 'r', of: 'r.onnx' });
  assert.equal(read.notes, [], `${model} ${target}: ${text}`);
  assert.equal(await numbers(model, read.text), await numbers(model, text), `${model} ${target}: ${text}\n${read.text}`);
  return read.text;
}

const schemes = ['W8A8', 'W4A16(group: 32)', 'W4A16_ASYM(group: 32)', 'FP8', 'W8A8_STATIC'];
const statics = new Set(['FP8', 'W8A8_STATIC']);
for (const target of ['portable', 'ort'])
  for (const scheme of schemes)
    test(`${scheme}, ${target}: the same numbers everywhere`, async () => {
      const data = statics.has(scheme) ? 'calibrate data("calib") { samples: 2 }\n' : '';
      for (const [model, of] of [
        ['llama', 'linear'],
        ['vit', 'linear'],
        ['mlp-conv', 'linear or conv'],
        ['mamba2', 'linear and not path("lm_head")'],
      ] as const)
        await law(model, `${data}quantize ${of} as ${scheme}`, target);
    });

test.after(() => place.close());
test.run();
